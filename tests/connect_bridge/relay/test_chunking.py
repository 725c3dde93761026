"""A customer's message in the parts that Connect takes."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels_app.toolkit.placeholders import EMPTY
from channels_app.toolkit.text import is_blank
from connect_bridge.connect.gateway import FOR_AGENT, FOR_BOT, LARGEST_MESSAGE, LONGEST_FOR_BOT
from connect_bridge.relay.chunking import LONGEST_TEXT, next_part, position_after, shown, token
from connect_bridge.storage.relaying import Pending

blanks = st.text(" \n\t\u200b\u2028\u3164", min_size=1, max_size=3000)
texts = st.one_of(
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=4000),
    st.lists(st.one_of(st.sampled_from(["hi", "bye", "x" * 1024, "ä"]), blanks), min_size=1, max_size=6).map("".join),
)
limits = st.sampled_from([FOR_BOT, FOR_AGENT])


def message(text: str) -> Pending:
    return Pending(id=uuid.uuid4(), sequence=1, text=text, relayed=0, attempts=0, created_at=datetime.now(UTC))


def parts_of(text, turns):
    """Return what Connect gets, with the tokens, and where each part ends, though bot and agent take turns."""
    left, parts, tokens, ends = message(text), [], [], []
    while part := next_part(left, turns[len(parts) % len(turns)]):
        parts.append(part)
        tokens.append(token(left, part))
        left = msgspec.structs.replace(left, relayed=position_after(left, part))
        ends.append(left.relayed)
    return parts, tokens, ends


@given(texts, st.lists(limits, min_size=1))
def test_the_parts_are_what_shows_of_the_text_though_bot_and_agent_take_turns(text, turns):
    parts, tokens, ends = parts_of(text, turns)
    whole, at = shown(text), 0
    assert parts
    for part in parts:
        begin = whole.index(part, at)
        assert is_blank(whole[at:begin])
        at = begin + len(part)
    assert is_blank(whole[at:])
    assert ends[-1] == len(whole)
    assert ends == sorted(set(ends))
    assert len(set(tokens)) == len(tokens)
    assert not any(is_blank(part) for part in parts)


def test_line_breaks_that_fill_a_part_of_their_own_are_not_sent():
    parts, _, _ = parts_of("hi" + "\n" * 2500 + "bye", [FOR_BOT])
    assert [part.strip() for part in parts] == ["hi", "bye"]


def test_a_line_break_behind_the_longest_part_is_done_with_it():
    assert parts_of("a" * 1024 + "\n", [FOR_BOT])[::2] == (["a" * 1024], [1025])


@pytest.mark.parametrize("text", ["", "\n\n", "\u200b\u2060"])
def test_a_message_of_which_nothing_shows_says_so(text):
    assert next_part(message(text), FOR_AGENT) == EMPTY


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
