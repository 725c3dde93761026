"""GetTranscript: pages in both directions and orders, from every kind of start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Chatting, RunningWorld

COUNT = 25
WORDS = [f"message {number:02}" for number in range(COUNT)]


@pytest.fixture
def chat(aws: RunningWorld) -> Chatting:
    chat = aws.start()
    for word in WORDS:
        chat.say(word)
    return chat


def pages(chat: Chatting, **asked: Any) -> list[list[str]]:
    """Read page after page until there is no NextToken."""
    found: list[list[str]] = []
    while True:
        answer = chat.aws.participant.get_transcript(ConnectionToken=chat.token, **asked)
        found.append([item["Content"] for item in answer["Transcript"]])
        if "NextToken" not in answer:
            return found
        asked["NextToken"] = answer["NextToken"]


def test_by_default_the_ten_newest_come_the_newest_first(chat: Chatting) -> None:
    first, second, third = pages(chat)

    assert first == WORDS[:14:-1]
    assert second == WORDS[14:4:-1]
    assert third == WORDS[4::-1]


def test_ascending_order_turns_each_page_and_not_the_scan(chat: Chatting) -> None:
    first, *_, last = pages(chat, SortOrder="ASCENDING", MaxResults=10)

    assert first == WORDS[15:]
    assert last == WORDS[:5]


def test_forwards_from_the_beginning(chat: Chatting) -> None:
    found = pages(chat, ScanDirection="FORWARD", SortOrder="ASCENDING", MaxResults=20)

    assert found == [WORDS[:20], WORDS[20:]]


def test_from_an_item_both_ways(chat: Chatting) -> None:
    start = {"Id": chat.transcript()[10]["Id"]}

    assert pages(chat, StartPosition=start, SortOrder="ASCENDING", MaxResults=100) == [WORDS[10:]]
    backward = pages(chat, StartPosition=start, ScanDirection="BACKWARD", SortOrder="ASCENDING", MaxResults=100)
    assert backward == [WORDS[:11]]


def test_from_a_time_both_ways(chat: Chatting) -> None:
    items = chat.transcript()
    at = items[10]["AbsoluteTime"]
    later = [item["Content"] for item in items if item["AbsoluteTime"] >= at]
    earlier = [item["Content"] for item in items if item["AbsoluteTime"] <= at]
    start = {"StartPosition": {"AbsoluteTime": at}, "SortOrder": "ASCENDING", "MaxResults": 100}

    assert pages(chat, **start) == [later]
    assert pages(chat, **start, ScanDirection="BACKWARD") == [earlier]


def test_the_most_recent_and_a_page_that_new_items_do_not_shift(chat: Chatting) -> None:
    asked = {"StartPosition": {"MostRecent": 3}, "SortOrder": "ASCENDING", "MaxResults": 2}
    assert pages(chat, **asked) == [WORDS[-3:-1], WORDS[-1:]]

    answer = chat.aws.participant.get_transcript(ConnectionToken=chat.token, MaxResults=5)
    chat.say("meanwhile")
    following = chat.aws.participant.get_transcript(
        ConnectionToken=chat.token, MaxResults=5, NextToken=answer["NextToken"]
    )
    assert [item["Content"] for item in following["Transcript"]] == WORDS[19:14:-1]


def test_an_empty_start_is_none_and_the_initial_contact_is_named(chat: Chatting) -> None:
    answer = chat.aws.participant.get_transcript(
        ConnectionToken=chat.token, StartPosition={}, ContactId=chat.contact_id, MaxResults=0
    )

    assert answer["InitialContactId"] == chat.contact_id
    assert [item["Content"] for item in answer["Transcript"]] == WORDS[:14:-1]


@pytest.mark.parametrize(
    "asked",
    [
        {"StartPosition": {"Id": "nobody"}},
        {"StartPosition": {"AbsoluteTime": "yesterday"}},
        {"StartPosition": {"AbsoluteTime": "2025-01-01T00:00:00"}},
        {"StartPosition": {"MostRecent": 1, "Id": "both"}},
        {"NextToken": "forged"},
        {"NextToken": "WzEwMDAwLHRydWUsMF0="},
        {"MaxResults": 101},
        {"ContactId": "another"},
        {"SortOrder": "RANDOM"},
    ],
)
def test_positions_and_tokens_that_do_not_exist(chat: Chatting, asked: dict[str, Any]) -> None:
    lenient = chat.aws.client("connectparticipant", parameter_validation=False)

    refused = chat.aws.refused(lenient.get_transcript, ConnectionToken=chat.token, **asked)

    assert refused == ("ValidationException", 400)
