"""WhatsApp: signatures, the check of our address, sends and what the provider lists."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from channels_app import errors
from channels_app.channel import AnswersInItsOwnWords, HasReplyWindow
from channels_app.types import OutboundMessage, Part, PartKind
from tests.channels_app.kit import channel_of
from tests.channels_app.providers.kit import ProviderApi, received, signed_form
from tests.channels_app.providers.whatsapp_kit import (
    HEADER,
    SID,
    Form,
    form,
    status,
)


def test_a_query_that_was_not_signed_is_refused() -> None:
    with pytest.raises(errors.BadSignature):
        channel_of("whatsapp").verify(replace(signed_form(status("delivered"), query="outbox=c-1"), query="outbox=c-2"))


def test_twilio_is_answered_with_empty_twiml() -> None:
    channel = channel_of("whatsapp")
    assert isinstance(channel, AnswersInItsOwnWords)
    answer = channel.acknowledge("duplicate")
    assert (answer.status, answer.body, answer.content_type) == (200, b"<Response/>", "text/xml")


def test_replies_are_free_for_a_day() -> None:
    channel, at = channel_of("whatsapp"), datetime(2026, 1, 1, tzinfo=UTC)
    assert isinstance(channel, HasReplyWindow)
    assert channel.window_closes(at) == at + timedelta(hours=24)


GENUINE = signed_form(form(Body="hi & bye"))


@given(where=st.integers(0, len(GENUINE.body) - 1), mask=st.integers(1, 255))
def test_every_flipped_byte_of_the_body_is_refused_or_means_the_same(where: int, mask: int) -> None:
    body = GENUINE.body[:where] + bytes([GENUINE.body[where] ^ mask]) + GENUINE.body[where + 1 :]
    try:
        channel_of("whatsapp").verify(replace(GENUINE, body=body))
    except errors.WebhookRejected:
        return
    assert parse_qs(body, keep_blank_values=True) == parse_qs(
        GENUINE.body, keep_blank_values=True
    )  # another case of a hex digit


@given(where=st.integers(0, 27), mask=st.integers(1, 127))
def test_every_flipped_character_of_the_signature_breaks_it(where: int, mask: int) -> None:
    genuine = GENUINE.headers[HEADER]
    forged = genuine[:where] + chr(ord(genuine[where]) ^ mask) + genuine[where + 1 :]
    with pytest.raises(errors.BadSignature):
        channel_of("whatsapp").verify(replace(GENUINE, headers={**GENUINE.headers, HEADER: forged}))


FORM = "application/x-www-form-urlencoded"
REJECTED = [
    ("no signature", {HEADER: "", "content-type": FORM}, b"Body=hi", errors.BadSignature, "bad_signature"),
    ("an empty POST", {}, b"", errors.BadSignature, "bad_signature"),
    ("not ASCII", {HEADER: "ñ", "content-type": FORM}, b"Body=hi", errors.BadSignature, "bad_signature"),
    ("not UTF-8", {HEADER: "x", "content-type": FORM}, b"Body=%FF", errors.BadSignature, "bad_signature"),
    ("a field twice", GENUINE.headers, GENUINE.body + b"&Body=hi+%26+bye", errors.BadSignature, "bad_signature"),
    ("another charset", {"content-type": FORM + "; charset=utf-7"}, b"Body=hi", errors.BadRequest, "charset"),
    ("1,001 fields", {"content-type": FORM}, b"a=1&" * 1000 + b"b=2", errors.BadRequest, "too_many_fields"),
    ("a file", {HEADER: "x", "content-type": "multipart/form-data"}, b"x", errors.BadRequest, "content_type"),
    ("JSON unsigned", {HEADER: "x", "content-type": "application/json"}, b"{}", errors.BadSignature, "bad_signature"),
]


@pytest.mark.parametrize(
    ("headers", "body", "kind", "code"), [pytest.param(*case[1:], id=case[0]) for case in REJECTED]
)
def test_what_twilio_does_not_send_is_rejected(headers: Form, body: bytes, kind: type, code: str) -> None:
    with pytest.raises(kind) as rejection:
        channel_of("whatsapp").verify(replace(GENUINE, headers=headers, body=body))
    assert getattr(rejection.value, "reason", rejection.value.code) == code


@pytest.mark.parametrize(
    "where", ["http://parley.example/webhooks/whatsapp/1/", "https://evil.example/webhooks/whatsapp/1/"]
)
def test_the_address_is_part_of_what_is_signed(where: str) -> None:
    with pytest.raises(errors.BadSignature):
        channel_of("whatsapp").verify(replace(GENUINE, url=where))


def test_a_signature_that_comes_twice_is_refused() -> None:
    with pytest.raises(errors.BadSignature):
        channel_of("whatsapp").verify(replace(GENUINE, repeated=frozenset({HEADER})))


def json_request(body: bytes, hashed: bytes) -> Any:
    query = f"bodySHA256={hashlib.sha256(hashed).hexdigest()}"
    url = f"{GENUINE.url}?{query}"
    signature = base64.b64encode(hmac.digest(b"auth-token", url.encode(), "sha1")).decode()
    headers = {HEADER: signature, "content-type": "application/json"}
    return replace(GENUINE, headers=headers, body=body, query=query)


def test_json_is_signed_through_its_hash() -> None:
    channel = channel_of("whatsapp")
    (event,) = channel.parse(channel.verify(json_request(b'{"a":1}', b'{"a":1}')))
    assert type(event).__name__ == "Unrecognised"
    with pytest.raises(errors.BadSignature):
        channel.verify(json_request(b'{"a":2}', b'{"a":1}'))


def test_json_without_its_hash_is_refused_even_if_the_address_is_signed() -> None:
    signature = RequestValidator("auth-token").compute_signature(GENUINE.url, {})
    headers = {HEADER: signature, "content-type": "application/json"}
    for body in (b"{}", b""):
        with pytest.raises(errors.BadSignature):
            channel_of("whatsapp").verify(replace(GENUINE, headers=headers, body=body))


OUT = OutboundMessage(recipient="+15550001", text="¡Hola! 👋", correlation="c-1")
SENT = json.dumps({"sid": SID, "status": "queued", "error_code": None}).encode()


def test_a_message_is_sent_through_the_documented_call(api: ProviderApi) -> None:
    api.status, api.body = 201, SENT
    receipt = channel_of("whatsapp", api.http()).send(OUT)
    (call,) = api.calls
    assert receipt.message_ids == (SID,)
    assert (call.method, call.path) == ("POST", f"/2010-04-01/Accounts/AC{'0' * 32}/Messages.json")
    assert parse_qs(call.body.decode()) == {
        "To": ["whatsapp:+15550001"],
        "From": ["whatsapp:+34600000000"],
        "Body": ["¡Hola! 👋"],
        "StatusCallback": ["https://parley.example/webhooks/whatsapp/1/?outbox=c-1"],
    }
    assert base64.b64decode(call.headers["authorization"].removeprefix("Basic ")) == f"AC{'0' * 32}:auth-token".encode()


def test_a_user_without_a_number_is_reached_by_user_id(api: ProviderApi) -> None:
    api.status, api.body = 201, SENT
    channel_of("whatsapp", api.http()).send(OutboundMessage(recipient="US.1349", text="hi", correlation="c-1"))
    assert parse_qs(api.calls[0].body.decode())["To"] == ["whatsapp:US.1349"]


REFUSALS = [
    *((code, 400, errors.Throttled) for code in (63018, 63017)),
    (20429, 429, errors.Throttled),
    (20003, 401, errors.AuthFailed),
    (63016, 400, errors.WindowClosed),
    *((code, 400, errors.InvalidRecipient) for code in (63024, 63003, 21211, 21614)),
    *((code, 400, errors.PolicyViolation) for code in (63032, 63013)),
    *((code, 400, errors.Blocked) for code in (63014, 63033)),
    *((code, 400, errors.InvalidContent) for code in (63019, 63027, 63028, 63041, 21617)),
    *((code, 400, errors.Unavailable) for code in (63012, 63010)),
    (63015, 400, errors.AccountProblem),
    (21610, 400, errors.OptedOut),
    (99999, 400, errors.SendFailed),
    (0, 503, errors.Unavailable),
]


@pytest.mark.parametrize(("code", "http_status", "expected"), REFUSALS)
def test_every_refusal_has_its_class(api: ProviderApi, code: int, http_status: int, expected: type) -> None:
    refused = {"code": code, "message": "The 'To' number whatsapp:+15550001 is not valid", "status": http_status}
    api.status, api.body = http_status, json.dumps(refused).encode()
    with pytest.raises(errors.SendFailed) as refusal:
        channel_of("whatsapp", api.http()).send(OUT)
    assert type(refusal.value) is expected
    assert "15550001" not in str(refusal.value)


def test_the_newer_form_of_errors_is_understood_too(api: ProviderApi) -> None:
    refused = {"type": "https://x", "title": "No", "status": 400, "code": 63016, "detail": "outside"}
    api.status, api.body = 400, json.dumps(refused).encode()
    with pytest.raises(errors.WindowClosed) as refusal:
        channel_of("whatsapp", api.http()).send(OUT)
    assert (refusal.value.detail, refusal.value.provider_code) == ("outside", "63016")


def test_too_fast_says_when_to_try_again(api: ProviderApi) -> None:
    api.status, api.body, api.headers = 429, b'{"code":20429,"message":"slow"}', {"Retry-After": "30"}
    with pytest.raises(errors.Throttled) as refusal:
        channel_of("whatsapp", api.http()).send(OUT)
    assert refusal.value.retry_at is not None
    assert timedelta(seconds=25) < refusal.value.retry_at - datetime.now(UTC) <= timedelta(seconds=30)


@pytest.mark.parametrize("body", [None, b"", b"not json", b"[]", b"{}"])
def test_a_senseless_answer_leaves_the_outcome_unknown(api: ProviderApi, body: bytes | None) -> None:
    api.status, api.body = 201, body
    with pytest.raises(errors.UnknownOutcome):
        channel_of("whatsapp", api.http()).send(OUT)


def test_a_dead_address_is_unavailable(api: ProviderApi) -> None:
    api.base = "http://127.0.0.1:9"
    with pytest.raises(errors.Unavailable):
        channel_of("whatsapp", api.http()).send(OUT)


@pytest.mark.parametrize("number", ["34600000000", "+0600", "whatsapp:600", "+34 600 000 000", ""])
def test_a_number_that_is_none_is_named_at_setup(number: str) -> None:
    with pytest.raises(Exception, match="number"):
        channel_of("whatsapp").read_config({"account_sid": "AC1", "auth_token": "t", "number": number})


def test_the_prefix_of_a_number_may_be_left_on() -> None:
    channel = channel_of("whatsapp")
    config = channel.read_config({"account_sid": "AC1", "auth_token": "t", "number": "whatsapp:+34600000000"})
    assert type(channel)(config, channel.http, "").address == "+34600000000"


def listed(sid: str, body: str, minute: int) -> dict[str, Any]:
    return {"sid": sid, "body": body, "date_created": f"Mon, 23 Nov 2026 12:{minute:02}:00 +0000", "date_sent": None}


def sought(api: ProviderApi, *messages: dict[str, Any], to: str = "+15550001") -> Any:
    """Ask for "¡Hola! 👋" since 12:10 where Twilio lists these."""
    api.body = json.dumps({"messages": messages, "page_size": 50, "next_page_uri": None}).encode()
    asked = OutboundMessage(recipient=to, text="¡Hola! 👋", correlation="c-1")
    return channel_of("whatsapp", api.http()).find_sent(asked, datetime(2026, 11, 23, 12, 10, tzinfo=UTC))


def test_a_message_whose_answer_was_lost_is_found_in_the_list(api: ProviderApi) -> None:
    answer = sought(api, listed("SM3", "other", 13), listed("SM2", "¡Hola! 👋", 12), listed("SM1", "¡Hola! 👋 ", 11))
    (call,) = api.calls
    assert (answer.message_ids, answer.complete) == (("SM1", "SM2"), True)
    assert (call.method, call.path) == ("GET", f"/2010-04-01/Accounts/AC{'0' * 32}/Messages.json")
    assert {key: call.query[key] for key in ("To", "From")} == {
        "To": ["whatsapp:+15550001"],
        "From": ["whatsapp:+34600000000"],
    }


def test_what_was_sent_earlier_with_the_same_words_is_another_message(api: ProviderApi) -> None:
    assert sought(api, listed("SM1", "¡Hola! 👋", 9)).message_ids == ()


@pytest.mark.parametrize(("status", "ids"), [("undelivered", ()), ("failed", ()), ("sent", ("SM1",))])
def test_what_is_listed_as_failed_did_not_arrive(api: ProviderApi, status: str, ids: tuple[str, ...]) -> None:
    answer = sought(api, listed("SM1", "¡Hola! 👋", 11) | {"status": status, "error_code": 63018})
    assert (answer.message_ids, answer.complete) == (ids, True)


def test_a_list_that_does_not_reach_back_far_enough_proves_nothing(api: ProviderApi) -> None:
    assert not sought(api, *(listed(f"SM{number}", "other", 20) for number in range(50))).complete
    assert sought(api, *(listed(f"SM{number}", "other", 20 - number // 4) for number in range(50))).complete


def test_a_list_of_messages_to_a_user_id_proves_nothing(api: ProviderApi) -> None:
    assert not sought(api, to="US.1349").complete


def test_a_list_that_cannot_be_read_is_no_answer(api: ProviderApi) -> None:
    api.body = b'{"messages": [{"sid": 1, "date_created": "yesterday"}]}'
    with pytest.raises(errors.SendFailed):
        channel_of("whatsapp", api.http()).find_sent(OUT, datetime(2026, 11, 23, 12, 10, tzinfo=UTC))


CARD_AT = f"https://api.twilio.com/2010-04-01/Accounts/{'AC' + '0' * 32}/Messages/MM1/Media/ME1"


def test_a_contact_card_is_fetched_from_twilio_alone_with_our_credentials(api: ProviderApi) -> None:
    api.body = b"BEGIN:VCARD\nFN:Ann\nEND:VCARD"
    card = channel_of("whatsapp", api.http()).read_card(
        "http://169.254.169.254" + CARD_AT.removeprefix("https://api.twilio.com")
    )
    assert card == "BEGIN:VCARD\nFN:Ann\nEND:VCARD"
    (call,) = api.calls
    assert (call.method, call.path) == ("GET", CARD_AT.removeprefix("https://api.twilio.com"))
    assert call.headers["authorization"].startswith("Basic ")


@pytest.mark.parametrize(
    "url", ["", "https://evil.example/x", CARD_AT.replace("AC0", "AC1"), CARD_AT + "/../../x", CARD_AT + "?a=b"]
)
def test_another_address_is_not_asked_for_a_contact_card(api: ProviderApi, url: str) -> None:
    with pytest.raises(errors.InvalidContent):
        channel_of("whatsapp", api.http()).read_card(url)
    assert not api.calls


def test_a_redirect_to_somebody_elses_is_not_followed(api: ProviderApi) -> None:
    api.status, api.headers = 307, {"Location": "http://127.0.0.1:1/secret"}
    with pytest.raises(errors.SendFailed):
        channel_of("whatsapp", api.http()).read_card(CARD_AT)
    assert len(api.calls) == 1


def test_a_contact_card_in_a_field_is_read() -> None:
    card = "BEGIN:VCARD\nFN:Ann Lee\nTEL:+1555\nEND:VCARD"
    (event,) = received("whatsapp", form(MessageType="contacts", Contacts=card))
    assert event.parts == (Part(kind=PartKind.CONTACT, name="Ann Lee", detail="+1555"),)
