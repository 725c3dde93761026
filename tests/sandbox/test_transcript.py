"""GetTranscript: pages in both directions and orders, from every kind of start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests

from sandbox.world.faults import Fault
from sandbox.world.transcript import OVERLAP

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
    collected: list[list[str]] = []
    while True:
        answer = chat.aws.participant.get_transcript(ConnectionToken=chat.token, **asked)
        collected.append([item["Content"] for item in answer["Transcript"]])
        if not answer.get("NextToken"):
            return collected
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


def test_forwards_needs_a_start(chat: Chatting) -> None:
    for nowhere in ({}, {"StartPosition": {}}):
        asked = {"ConnectionToken": chat.token, "ScanDirection": "FORWARD", **nowhere}
        assert chat.aws.refused(chat.aws.participant.get_transcript, **asked) == ("ValidationException", 400)

    start = {"Id": chat.transcript()[0]["Id"]}
    read = pages(chat, ScanDirection="FORWARD", SortOrder="ASCENDING", MaxResults=20, StartPosition=start)
    assert read == [WORDS[:20], WORDS[20:]]


def test_an_empty_token_is_refused(chat: Chatting) -> None:
    lenient = chat.aws.client("connectparticipant", parameter_validation=False)

    refused = chat.aws.refused(lenient.get_transcript, ConnectionToken=chat.token, NextToken="")
    assert refused == ("ValidationException", 400)


@pytest.mark.parametrize(("fault", "token"), [("token_empty", ""), ("token_same", "same")])
def test_the_last_page_may_have_a_token_that_leads_nowhere(chat: Chatting, fault: str, token: str) -> None:
    chat.aws.world.faults.on.append(Fault(name=fault))
    tokens = [""]
    for _ in range(5):
        more = {"NextToken": tokens[-1]} if tokens[-1] else {}
        answer = chat.aws.participant.get_transcript(ConnectionToken=chat.token, **more)
        tokens.append(answer["NextToken"])
        if not tokens[-1]:
            break

    assert tokens[-1] == token or tokens[-1] == tokens[-2] != ""


def test_pages_may_overlap(chat: Chatting) -> None:
    chat.aws.world.faults.on.append(Fault(name="page_overlap"))

    first, second, *_ = pages(chat)

    assert first[-OVERLAP:] == second[:OVERLAP]
    assert [*dict.fromkeys(word for page in pages(chat) for word in page)] == WORDS[::-1]


def test_members_that_are_not_set_may_be_null(chat: Chatting) -> None:
    chat.aws.world.faults.on.append(Fault(name="null_members"))
    headers = {"X-Amz-Bearer": chat.token}
    answer = requests.post(f"{chat.aws.url}/participant/transcript", json={}, headers=headers, timeout=20).json()

    assert {item["Content"] for item in answer["Transcript"]} == set(WORDS[15:])
    assert {item["Attachments"] for item in answer["Transcript"]} == {None}


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
        {"StartPosition": {"AbsoluteTime": "2025-01-01T00:00:00Z"}},
        {"StartPosition": {"AbsoluteTime": "2025-01-01T00:00:00.000000Z"}},
        {"StartPosition": {"AbsoluteTime": "2025-01-01T00:00:00.000+00:00"}},
        {"StartPosition": {"AbsoluteTime": "2025-13-01T00:00:00.000Z"}},
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
