"""Messenger: signatures, the check of our address, sends and what the provider lists."""

from __future__ import annotations

import hmac
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels_app import errors
from channels_app.channel import HasReplyWindow
from channels_app.types import OutboundMessage, WebhookRequest
from tests.channels_app.kit import channel_of
from tests.channels_app.providers.kit import ProviderApi, signed
from tests.channels_app.providers.messenger_kit import (
    AT,
)


def hello(**changed: str) -> WebhookRequest:
    asked = {"mode": "subscribe", "verify_token": "verify-token", "challenge": "1158201444", **changed}
    query = "&".join(f"hub.{name}={value}" for name, value in asked.items() if value != "-")
    return WebhookRequest(method="GET", url="", headers={}, query=query)


def test_the_challenge_is_echoed_as_plain_text() -> None:
    answer = channel_of("messenger").handshake(hello())
    assert (answer.status, answer.body, answer.content_type) == (200, b"1158201444", "text/plain")


@pytest.mark.parametrize("token", ["wrong", "", "verify-token%00", "VERIFY-TOKEN"])
def test_a_wrong_verify_token_is_refused(token: str) -> None:
    with pytest.raises(errors.HandshakeRefused):
        channel_of("messenger").handshake(hello(verify_token=token))


@pytest.mark.parametrize(
    "changed",
    [{"challenge": text} for text in ("<script>", "", "-", "1a", "1" * 129, "%D9%A1")]
    + [{"mode": "unsubscribe"}, {"mode": "-"}, {"challenge": "1&hub.challenge=2"}],
)
def test_nothing_but_digits_is_echoed(changed: dict[str, str]) -> None:
    with pytest.raises(errors.BadHandshake):
        channel_of("messenger").handshake(hello(**changed))


def test_an_account_without_a_verify_token_answers_no_handshake() -> None:
    channel = channel_of("messenger")
    bare = type(channel)(channel.read_config({"app_secret": "s", "page_id": "1", "page_access_token": "t"}), None, "")
    with pytest.raises(errors.HandshakeRefused):
        bare.handshake(hello(verify_token=""))


BODY = (
    rb'{"object":"page","entry":[{"id":"200","messaging":[{"message":{"mid":"m_1","text":"\u00e4\/\ud83d\ude00"}}]}]}'
)
HEADER = "x-hub-signature-256"


@given(where=st.integers(0, len(BODY) - 1), mask=st.integers(1, 255))
def test_every_flipped_byte_of_the_body_breaks_the_signature(where: int, mask: int) -> None:
    genuine = signed("messenger", BODY)
    forged = BODY[:where] + bytes([BODY[where] ^ mask]) + BODY[where + 1 :]
    with pytest.raises(errors.BadSignature):
        channel_of("messenger").verify(WebhookRequest(method="POST", url="", headers=genuine.headers, body=forged))


@given(where=st.integers(0, 70), mask=st.integers(1, 127))
def test_every_flipped_character_of_the_signature_breaks_it(where: int, mask: int) -> None:
    genuine = signed("messenger", BODY).headers[HEADER]
    forged = genuine[:where] + chr(ord(genuine[where]) ^ mask) + genuine[where + 1 :]
    with pytest.raises(errors.BadSignature):
        channel_of("messenger").verify(WebhookRequest(method="POST", url="", headers={HEADER: forged}, body=BODY))


def test_the_escaped_bytes_are_what_was_signed() -> None:
    assert channel_of("messenger").verify(signed("messenger", BODY)).body == BODY
    again = json.dumps(json.loads(BODY)).encode()
    with pytest.raises(errors.BadSignature):
        channel_of("messenger").verify(
            WebhookRequest(method="POST", url="", headers=signed("messenger", BODY).headers, body=again)
        )


def test_the_older_sha1_signature_does_not_count() -> None:
    old = {"x-hub-signature": "sha1=" + hmac.new(b"app-secret", BODY, "sha1").hexdigest()}
    with pytest.raises(errors.BadSignature):
        channel_of("messenger").verify(WebhookRequest(method="POST", url="", headers=old, body=BODY))


def test_replies_are_free_for_a_day() -> None:
    channel = channel_of("messenger")
    assert isinstance(channel, HasReplyWindow)
    assert channel.window_closes(AT) == AT + timedelta(hours=24)


OUT = OutboundMessage(recipient="7", text="¡Hola! 👋", correlation="c-1")


def test_a_message_is_sent_through_the_documented_call(api: ProviderApi) -> None:
    api.body = b'{"recipient_id":"7","message_id":"m_9"}'
    receipt = channel_of("messenger", api.http()).send(OUT)
    (call,) = api.calls
    assert receipt.message_ids == ("m_9",)
    assert (call.method, call.path) == ("POST", "/v26.0/200/messages")
    assert json.loads(call.body) == {
        "recipient": {"id": "7"},
        "messaging_type": "RESPONSE",
        "message": {"text": "¡Hola! 👋", "metadata": "c-1"},
    }
    assert call.query["access_token"] == ["page-access-token"]
    assert call.query["appsecret_proof"] == [hmac.digest(b"app-secret", b"page-access-token", "sha256").hex()]


def test_a_base_address_with_the_version_does_not_get_it_twice(api: ProviderApi) -> None:
    api.body, api.base = b'{"message_id":"m_9"}', api.base + "/graph/v26.0"
    channel_of("messenger", api.http()).send(OUT)
    assert api.calls[0].path == "/graph/v26.0/200/messages"


REFUSALS = [
    (190, None, 401, errors.AuthFailed),
    (190, 463, 400, errors.AuthFailed),
    (10, 2018278, 400, errors.WindowClosed),
    (551, None, 400, errors.Blocked),
    (551, 1545041, 400, errors.Blocked),
    (100, 2018001, 400, errors.InvalidRecipient),
    (100, None, 400, errors.InvalidContent),
    (200, None, 403, errors.AuthFailed),
    (10, None, 403, errors.AuthFailed),
    *((code, None, 400, errors.Throttled) for code in (4, 17, 32, 613, 80006)),
    (1, None, 500, errors.Unavailable),
    (2, None, 500, errors.Unavailable),
    (10, 1893063, 400, errors.AccountProblem),
    (368, None, 400, errors.PolicyViolation),
    (999, None, 400, errors.SendFailed),
]


@pytest.mark.parametrize(("code", "subcode", "status", "expected"), REFUSALS)
def test_every_refusal_has_its_class(api: ProviderApi, code: int, subcode: int, status: int, expected: type) -> None:
    refused = {"message": "(#1) no", "type": "OAuthException", "code": code, "error_subcode": subcode}
    api.status, api.body = status, json.dumps({"error": refused}).encode()
    with pytest.raises(errors.SendFailed) as refusal:
        channel_of("messenger", api.http()).send(OUT)
    assert type(refusal.value) is expected
    assert refusal.value.provider_code == (f"{code}/{subcode}" if subcode else str(code))


def test_too_fast_says_when_to_try_again(api: ProviderApi) -> None:
    usage = {"200": [{"type": "messenger", "call_count": 100, "estimated_time_to_regain_access": 5}]}
    api.status, api.headers = 400, {"X-Business-Use-Case-Usage": json.dumps(usage)}
    api.body = b'{"error":{"code":80006}}'
    with pytest.raises(errors.Throttled) as refusal:
        channel_of("messenger", api.http()).send(OUT)
    assert refusal.value.retry_at is not None
    assert timedelta(minutes=4) < refusal.value.retry_at - datetime.now(UTC) <= timedelta(minutes=5)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_gateways_html_is_unavailable(api: ProviderApi, status: int) -> None:
    api.status, api.body = status, b"<html>"
    with pytest.raises(errors.Unavailable):
        channel_of("messenger", api.http()).send(OUT)


@pytest.mark.parametrize("body", [None, b"", b"not json", b"[]", b"{}"])
def test_a_senseless_answer_leaves_the_outcome_unknown(api: ProviderApi, body: bytes | None) -> None:
    api.body = body
    with pytest.raises(errors.UnknownOutcome):
        channel_of("messenger", api.http()).send(OUT)


def test_neither_trace_nor_failure_shows_the_token(api: ProviderApi) -> None:
    api.body = None
    with pytest.raises(errors.SendFailed) as failure:
        channel_of("messenger", api.http()).send(OUT)
    assert "page-access-token" not in repr(failure.value) + repr(failure.value.__cause__) + repr(api.traces)


def test_a_profile_is_looked_up(api: ProviderApi) -> None:
    api.body = b'{"first_name":"Ann","last_name":"Lee","profile_pic":"https://p","id":"7"}'
    assert channel_of("messenger", api.http()).look_up_profile("7") == {
        "display_name": "Ann Lee",
        "picture_url": "https://p",
    }
    assert api.calls[0].path == "/v26.0/7"


def test_without_consent_there_is_no_profile(api: ProviderApi) -> None:
    api.status, api.body = 400, b'{"error":{"code":230,"message":"no consent"}}'
    assert channel_of("messenger", api.http()).look_up_profile("7") == {}
