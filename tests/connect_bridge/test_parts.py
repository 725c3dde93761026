"""A customer's message in the parts that Connect takes."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connect_bridge.gateway import LARGEST_MESSAGE, LONGEST_FOR_BOT
from connect_bridge.parts import FOR_AGENT, FOR_BOT, LONGEST_TEXT, next_part, shown, token
from connect_bridge.store import Pending

texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=4000)
limits = st.sampled_from([FOR_BOT, FOR_AGENT])


def message(text: str) -> Pending:
    return Pending(id=uuid.uuid4(), sequence=1, text=text, relayed=0, attempts=0, created_at=datetime.now(UTC))


@given(texts, st.lists(limits, min_size=1))
def test_the_parts_are_the_text_though_bot_and_agent_take_turns(text, turns):
    left, parts, tokens = message(text), [], []
    while part := next_part(left, turns[len(parts) % len(turns)]):
        parts.append(part)
        tokens.append(token(left, part))
        left = msgspec.structs.replace(left, relayed=left.relayed + len(part))
    assert "".join(parts) == text
    assert len(set(tokens)) == len(tokens)


@given(texts)
def test_no_part_is_more_than_connect_takes(text):
    assert len(next_part(message(text), FOR_BOT)) <= LONGEST_FOR_BOT
    assert len(next_part(message(text * 5), FOR_AGENT).encode()) <= LARGEST_MESSAGE


def test_a_whole_message_is_known_by_its_id():
    hello = message("Hello")
    assert token(hello, "Hello") == str(hello.id)


def test_a_part_is_known_by_where_it_begins_and_ends():
    long = message("x" * 2000)
    assert token(long, next_part(long, FOR_BOT)) == f"{long.id}:0:1024"
    assert token(msgspec.structs.replace(long, relayed=1024), "x" * 976) == f"{long.id}:1024:976"


@pytest.mark.parametrize("length", [LONGEST_TEXT, LONGEST_TEXT + 1, 1_000_000])
def test_49_what_is_too_long_says_how_much_is_missing(length):
    text = shown("x" * length)
    missing = length - LONGEST_TEXT
    assert text.startswith("x" * LONGEST_TEXT)
    assert (f"{missing} more characters" in text) == (missing > 0)
