"""Card numbers and the like are taken out before they are stored, where an account asks for it, and nothing else is."""

from __future__ import annotations

import json
import uuid
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels_app.account import Account
from channels_app.models import WebhookDelivery
from channels_app.types import (
    AccountChanged,
    ConsentChanged,
    Echoed,
    InboundEvent,
    MessageEdited,
    MessageReceived,
    Part,
    PartKind,
    Rated,
    Reacted,
    Referred,
    Selection,
    Sender,
    VerifiedWebhook,
    WebhookRequest,
)
from channels_app.webhooks.intake import ParsedDelivery, parse_webhook
from channels_app.webhooks.redaction import redacted, without
from tests.channels_app.kit import channel_of
from tests.channels_app.webhooks.kit import COMMITTED, ENDPOINTS, deliver, entries, twilio, whatsapp_fields
from tests.factories import ChannelAccountFactory

ANA = Sender(external_id="+34600112233")


def message(text: str = "", **fields: object) -> MessageReceived:
    return MessageReceived(key="m:1", sender=ANA, message_id="1", text=text, **fields)


def cleaned(text: str) -> str:
    return redacted(message(text))[0].text


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("my card is 4111 1111 1111 1111, thanks", "my card is [card number ending in 1111], thanks"),
        ("5500-0000-0000-0004", "[card number ending in 0004]"),
        ("340000000000009", "[card number ending in 0009]"),
        ("IBAN ES91 2100 0418 4502 0005 1332.", "IBAN [bank account number]."),
        ("DE89370400440532013000", "[bank account number]"),
        ("ssn 078-05-1120", "ssn [social security number]"),
        ("4111 1111 1111 1111 12/27 123", "[card number ending in 1111] 12/27 123"),
        ("4111111111111111 12/27", "[card number ending in 1111] 12/27"),
        ("2 x 4111-1111-1111-1111 - 12 items", "2 x [card number ending in 1111] - 12 items"),
        ("30 4111 1111 1111 1111", "30 [card number ending in 1111]"),
        ("4111\u00a01111\u20111111\u200b1111", "[card number ending in 1111]"),
        ("4111 \u2013 1111 \u2013 1111 \u2013 1111", "[card number ending in 1111]"),
        ("\uff14\uff11\uff11\uff11 1111 1111 1111", "[card number ending in 1111]"),
        ("ES91\u00a02100\u00a00418\u00a04502\u00a00005\u00a01332", "[bank account number]"),
        ("078\u201105\u20111120", "[social security number]"),
        ("4111111111111111 and 5500000000000004", "[card number ending in 1111] and [card number ending in 0004]"),
    ],
)
def test_what_must_not_be_stored_is_taken_out(text: str, stored: str) -> None:
    assert cleaned(text) == stored


@pytest.mark.parametrize(
    "text",
    [
        "4111 1111 1111 1112",
        "order 1234567890123456789012",
        "call +34600112233445",
        "0000 0000 0000 0000",
        "ES91 2100 0418 4502 0005 1333",
        "ZZ66 2100 0418 4502 0005 13",  # right check digits, and no such country
        "DE86 3704 0044 0532 0130",  # too short for Germany
        "2026-11-25 18:00",
        "4111 1111 1111 1112 12/27 123",
        "1234567890123456789012 4111",
        "000-12-3456",
        "",
    ],
)
def test_other_numbers_stay(text: str) -> None:
    assert cleaned(text) == text


def test_captions_names_titles_and_edits_are_cleaned_too() -> None:
    card = "4111111111111111"
    part = Part(kind=PartKind.IMAGE, caption=card, name=f"{card}.jpg", media_ref=f"https://x/{card}")
    event, replaced = redacted(message("see", parts=(part,), selection=Selection(title=card)))
    assert (event.parts[0].caption, event.parts[0].name) == (
        "[card number ending in 1111]",
        "[card number ending in 1111].jpg",
    )
    assert event.selection.title == "[card number ending in 1111]"
    assert set(replaced) == {(card, "[card number ending in 1111]")}
    edited, _ = redacted(MessageEdited(key="e", sender=ANA, message_id="1", text=card))
    assert card not in edited.text


CARD = "4111111111111111"


@pytest.mark.parametrize(
    "event",
    [
        message("see", selection=Selection(title="Pay", id=f"pay:{CARD}")),
        message("see", referral=f"promo {CARD} · ad 9"),
        Referred(key="p:1", sender=ANA, referral=f"{CARD} · SHORTLINK"),
        Rated(key="f:1", sender=ANA, answers=(("", f"you charged {CARD}"),)),
        ConsentChanged(key="c:1", sender=ANA, granted=True, topic=f"news for {CARD}", offers=True),
        Echoed(key="m:2", sender=ANA, message_id="2", text="see", parts=(Part(kind=PartKind.FILE, name=CARD),)),
    ],
    ids=lambda event: type(event).__name__,
)
def test_whatever_holds_words_is_cleaned(event: InboundEvent) -> None:
    cleaner, replaced = redacted(event)
    assert CARD not in repr(cleaner)
    assert replaced == [(CARD, "[card number ending in 1111]")]
    assert (cleaner.key, cleaner.sender) == (event.key, event.sender)


def test_the_id_of_an_ad_and_of_an_app_is_no_card() -> None:
    for event in (
        message("hi", referral=f"promo · ad {CARD} · product {CARD}"),
        AccountChanged(key="a", sender=ANA, topic="handover", detail=f"app {CARD} took a customer over from nobody"),
    ):
        assert redacted(event) == (event, [])


@pytest.mark.parametrize(
    "said",
    [
        {"entry": [{"id": "200", "standby": [{"message": {"mid": "m", "text": f"pay {CARD}"}}]}]},
        {"entry": [{"id": "1", "messaging": [{"postback": {"title": "x", "payload": CARD}}]}]},
        {"surprise": {"text": f"pay {CARD}"}},
        {"entry": [{"id": "200", "messaging": [{"hologram": {"caption": CARD}, "message": {"mid": 1}}]}]},
    ],
)
def test_raw_bytes_of_which_no_message_comes_lose_it_too(said: dict[str, object]) -> None:
    taken = kept_of(json.dumps(said).encode())
    assert CARD.encode() not in taken.body
    assert b"[card number ending in 1111]" in taken.body


def test_a_tap_without_an_id_is_known_again_when_its_bytes_are_read_again() -> None:
    tap = {"sender": {"id": "7"}, "recipient": {"id": "200"}, "postback": {"payload": CARD}}
    first = kept_of(json.dumps({"entry": [{"id": "200", "messaging": [tap]}]}).encode())
    assert [one.key for one in kept_of(first.body).entries] == [one.key for one in first.entries]
    assert CARD not in first.entries[0].event


def kept_of(body: bytes) -> ParsedDelivery:
    """Return what a Page that asks for it keeps of a webhook."""
    page = Account(uuid.uuid4(), "messenger", "200", channel_of("messenger"), redact=True)
    return parse_webhook(page, VerifiedWebhook(WebhookRequest(method="POST", url="", headers={}, body=body)), "request")


def test_an_event_without_words_is_left_alone() -> None:
    event = Reacted(key="x", sender=ANA, message_id="1", emoji="👍")
    assert redacted(event) == (event, [])


@pytest.mark.parametrize("between", [" ", "-", "", ".", "\u00a0", "\u2011", " \u2013 ", "\u202f"])
def test_the_raw_bytes_lose_it_however_they_write_it(between: str) -> None:
    card = between.join(("4111", "1111", "1111", "1111"))
    _, replaced = redacted(message(f"my card: {card}!"))
    bodies = [
        urlencode({"Body": f"my card: {card}!", "From": "whatsapp:+1"}).encode(),
        json.dumps({"text": f"my card: {card}!", "id": 4111111111111112}).encode(),
        f"Body={quote(card)}".encode(),
    ]
    for body in bodies:
        kept = without(body, replaced)
        assert b"1111" in kept.replace(b"4111111111111112", b"")
        assert card.encode() not in kept
        assert card.replace(" ", "+").encode() not in kept
        assert quote(card).encode() not in kept
    assert json.loads(without(bodies[1], replaced)) == {
        "text": "my card: [card number ending in 1111]!",
        "id": 4111111111111112,
    }


@given(st.text(max_size=200))
def test_whatever_is_written_cleaning_it_twice_changes_nothing_more(text: str) -> None:
    once = cleaned(text)
    assert cleaned(once) == once


@COMMITTED
@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("asked", [True, False])
def test_what_an_account_does_not_want_is_in_no_row_whichever_endpoint_took_it(endpoint: str, asked) -> None:
    account = ChannelAccountFactory(kind="whatsapp", redact=asked)
    post = twilio(account, whatsapp_fields(account, Body="pay with 4111 1111 1111 1111"))
    again = twilio(account, whatsapp_fields(account, Body="pay with 4111 1111 1111 1111"))
    assert [reply.word for reply in deliver(endpoint, post, again)] == ["accepted", "duplicate"]
    [entry] = entries(account)
    bodies = b"".join(bytes(one.body) for one in WebhookDelivery.objects.all())
    assert ("4111 1111 1111 1111" in entry.event["text"], b"4111+1111+1111+1111" in bodies) == (not asked, not asked)
    if asked:
        assert entry.event["text"] == "pay with [card number ending in 1111]"
        assert quote_plus("[card number ending in 1111]").encode() in bodies
