from __future__ import annotations

import json

import pytest

from people.json_masking import masked_body, masked_json
from people.privacy import HIDDEN, Sight, masked_text, redacted


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("call +34 600 111 222 please", "call [number] please"),
        ("card 4111-1111-1111-1111", "card [number]"),
        ("order 12345 of 3 items", "order [number] of 3 items"),
        ("ana.b@example.org or https://example.org/u/7", "[e-mail] or [link]"),
        ("ask @ana_b", "ask [handle]"),
        ("nothing to hide", "nothing to hide"),
        ("06 - 12 - 34 - 56 - 78", "[number]"),
        ("+49\u2011151\u201123\u201145\u201167", "[number]"),
        ("\u202a+49 (151) 23 45 67\u202c", "\u202a[number]\u202c"),
        ("6\u200b0\u200b0\u200b1", "[number]"),
        ("ana\uff20example.org or \uff20ana_b", "[e-mail] or [handle]"),
        ("at 9 or 10, 2 of us", "at 9 or 10, 2 of us"),
    ],
)
def test_redaction_takes_what_leads_to_a_person(text: str, shown: str) -> None:
    assert redacted(text) == shown


def test_a_text_is_seen_whole_redacted_or_not_at_all() -> None:
    assert masked_text("call 600111222", Sight.FULL) == "call 600111222"
    assert masked_text("call 600111222", Sight.REDACTED) == "call [number]"
    assert masked_text("call 600111222", Sight.NONE) == f"{HIDDEN} (14 characters)"


def test_an_event_keeps_ids_times_and_kinds_and_loses_its_words() -> None:
    event = {
        "event": "message",
        "message_id": "mid.1",
        "timestamp": 1700000000,
        "sender": {"external_id": "+34600111222", "display_name": "Ana"},
        "text": "secret words",
        "parts": [{"kind": "image", "caption": "me at home"}],
    }

    shown = json.dumps(masked_json(event, Sight.NONE), ensure_ascii=False)

    for kept in ("message", "mid.1", "1700000000", "image", "1222"):
        assert kept in shown
    for hidden in ("+34600", "Ana", "secret", "home"):
        assert hidden not in shown


def test_a_form_keeps_its_ids_and_loses_its_words() -> None:
    form = (
        "MessageSid=SM1&From=whatsapp%3A%2B34600111222&Body=secret+words&ProfileName=Ana&NumMedia=0&MessageStatus=read"
    )

    shown = masked_body(form, Sight.NONE)

    assert "MessageSid=SM1" in shown
    assert "MessageStatus=read" in shown
    assert "••••1222" in shown
    assert "secret" not in shown
    assert "Ana" not in shown


def test_what_is_neither_json_nor_a_form_is_hidden() -> None:
    assert masked_body("\ufffdsecret words", Sight.REDACTED) == f"{HIDDEN} (13 characters)"


@pytest.mark.parametrize(
    "event",
    [
        {"sender": {"id": "1234567890123456"}},
        {"sender_id": "1234567890123456"},
        {"message_create": {"target": {"recipient_id": "1234567890123456"}}},
        {"users": {"1234567890123456": {"name": "Ana", "screen_name": "ana_b", "id": 1234567890123456}}},
        {"contacts": [{"wa_id": "1234567890123456", "profile": {"name": "Ana"}}]},
        {"phone": 1234567890123456},
        {"note": 1234567890123456},
        {"postal_code": "1234567890123456"},
        {"chat": "1234567890123456", "what_she_said": "1234567890123456"},
        {"location": {"latitude": 40.1234567890123456, "longitude": -3.7}},
    ],
)
@pytest.mark.parametrize("sight", [Sight.REDACTED, Sight.NONE])
def test_what_names_somebody_is_masked_wherever_and_whatever_it_is(event: dict[str, object], sight: Sight) -> None:
    shown = json.dumps(masked_json(event, sight), ensure_ascii=False)

    for hidden in ("123456789012", "Ana", "ana_b", "40.12", "-3.7"):
        assert hidden not in shown, shown


def test_what_says_what_kind_of_event_it_is_stays() -> None:
    event = {
        "object": "page",
        "entry": [{"id": "200000000000001", "time": 1700000000000}],
        "MediaContentType0": "image/png",
        "ErrorCode": "63016",
        "error_subcode": 2018278,
        "messaging_product": "whatsapp",
        "for_user_id": "1000000001",
        "locale": "es_ES",
        "sender": {"type": "guest"},
        "is_echo": True,
        "seq": 12345678,
    }

    assert masked_json(event, Sight.REDACTED) == event


def test_what_is_nested_beyond_any_event_is_hidden() -> None:
    assert masked_body("[" * 3_000 + "]" * 3_000, Sight.REDACTED) == f"{HIDDEN} (6,000 characters)"
    deep: object = "secret"
    for _ in range(200):
        deep = [deep]
    assert "secret" not in json.dumps(masked_json(deep, Sight.REDACTED))


@pytest.mark.parametrize("sight", [Sight.NONE, Sight.REDACTED])
def test_what_a_customer_chose_is_no_id_though_it_is_called_one(sight: Sight) -> None:
    event = {"event": "message", "selection": {"title": "Pay", "id": "pay:600111222"}, "message_id": "SM600111222"}
    shown = json.dumps(masked_json(event, sight)) + masked_body(
        "ListId=pay%3A600111222&ButtonPayload=600111222&A=1", sight
    )
    assert "pay:600111222" not in shown
    assert shown.count("600111222") == 1
    assert "SM600111222" in shown
