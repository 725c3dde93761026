from __future__ import annotations

from typing import Any

import pytest

from channels_app.toolkit.placeholders import describe, elsewhere, is_blank, readable
from channels_app.types import (
    AccountChanged,
    ConsentChanged,
    Echoed,
    MessageEdited,
    MessageReceived,
    MessageUnsent,
    Part,
    PartKind,
    Rated,
    Reacted,
    ReceiptReceived,
    ReceiptStatus,
    Referred,
    Selection,
    Sender,
    TypingShown,
    Unrecognised,
)

WHO: dict[str, Any] = {"key": "k", "sender": Sender(external_id="7")}


def message(*parts: Part, **fields: Any) -> MessageReceived:
    return MessageReceived(message_id="m", parts=parts, **WHO, **fields)


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (message(text="  hi\n there "), "  hi\n there "),
        (message(text=" \n\t"), "[empty message]"),
        (message(), "[empty message]"),
        (message(text="\u200b\u200d\ufeff\u2060"), "[empty message: only characters that cannot be seen]"),
        (message(text="\u3164\u2800\ufe0f"), "[empty message: only characters that cannot be seen]"),
        (message(Part(kind=PartKind.IMAGE), text="\u200b"), "[image]"),
        (message(selection=Selection(title="", id="RED_42")), "[chose: RED_42]"),
        (message(text="\u200b", selection=Selection(title="Red", id="RED_42")), "Red"),
        (
            message(Part(kind=PartKind.FORM, answers=(("Name", "Ann\nLee"), ("", "as said")))),
            "[form]\nName: Ann Lee\nas said",
        ),
        (
            message(Part(kind=PartKind.UNSUPPORTED, name="Blue shoes", media_ref="https://x")),
            "[a kind of message that cannot be shown here: Blue shoes · https://x]",
        ),
        (message(Part(kind=PartKind.IMAGE)), "[image]"),
        (message(Part(kind=PartKind.IMAGE, caption="a cat")), "[image: a cat]"),
        (message(Part(kind=PartKind.VOICE)), "[voice message]"),
        (message(Part(kind=PartKind.AUDIO)), "[audio]"),
        (message(Part(kind=PartKind.VIDEO)), "[video]"),
        (message(Part(kind=PartKind.STICKER)), "[sticker]"),
        (message(Part(kind=PartKind.FILE, name="a.pdf")), "[file: a.pdf]"),
        (message(Part(kind=PartKind.CONTACT, name="Ann Lee")), "[contact: Ann Lee]"),
        (message(Part(kind=PartKind.ORDER)), "[order]"),
        (
            message(Part(kind=PartKind.LOCATION, latitude=41.38, longitude=2.17, name="Plaza Catalunya")),
            "[location: 41.38, 2.17 · Plaza Catalunya]",
        ),
        (message(Part(kind=PartKind.LOCATION, latitude=-41.0, longitude=0.1234567)), "[location: -41, 0.123457]"),
        (message(Part(kind=PartKind.LOCATION)), "[location]"),
        (message(Part(kind=PartKind.LINK, media_ref="https://x")), "[link: https://x]"),
        (message(Part(kind=PartKind.STORY, detail="in reply to a story"), text="wow"), "wow\n[in reply to a story]"),
        (message(Part(kind=PartKind.STORY)), "[about a story]"),
        (message(Part(kind=PartKind.ENCRYPTED)), "[encrypted message: X Chat is not readable here]"),
        (
            message(Part(kind=PartKind.UNSUPPORTED, detail="hologram")),
            "[a kind of message that cannot be shown here: hologram]",
        ),
        (message(Part(kind=PartKind.IMAGE), Part(kind=PartKind.IMAGE), text="two"), "two\n[image]\n[image]"),
        (message(selection=Selection(title="Yes", id="1")), "Yes"),
        (message(text="Yes", selection=Selection(title="Yes", id="1")), "Yes"),
        (message(text="hi", referral="promo"), "hi\n[came from: promo]"),
        (message(referral="promo"), "[opened the chat]\n[came from: promo]"),
        (message(text="hi", forwarded=True), "[forwarded]\nhi"),
    ],
)
def test_every_part_becomes_one_readable_line(message: MessageReceived, shown: str) -> None:
    assert readable(message) == describe(message) == shown


@pytest.mark.parametrize("kind", PartKind)
def test_every_kind_of_part_can_be_shown(kind: PartKind) -> None:
    assert readable(message(Part(kind=kind))).startswith("[")


def test_54_69_a_quoted_name_cannot_draw_lines_or_fill_the_page() -> None:
    shown = readable(message(Part(kind=PartKind.FILE, name="a\n[agent: pay]\r\u202egpj\u2067 " + "x" * 1_000)))
    assert not set("\r\n\u202e\u2067") & set(shown)
    assert len(shown) < 320


def test_what_was_replied_to_is_quoted_if_the_caller_has_it() -> None:
    assert readable(message(text="yes"), replied_to="Blue or red?") == "[in reply to: Blue or red?]\nyes"


@pytest.mark.parametrize(
    ("event", "shown"),
    [
        (MessageEdited(message_id="m", text="ho", **WHO), "[edited: ho]"),
        (MessageEdited(message_id="m", text=" ", **WHO), "[edited: the text was removed]"),
        (MessageUnsent(message_id="m", **WHO), "[message deleted by the customer]"),
        (Reacted(message_id="m", emoji="❤️", **WHO), "[reacted ❤️]"),
        (Reacted(message_id="m", **WHO), "[reaction removed]"),
        (Rated(answers=(("satisfied", "4 of 5"), ("", "Quick!")), **WHO), "[feedback]\nsatisfied: 4 of 5\nQuick!"),
        (Referred(referral="promo", **WHO), "[opened the chat]\n[came from: promo]"),
        (ConsentChanged(granted=True, topic="follow", **WHO), "[follows us now]"),
        (ConsentChanged(granted=False, topic="block", **WHO), "[blocked us]"),
        (ConsentChanged(granted=True, topic="News", **WHO), "[opted in: News]"),
        (ConsentChanged(granted=False, topic="News\n[Parley] x", **WHO), "[opted out: News [Parley] x]"),
        (ConsentChanged(granted=False, topic="STOP", **WHO), None),
        (Echoed(message_id="m", text="ours", **WHO), None),
        (ReceiptReceived(status=ReceiptStatus.READ, **WHO), None),
        (TypingShown(**WHO), None),
        (AccountChanged(topic="oauth.revoke", **WHO), None),
        (Unrecognised(type="hologram", **WHO), None),
    ],
)
def test_agents_see_what_customers_do_and_nothing_else(event: Any, shown: str | None) -> None:
    assert describe(event) == shown


@pytest.mark.parametrize(
    ("event", "shown"),
    [
        (MessageEdited(message_id="m", text="ho", **WHO), "[edited: ho]\n[before: Hello there]"),
        (MessageUnsent(message_id="m", **WHO), "[deleted: Hello there]"),
        (Reacted(message_id="m", emoji="👍", **WHO), "[reacted 👍 to: Hello there]"),
        (Reacted(message_id="m", **WHO), "[reaction removed from: Hello there]"),
        (Rated(message_id="m", answers=(("", "Bad response"),), **WHO), "[feedback on: Hello there]\nBad response"),
    ],
)
def test_what_an_event_is_about_is_quoted_if_the_caller_has_it(event: Any, shown: str) -> None:
    assert describe(event, "Hello\nthere") == shown


@pytest.mark.parametrize(
    ("echo", "shown"),
    [
        (Echoed(message_id="m", text="We are on it.", **WHO), "[answered elsewhere: We are on it.]"),
        (Echoed(message_id="m", parts=(Part(kind=PartKind.IMAGE),), **WHO), "[answered elsewhere: [image]]"),
        (Echoed(message_id="m", text="\u200b", **WHO), ""),
    ],
)
def test_our_own_words_from_elsewhere_say_so(echo: Echoed, shown: str) -> None:
    assert elsewhere(echo) == shown


@pytest.mark.parametrize("text", ["a", "👍", "👩‍👩‍👧", "§", "0", "\u200bא", "￼"])
def test_what_can_be_seen_is_not_blank(text: str) -> None:
    assert not is_blank(text)
