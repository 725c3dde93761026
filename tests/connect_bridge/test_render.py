"""What Connect's items become for a customer who reads plain text."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connect_bridge.gateway import Attached, Item, Metadata
from connect_bridge.render import EVENT, INTERACTIVE, AgentJoined, AgentLeft, Ended, Nothing, Said, moment, read


def item(**given: Any) -> Item:
    return Item(**{"id": "1", "type": "MESSAGE", "participant_role": "AGENT", "content_type": "text/plain"} | given)


def event(name: str, role: str = "AGENT", **given: Any) -> Item:
    return item(type="EVENT", content_type=EVENT + name, participant_role=role, **given)


def picker(kind: str = "ListPicker", **content: Any) -> Item:
    shown = {"templateType": kind, "version": "1.0", "data": {"content": content}}
    return item(content_type=INTERACTIVE, participant_role="SYSTEM", content=json.dumps(shown))


def text_of(one: Item) -> str | None:
    news = read(one)
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
    assert read(event("participant.left")) == AgentLeft()
    assert read(event("participant.joined", display_name="Ann")) == AgentJoined("Ann")


def test_a_bots_words_are_heard_when_they_are_complete() -> None:
    forming = Metadata(chunk_number=1, message_completed=False)
    complete = Metadata(chunk_number=2, message_completed=True)
    assert text_of(item(participant_role="SYSTEM", content="Hel", message_metadata=forming)) is None
    assert text_of(item(participant_role="SYSTEM", content="Hello", message_metadata=complete)) == "Hello"


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
            "When?\n• 2026-10-31T17:00+00:00",
        ),
        (picker("QuickReply", title="Sure?", elements=[{"title": "Yes"}, {"title": "No"}]), "Sure?\n• Yes\n• No"),
        (
            picker("Carousel", title="Shoes", elements=[{"templateIdentifier": "boots", "templateType": "Panel"}]),
            "Shoes\n• boots",
        ),
    ],
    ids=["list", "list with subtitles", "times", "quick reply", "carousel"],
)
def test_a_template_reads_as_a_list(template: Item, text: str) -> None:
    assert text_of(template) == text


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        '{"data": null}',
        '{"data":{"content":{"elements":[1]}}}',
        "[" * 8000,
        '{"data":{"content":{"title":{}}}}',
    ],
    ids=["broken", "a list", "no data", "numbers", "deep", "a strange title"],
)
def test_a_template_that_we_cannot_read_is_shown_as_it_came_or_not_at_all(content: str) -> None:
    assert text_of(item(content_type=INTERACTIVE, content=content)) in (content, None)


def test_what_postgresql_cannot_store_is_replaced() -> None:
    news = read(item(id="a\x00", content="b\x00", display_name="c\x00", content_type="d\x00"))
    assert isinstance(news, Said)
    stored = (news.text, news.item.id, news.item.content, news.item.display_name, news.item.content_type)
    assert stored == ("b\ufffd", "a\ufffd", "b\ufffd", "c\ufffd", "d\ufffd")


def test_an_items_time_is_connects() -> None:
    assert moment(item(absolute_time="2026-05-24T21:42:55.867Z")) == datetime(2026, 5, 24, 21, 42, 55, 867000, UTC)


@pytest.mark.parametrize("told", ["", "yesterday", "0001-01-01T00:00:00+14:00"])
def test_an_item_with_no_time_that_can_be_read_has_ours(told: str) -> None:
    assert abs(moment(item(absolute_time=told)) - datetime.now(UTC)) < timedelta(seconds=5)
