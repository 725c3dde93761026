"""Text cut for a messenger: nothing lost, nothing too long, no character that a person sees as one cut in two."""

from __future__ import annotations

import pytest
import regex
from hypothesis import example, given
from hypothesis import strategies as st

from channels_app.text import TextLimit, Unit, split_text

FAMILY = "\U0001f468‍\U0001f469‍\U0001f467‍\U0001f466"
FLAG = "\U0001f1ea\U0001f1f8"
ACCENTED = "ế"
pieces = st.sampled_from(["a", "é", ACCENTED, " ", "\n", "\r\n", FAMILY, FLAG, "汉", "\U0001f600"])
texts = st.one_of(st.lists(pieces, max_size=300).map("".join), st.text(max_size=300))
limits = st.builds(TextLimit, most=st.integers(30, 120), unit=st.sampled_from(Unit))


@given(texts, limits)
def test_the_parts_are_the_text_and_none_is_too_long(text: str, limit: TextLimit) -> None:
    parts = split_text(text, limit)
    assert "".join(parts) == text
    assert all(limit.measure(part) <= limit.most for part in parts)


@given(st.lists(pieces, min_size=1, max_size=300).map("".join), limits)
@example("a" * 6 + " " + FAMILY * 2, TextLimit(most=30, unit=Unit.UTF8_BYTES))
def test_no_grapheme_is_cut(text: str, limit: TextLimit) -> None:
    parts = split_text(text, limit)
    assert [one for part in parts for one in regex.findall(r"\X", part)] == regex.findall(r"\X", text)


def test_a_break_before_heavy_characters_leaves_no_part_too_long() -> None:
    heavy = "e" + "́" * 57
    text = "aaaaa " + heavy + heavy
    assert [len(part) <= 64 for part in split_text(text, TextLimit(most=64))] == [True, True, True]


def test_words_stay_whole_where_a_space_is_near() -> None:
    assert split_text("seven words are enough for this one", TextLimit(most=16)) == [
        "seven words are ",
        "enough for this ",
        "one",
    ]


@pytest.mark.parametrize(("text", "parts"), [("", 1), ("x" * 10, 1), ("x" * 11, 2), ("́" * 1000, 100)])
def test_there_are_as_few_parts_as_there_can_be(text: str, parts: int) -> None:
    assert len(split_text(text, TextLimit(most=10))) == parts
