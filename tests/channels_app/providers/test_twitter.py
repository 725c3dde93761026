"""X: signatures, the check of our address, sends and what the provider lists."""

from __future__ import annotations

import base64
import hmac
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels_app import errors
from channels_app.types import OutboundMessage, PartKind, WebhookRequest
from tests.channels_app.kit import channel_of
from tests.channels_app.providers.kit import ProviderApi, signed
from tests.channels_app.providers.twitter_kit import (
    TEXT,
    Json,
    message,
)


def test_the_crc_is_answered_with_the_consumer_secret() -> None:
    token = "aB3+/x_-=="
    query = f"crc_token={quote(token, safe='')}&nonce=1"
    answer = channel_of("twitter").handshake(WebhookRequest(method="GET", url="", headers={}, query=query))
    digest = base64.b64encode(hmac.digest(b"consumer-secret", token.encode(), "sha256")).decode()
    assert json.loads(answer.body) == {"response_token": f"sha256={digest}"}
    assert (answer.status, answer.content_type) == (200, "application/json")


@pytest.mark.parametrize(
    "query",
    ["", "crc_token=", "crc_token=a&crc_token=b", "other=1", "crc_token=" + "a" * 129, "crc_token=%0A", "crc_token=é"]
    + [f"crc_token={quote(text)}" for text in ('{"for_user_id":"100"}', "a b", "a.b", "a\n", "[]")],
)
def test_the_crc_signs_nothing_else_than_a_token(query: str) -> None:
    with pytest.raises(errors.BadHandshake):
        channel_of("twitter").handshake(WebhookRequest(method="GET", url="", headers={}, query=query))


BODY = json.dumps(message(TEXT)).encode()
HEADER = "x-twitter-webhooks-signature"


@given(where=st.integers(0, len(BODY) - 1), mask=st.integers(1, 255))
def test_every_flipped_byte_of_the_body_breaks_the_signature(where: int, mask: int) -> None:
    genuine = signed("twitter", BODY)
    forged = BODY[:where] + bytes([BODY[where] ^ mask]) + BODY[where + 1 :]
    with pytest.raises(errors.BadSignature):
        channel_of("twitter").verify(WebhookRequest(method="POST", url="", headers=genuine.headers, body=forged))


@given(where=st.integers(0, 50), mask=st.integers(1, 127))
def test_every_flipped_character_of_the_signature_breaks_it(where: int, mask: int) -> None:
    genuine = signed("twitter", BODY).headers[HEADER]
    forged = genuine[:where] + chr(ord(genuine[where]) ^ mask) + genuine[where + 1 :]
    with pytest.raises(errors.BadSignature):
        channel_of("twitter").verify(WebhookRequest(method="POST", url="", headers={HEADER: forged}, body=BODY))


@pytest.mark.parametrize("header", ["", "sha256=", "ñandú", "sha256=\udcff", "x" * 10_000])
def test_a_signature_that_is_none_is_refused(header: str) -> None:
    with pytest.raises(errors.BadSignature) as refusal:
        channel_of("twitter").verify(WebhookRequest(method="POST", url="", headers={HEADER: header}, body=BODY))
    assert signed("twitter", BODY).headers[HEADER] not in str(refusal.value)


def test_a_signature_that_comes_twice_is_refused() -> None:
    genuine = signed("twitter", BODY)
    with pytest.raises(errors.BadSignature):
        channel_of("twitter").verify(
            WebhookRequest(method="POST", url="", headers=genuine.headers, body=BODY, repeated=frozenset({HEADER}))
        )


OUT = OutboundMessage(recipient="7", text="¡Hola! 👋", correlation="c-1")


def test_a_message_is_sent_through_the_documented_call(api: ProviderApi) -> None:
    api.body = b'{"data":{"dm_conversation_id":"7-100","dm_event_id":"1793347420523216896"}}'
    receipt = channel_of("twitter", api.http()).send(OUT)
    (call,) = api.calls
    assert receipt.message_ids == ("1793347420523216896",)
    assert (call.method, call.path) == ("POST", "/2/dm_conversations/with/7/messages")
    assert json.loads(call.body) == {"text": "¡Hola! 👋"}
    assert 'oauth_token="access-token"' in call.headers["authorization"]
    assert 'oauth_consumer_key="consumer-key"' in call.headers["authorization"]


def problem(detail: str = "", kind: str = "about:blank") -> Json:
    return {"title": "No", "detail": detail, "type": f"https://api.twitter.com/2/problems/{kind}"}


def code(number: int) -> Json:
    return {"errors": [{"code": number, "message": "no"}]}


REFUSALS = [
    (401, problem(), errors.AuthFailed),
    (401, code(89), errors.AuthFailed),
    (403, code(93), errors.AuthFailed),
    (403, problem(kind="oauth1-permissions"), errors.AuthFailed),
    (403, code(349), errors.Blocked),
    (403, code(150), errors.Blocked),
    (403, problem("You do not have permission to DM one or more participants."), errors.Blocked),
    (403, code(226), errors.PolicyViolation),
    (403, code(326), errors.AccountProblem),
    (403, problem(kind="client-forbidden"), errors.AccountProblem),
    (402, problem(), errors.AccountProblem),
    (404, problem(kind="resource-not-found"), errors.InvalidRecipient),
    (400, problem(kind="invalid-request"), errors.InvalidContent),
    (403, code(187), errors.InvalidContent),
    (429, problem(kind="usage-capped"), errors.AccountProblem),
    (429, problem(), errors.Throttled),
    (429, code(88), errors.Throttled),
    (500, problem(), errors.Unavailable),
    (503, code(130), errors.Unavailable),
]


@pytest.mark.parametrize(("status", "body", "expected"), REFUSALS)
def test_every_refusal_has_its_class(api: ProviderApi, status: int, body: Json, expected: type) -> None:
    api.status, api.body = status, json.dumps(body).encode()
    with pytest.raises(errors.SendFailed) as refusal:
        channel_of("twitter", api.http()).send(OUT)
    assert type(refusal.value) is expected
    assert "token" not in str(refusal.value)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_gateways_html_is_unavailable(api: ProviderApi, status: int) -> None:
    api.status, api.body = status, b"<html>over capacity</html>"
    with pytest.raises(errors.Unavailable):
        channel_of("twitter", api.http()).send(OUT)


@pytest.mark.parametrize("day", ["user", "app"])
def test_too_fast_says_when_to_try_again(api: ProviderApi, day: str) -> None:
    now = int(datetime.now(UTC).timestamp())
    resets = {"x-rate-limit-reset": str(now + 600), f"x-{day}-limit-24hour-reset": str(now + 6000)}
    for left, wait in (("5", 600), ("0", 6000)):
        api.status, api.headers = 429, {**resets, f"x-{day}-limit-24hour-remaining": left}
        with pytest.raises(errors.Throttled) as refusal:
            channel_of("twitter", api.http()).send(OUT)
        assert refusal.value.retry_at == datetime.fromtimestamp(now + wait, UTC)


@pytest.mark.parametrize("body", [None, b"", b"not json", b"[]", b"{}", b'{"data":{}}'])
def test_a_senseless_answer_leaves_the_outcome_unknown(api: ProviderApi, body: bytes | None) -> None:
    api.body = body
    with pytest.raises(errors.UnknownOutcome):
        channel_of("twitter", api.http()).send(OUT)


def test_a_dead_address_is_unavailable(api: ProviderApi) -> None:
    api.base = "http://127.0.0.1:9"
    with pytest.raises(errors.Unavailable):
        channel_of("twitter", api.http()).send(OUT)


def test_the_trace_of_a_call_shows_neither_keys_nor_text(api: ProviderApi) -> None:
    api.body = b'{"data":{"dm_event_id":"1"}}'
    channel_of("twitter", api.http()).send(OUT)
    (trace,) = api.traces
    assert (trace.method, trace.host, trace.status) == ("POST", "api.twitter.com", 200)
    assert "Hola" not in repr(trace)
    assert "token" not in repr(trace)


def listed(name: str, text: str, minute: int, sender: str = "100") -> Json:
    return {"id": name, "text": text, "created_at": f"2026-11-23T12:{minute:02}:00.000Z", "sender_id": sender}


def sought(api: ProviderApi, *events: Json, text: str = OUT.text, more: str = "") -> Any:
    """Ask for the text since 12:10 where X lists these."""
    api.body = json.dumps({"data": events, "meta": {"next_token": more} if more else {}}).encode()
    asked = OutboundMessage(recipient="7", text=text, correlation="c-1")
    return channel_of("twitter", api.http()).find_sent(asked, datetime(2026, 11, 23, 12, 10, tzinfo=UTC))


def test_a_message_whose_answer_was_lost_is_found_in_the_list(api: ProviderApi) -> None:
    answer = sought(api, listed("3", OUT.text, 13), listed("2", OUT.text, 12, sender="7"), listed("1", OUT.text, 11))
    (call,) = api.calls
    assert (answer.message_ids, answer.complete) == (("1", "3"), True)
    assert (call.method, call.path) == ("GET", "/2/dm_conversations/with/7/dm_events")
    assert call.query["dm_event.fields"] == ["id,text,sender_id,created_at"]


def test_links_that_x_shortened_and_signs_that_it_escaped_are_known_again(api: ProviderApi) -> None:
    sent = listed("1", "a &lt;b&gt; &amp; https://t.co/Xy1", 11)
    assert sought(api, sent, text="a <b> & https://example.com/long").message_ids == ("1",)


@pytest.mark.parametrize(
    ("sent", "written"),
    [
        ("see example.com", "see https://t.co/Xy1"),
        ("see example.com.", "see https://t.co/Xy1."),
        ("see www.example.co.uk/a?b=1 now", "see https://t.co/Xy1 now"),
        ("(Example.com)", "(https://t.co/Xy1)"),
        ("write to ann.lee@example.com", "write to ann.lee@example.com"),
    ],
)
def test_x_shortens_links_without_a_scheme_too(api: ProviderApi, sent: str, written: str) -> None:
    assert sought(api, listed("1", written, 11), text=sent).message_ids == ("1",)
    assert sought(api, listed("1", f"{written} more", 11), text=sent).message_ids == ()


def test_a_listed_picture_comes_without_the_link_to_itself(api: ProviderApi) -> None:
    link = {"url": "https://t.co/m", "expanded_url": "https://x.com/messages/media/95", "display_url": "pic.x.com/m"}
    event = {
        "id": "95",
        "text": "Look https://t.co/m",
        "sender_id": "7",
        "created_at": "2026-11-23T10:00:00.000Z",
        "attachments": {"media_keys": ["3_1"]},
        "entities": {"urls": [link]},
    }
    media = {"media_key": "3_1", "type": "photo", "url": "https://ton/1.jpg"}
    api.body = json.dumps({"data": [event], "includes": {"media": [media]}}).encode()
    channel = channel_of("twitter", api.http())
    (listed,) = channel.list_inbound(datetime(2026, 11, 23, tzinfo=UTC)).messages
    (message,) = channel.parse(channel.as_webhook(listed))
    assert message.text == "Look"
    assert [(one.kind, one.media_ref) for one in message.parts] == [(PartKind.IMAGE, "https://ton/1.jpg")]


def test_what_was_sent_earlier_with_the_same_words_is_another_message(api: ProviderApi) -> None:
    assert sought(api, listed("1", OUT.text, 9)).message_ids == ()


def test_a_list_that_does_not_reach_back_far_enough_proves_nothing(api: ProviderApi) -> None:
    assert not sought(api, listed("1", "other", 11), more="next").complete
    assert sought(api, listed("2", "other", 11), listed("1", "other", 9), more="next").complete


@pytest.mark.parametrize("body", [b"<html>", b'{"data":[{"id":"1","created_at":"yesterday"}]}', None])
def test_a_list_that_cannot_be_read_is_no_answer(api: ProviderApi, body: bytes | None) -> None:
    api.body = body
    with pytest.raises(errors.SendFailed):
        channel_of("twitter", api.http()).find_sent(OUT, datetime(2026, 11, 23, 12, 10, tzinfo=UTC))


def test_what_a_list_brings_is_plain_too(api: ProviderApi) -> None:
    event = {"id": "95", "text": "1 &lt; 2 &amp;amp; 3", "sender_id": "7", "created_at": "2026-11-23T10:00:00.000Z"}
    api.body = json.dumps({"data": [event], "meta": {"result_count": 1}}).encode()
    channel = channel_of("twitter", api.http())
    (listed,) = channel.list_inbound(datetime(2026, 11, 23, tzinfo=UTC)).messages
    (message,) = channel.parse(channel.as_webhook(listed))
    assert message.text == "1 < 2 &amp; 3"


@pytest.mark.parametrize(
    ("listed", "sent", "expected"),
    [
        ("A &amp; B", "A & B", ("96",)),
        ("&amp;amp;", "&amp;", ("96",)),
        ("&amp;", "&amp;", ()),
        ("&amp;copy;", "&copy;", ("96",)),
        ("&copy;", "\u00a9", ()),
    ],
)
def test_in_doubt_a_text_is_compared_as_it_was_typed(api: ProviderApi, listed: str, sent: str, expected: Any) -> None:
    event = {"id": "96", "text": listed, "sender_id": "100", "created_at": "2026-11-23T10:00:00.000Z"}
    api.body = json.dumps({"data": [event], "meta": {"result_count": 1}}).encode()
    message = OutboundMessage(recipient="7", text=sent, correlation="c")
    since = datetime(2026, 11, 23, tzinfo=UTC)
    assert channel_of("twitter", api.http()).find_sent(message, since).message_ids == expected
