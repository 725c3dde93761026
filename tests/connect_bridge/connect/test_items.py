"""What Connect's items become for a customer who reads plain text."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from connect_bridge.connect.control_plane import CONTENT_TYPES
from connect_bridge.connect.gateway import Attached, Item, Metadata
from connect_bridge.connect.interactive import FORM, UNREADABLE
from connect_bridge.connect.items import EVENT, INTERACTIVE, Ended, Nothing, Said, is_unfinished, moment, read
from connect_bridge.connect.presence import ParticipantEvent


def item(**fields: Any) -> Item:
    return Item(**{"id": "1", "type": "MESSAGE", "participant_role": "AGENT", "content_type": "text/plain"} | fields)


def event(name: str, role: str = "AGENT", **fields: Any) -> Item:
    return item(type="EVENT", content_type=EVENT + name, participant_role=role, **fields)


def picker(kind: str = "ListPicker", **content: Any) -> Item:
    shown = {"templateType": kind, "version": "1.0", "data": {"content": content}}
    return item(content_type=INTERACTIVE, participant_role="SYSTEM", content=json.dumps(shown))


def inner(kind: str, title: str, *choices: str) -> dict[str, Any]:
    """Return a card of a Carousel (administrator guide, "Carousel template")."""
    content = {"title": title, "elements": [{"title": choice} for choice in choices]}
    return {"templateIdentifier": "template0", "templateType": kind, "version": "1.0", "data": {"content": content}}


def text_of(one: Item) -> str | None:
    news = read(one, "Europe/Berlin")
    return news.text if isinstance(news, Said) else None


@pytest.mark.parametrize("role", ["AGENT", "SYSTEM", "CUSTOM_BOT", "SUPERVISOR"])
def test_whoever_speaks_on_connects_side_is_heard(role: str) -> None:
    assert text_of(item(participant_role=role, content="Hi")) == "Hi"


@pytest.mark.parametrize(
    "unheard",
    [
        item(participant_role="CUSTOMER", content="our own echo"),
        item(message_visibility="AGENT", content="among ourselves"),
        item(participant_role="", content="nobody"),
        item(id="", content="without an id"),
        item(content="  \n"),
        item(type="MESSAGEMETADATA", message_metadata=Metadata(message_id="2")),
        event("typing"),
        event("transfer.succeeded", role=""),
        event("participant.joined", role="CUSTOMER"),
        event("something.new"),
    ],
    ids=lambda one: one.content or one.content_type,
)
def test_what_is_not_for_the_customer_is_not_heard(unheard: Item) -> None:
    assert read(unheard) == Nothing()


@pytest.mark.parametrize("visibility", ["", "ALL", "CUSTOMER"])
def test_what_the_customer_may_see_is_heard(visibility: str) -> None:
    assert text_of(item(message_visibility=visibility, content="Hi")) == "Hi"


def test_only_chat_ended_is_the_end() -> None:
    assert read(event("chat.ended", role="")) == Ended()
    assert read(item(type="CHAT_ENDED", content_type="", participant_role="")) == Ended()
    at = {"absolute_time": "2026-05-24T21:42:55.867Z", "participant_id": "p", "display_name": "Ann"}
    when = datetime(2026, 5, 24, 21, 42, 55, 867000, UTC)
    assert read(event("participant.left", **at)) == ParticipantEvent("p", "AGENT", "left", "Ann", when)
    assert read(event("participant.joined", "SUPERVISOR", **at)) == ParticipantEvent(
        "p", "SUPERVISOR", "joined", "Ann", when
    )
    assert read(item(type="PARTICIPANT_LEFT", content_type="", **at)) == ParticipantEvent(
        "p", "AGENT", "left", "Ann", when
    )


def test_a_bots_words_are_heard_when_they_are_complete() -> None:
    forming = Metadata(chunk_number=1, message_completed=False)
    complete = Metadata(chunk_number=2, message_completed=True)
    assert text_of(item(participant_role="SYSTEM", content="Hel", message_metadata=forming)) is None
    assert text_of(item(participant_role="SYSTEM", content="Hello", message_metadata=complete)) == "Hello"


def test_a_piece_that_does_not_say_that_it_is_the_last_is_not_heard() -> None:
    assert text_of(item(participant_role="SYSTEM", content="Hel", message_metadata=Metadata(chunk_number=1))) is None


@pytest.mark.parametrize(
    ("status", "shown"), [("PROCESSING", None), ("FAILED", None), ("REJECTED", None), ("", "Hi"), (None, "Hi")]
)
def test_what_a_message_processor_did_not_pass_is_not_heard(status: str | None, shown: str | None) -> None:
    assert text_of(item(content="Hi", message_metadata=Metadata(message_processing_status=status))) == shown
    raw = {"Id": "1", "Type": "MESSAGE", "ParticipantRole": "AGENT", "Content": "Hi"}
    raw["MessageMetadata"] = {"MessageProcessingStatus": status}
    raw_item = msgspec.json.decode(json.dumps(raw), type=Item)
    assert text_of(raw_item) == shown


def test_files_are_named_once_they_are_approved() -> None:
    files = [Attached(attachment_name="a.pdf", status="APPROVED"), Attached(attachment_name="b.pdf", status="REJECTED")]
    assert text_of(item(type="ATTACHMENT", attachments=files)) == "[file: a.pdf · cannot be shown here]"
    assert text_of(item(type="ATTACHMENT", attachments=[Attached(status="IN_PROGRESS")])) is None


@pytest.mark.parametrize(
    ("template", "text"),
    [
        (
            picker(title="Colour?", subtitle="Pick one", elements=[{"title": "Red"}, {"title": "Blue"}]),
            "Colour?\nPick one\n• Red\n• Blue",
        ),
        (
            picker("ListPicker", title="Plan?", elements=[{"title": "S", "subtitle": "5 €"}]),
            "Plan?\n• S: 5 €",
        ),
        (
            picker("TimePicker", title="When?", timeslots=[{"date": "2026-10-31T17:00+00:00", "duration": 60}]),
            "When?\n• Sat 31 Oct 2026, 18:00 (UTC+01:00)",
        ),
        (
            picker("TimePicker", title="When?", timeZoneOffset=-300, timeslots=[{"date": "2026-10-31T17:00+00:00"}]),
            "When?\n• Sat 31 Oct 2026, 12:00 (UTC-05:00)",
        ),
        (
            picker(
                "TimePicker",
                title="Visit",
                location={"latitude": 47.6, "longitude": -122.3, "title": "Our shop", "radius": 1},
                timeslots=[
                    {"date": "2026-07-01T08:00Z", "duration": 60},
                    {"date": "soon"},
                    {"date": "2026-07-01T09:00"},
                ],
            ),
            "Visit\nOur shop\n• Wed 01 Jul 2026, 10:00 (UTC+02:00)\n• soon\n• Wed 01 Jul 2026, 09:00",
        ),
        (picker("QuickReply", title="Sure?", elements=[{"title": "Yes"}, {"title": "No"}]), "Sure?\n• Yes\n• No"),
        (
            picker("Carousel", title="Shoes", elements=[inner("Panel", "Boots", "Brown", "Black")]),
            "Shoes\nBoots\n• Brown\n• Black",
        ),
        (
            picker(
                "Carousel",
                title="Places",
                omitTitleFromCarouselResponse=True,
                elements=[inner("ListPicker", "North", "A", "B"), inner("Panel", "South", "C")],
            ),
            "Places\nNorth\n• A\n• B\nSouth\n• C",
        ),
        (
            picker(
                title="Help",
                imageType="URL",
                imageData="https://example.com/a.jpg",
                imageDescription="A picture",
                referenceId="r1",
                elements=[
                    {"title": "Our page", "type": "hyperlink", "url": "https://example.com/help"},
                    {"title": "More", "actionDetail": "SHOW_MORE"},
                ],
            ),
            "Help\n• Our page: https://example.com/help\n• More",
        ),
        (
            picker(
                "WhatsAppInteractiveList",
                title="Menu",
                body={"text": "What may it be?"},
                footer={"text": "Until ten"},
                action={
                    "button": "Open",
                    "sections": [{"title": "Hot", "rows": [{"id": "1", "title": "Soup", "description": "of the day"}]}],
                },
            ),
            "Menu\nWhat may it be?\nUntil ten\nOpen\nHot\n• Soup: of the day",
        ),
        (
            picker(
                "WhatsAppInteractiveReplyButton",
                body={"text": "Sure?"},
                action={"buttons": [{"type": "reply", "reply": {"id": "y", "title": "Yes"}}]},
            ),
            "Sure?\n• Yes",
        ),
        (
            picker("SomethingNew", question="Tea or coffee?", answers=[{"caption": "Tea", "answerId": "t"}, "Coffee"]),
            "Tea or coffee?\n• Tea\n• Coffee",
        ),
        (picker("ListPicker", title="Help", elements=[{"title": "Go", "actionDetail": "urn:go on"}]), "Help\n• Go"),
        (
            picker(
                "ApplePay",
                title="Pay 10",
                payment={
                    "merchantSession": {"nonce": "38319e8b", "signature": "30 82 07"},
                    "paymentRequest": {"supportedNetworks": ["visa"], "total": {"label": "Shoes", "amount": "10.00"}},
                },
            ),
            "Pay 10\nShoes\n10.00",
        ),
        (picker("ViewResource", viewId="arn:aws:view", viewToken="v" * 80), FORM),
        (picker("ViewResource", title="Your order", viewToken="v"), f"Your order\n{FORM}"),
        (picker("SomethingNew", contentId="x", mode="FULL_SCREEN"), UNREADABLE),
        (picker("SomethingNew"), UNREADABLE),
    ],
    ids=lambda text: text.replace("\n", " ")[:40] if isinstance(text, str) else "",
)
def test_a_template_reads_as_a_list(template: Item, text: str) -> None:
    assert text_of(template) == text


@pytest.mark.parametrize(
    "content",
    [
        *("", "{", "[]", "{}", "null", '{"data": null}', '{"data":{"content":{"elements":[]}}}', "[" * 8000),
        *('{"a":' * 900, '{"data":{"content":{"title":{}}}}', "[" * 900 + "]" * 900),
        '{"data":{"content":{"elements":[null,true]}}}',
    ],
    ids=lambda content: content[:30],
)
@pytest.mark.parametrize("kind", [INTERACTIVE, f"{INTERACTIVE}.response", "application/json"])
def test_a_template_without_words_is_a_readable_line_never_json_and_never_silence(content: str, kind: str) -> None:
    assert text_of(item(content_type=kind, content=content)) == UNREADABLE


def test_words_that_are_no_json_are_shown_as_they_are() -> None:
    assert text_of(item(content_type=INTERACTIVE, content="Please wait")) == "Please wait"
    assert text_of(item(content_type="application/json", content='"Please wait"')) == "Please wait"
    assert text_of(item(content_type="application/json", content='{"answer": "It is open."}')) == "It is open."


def test_a_template_of_thousands_of_choices_is_cut() -> None:
    many = text_of(picker(title="Many", elements=[{"title": str(n)} for n in range(5000)]))
    assert many is not None
    assert many.splitlines()[0] == "Many"
    assert many.splitlines()[-1] == "…"
    assert len(many.splitlines()) < 200


@pytest.mark.parametrize(
    ("markdown", "text"),
    [
        ("It is **very** important", "It is very important"),
        ("See [our page](https://example.com/a?b=c) now", "See our page (https://example.com/a?b=c) now"),
        ("# Title\n- one\n- ~~two~~", "Title\n- one\n- two"),
        ("2 * 3 ** 4 and snake_case_name", "2 * 3 ** 4 and snake_case_name"),
        ("[not a link] (really)", "[not a link] (really)"),
    ],
)
def test_markdown_reads_without_its_marks(markdown: str, text: str) -> None:
    assert text_of(item(content_type="text/markdown", content=markdown)) == text


def test_html_reads_without_its_tags() -> None:
    shown = text_of(item(content_type="text/html", content="<p>3 &lt; 4 &amp; <b>bold</b></p>"))
    assert shown is not None
    assert shown.split() == ["3", "<", "4", "&", "bold"]


def test_a_bots_template_that_came_as_plain_text_is_no_json_and_an_agents_words_are_theirs() -> None:
    template = picker(title="Sure?", elements=[{"title": "Yes"}]).content
    assert text_of(item(participant_role="SYSTEM", content=template)) == "Sure?\n• Yes"
    assert text_of(item(participant_role="AGENT", content=template)) == template
    assert text_of(item(participant_role="SYSTEM", content="{curly} words")) == "{curly} words"
    assert text_of(item(content_type="application/vnd.something.new", content='{"a": 1}')) == UNREADABLE


@pytest.mark.parametrize("hostile", ["**a" * 5000, "[" * 16_000, "[a](" * 4000, "**" * 8000, "[a](https://" * 1300])
def test_hostile_markdown_takes_no_time(hostile: str) -> None:
    began = time.process_time()
    text_of(item(content_type="text/markdown", content=hostile))
    assert time.process_time() - began < 2


def test_only_what_can_be_shown_is_asked_for() -> None:
    assert set(CONTENT_TYPES) == {"text/plain", INTERACTIVE}


def test_what_postgresql_cannot_store_is_replaced() -> None:
    news = read(item(id="a\x00", content="b\x00", display_name="c\x00", content_type="d\x00"))
    assert isinstance(news, Said)
    stored = (news.text, news.item.id, news.item.content, news.item.display_name, news.item.content_type)
    assert stored == ("b\ufffd", "a\ufffd", "b\ufffd", "c\ufffd", "d\ufffd")


def test_an_items_time_is_connects() -> None:
    assert moment(item(absolute_time="2026-05-24T21:42:55.867Z")) == datetime(2026, 5, 24, 21, 42, 55, 867000, UTC)


@pytest.mark.parametrize("absolute_time", ["", "yesterday", "0001-01-01T00:00:00+14:00"])
def test_an_item_with_no_time_that_can_be_read_has_ours(absolute_time: str) -> None:
    assert abs(moment(item(absolute_time=absolute_time)) - datetime.now(UTC)) < timedelta(seconds=5)


@pytest.mark.parametrize(
    ("kind", "content", "text"),
    [
        ("text/markdown; charset=utf-8", "**now**", "now"),
        ("Text/Markdown", "![our shop](https://example.com/a.png)", "our shop (https://example.com/a.png)"),
        ("TEXT/HTML;charset=UTF-8", "<b>now</b>", "now"),
        (INTERACTIVE.upper(), picker(title="Sure?").content, "Sure?"),
        ("application/json", '["Tea", "Coffee"]', "• Tea\n• Coffee"),
    ],
)
def test_a_content_type_counts_however_it_is_spelled(kind: str, content: str, text: str) -> None:
    shown = text_of(item(content_type=kind, content=content))
    assert shown is not None
    assert shown.strip() == text


@pytest.mark.parametrize("indent", [None, 2])
def test_a_bots_template_that_came_as_plain_text_is_one_wherever_its_name_stands(indent: int | None) -> None:
    content = {"title": "Sure?", "elements": [{"title": "Yes"}]}
    template = {"version": "1.0", "data": {"content": content}, "templateType": "QuickReply"}
    assert text_of(item(participant_role="SYSTEM", content=json.dumps(template, indent=indent))) == "Sure?\n• Yes"


def test_a_response_card_of_an_older_bot_reads_as_a_list() -> None:
    card = {"title": "Size?", "subTitle": "Pick", "buttons": [{"text": "S", "value": "s"}, {"text": "L", "value": "l"}]}
    cards = {"version": 1, "contentType": "application/vnd.amazonaws.card.generic", "genericAttachments": [card]}
    assert text_of(item(participant_role="SYSTEM", content=json.dumps(cards))) == "Size?\nPick\n• S\n• L"


def test_whoever_else_speaks_in_the_chat_is_heard_and_never_our_own_echo() -> None:
    shown = read(item(participant_role="AI_AGENT_OF_A_THIRD_PARTY", content="Hi"))
    assert isinstance(shown, Said)
    assert (shown.text, shown.item.participant_role) == ("Hi", "SYSTEM")
    assert read(item(participant_role="customer", content="ours")) == Nothing()
    assert read(item(participant_role=" ", content="nobody")) == Nothing()


def test_a_message_that_brings_a_file_names_it() -> None:
    files = [Attached(attachment_name="a.pdf", status="APPROVED")]
    assert text_of(item(content="See here", attachments=files)) == "See here\n[file: a.pdf · cannot be shown here]"


def test_a_file_of_whose_scan_nothing_is_known_may_come_again() -> None:
    assert is_unfinished(item(type="ATTACHMENT", attachments=[Attached(attachment_name="a.pdf")]))
    assert not is_unfinished(item(type="ATTACHMENT", attachments=[Attached(status="REJECTED")]))


def test_a_time_without_a_zone_is_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as here:
        here.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        at = moment(item(absolute_time="2026-05-24T21:42:55.867"))
    time.tzset()
    assert at == datetime(2026, 5, 24, 21, 42, 55, 867000, UTC)
