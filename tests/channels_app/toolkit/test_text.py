"""Text cut for a messenger: nothing lost, nothing too long, no character that a person sees as one cut in two."""

from __future__ import annotations

import pytest
import regex
from hypothesis import example, given
from hypothesis import strategies as st

from channels_app.toolkit.text import TextLimit, Unit, cut_text, is_blank, split_text

FAMILY = "\U0001f468‍\U0001f469‍\U0001f467‍\U0001f466"
FLAG = "\U0001f1ea\U0001f1f8"
ACCENTED = "ế"
BLANKS = " \n\t\u00a0\u2028\u200b\u200d\u2060\u3164\u2800\ufeff\u00ad"
pieces = st.sampled_from(["a", "é", ACCENTED, " ", "\n", "\r\n", FAMILY, FLAG, "汉", "\U0001f600"])
texts = st.one_of(st.lists(pieces, max_size=300).map("".join), st.text(max_size=300))
limits = st.builds(TextLimit, most=st.integers(30, 120), unit=st.sampled_from(Unit))


@given(texts, limits)
def test_the_parts_are_the_text_and_none_is_too_long(text: str, limit: TextLimit) -> None:
    parts = list(cut_text(text, limit))
    assert "".join(parts) == text
    assert all(limit.measure(part) <= limit.most for part in parts)


@given(st.lists(pieces, min_size=1, max_size=300).map("".join), limits)
@example("a" * 6 + " " + FAMILY * 2, TextLimit(most=30, unit=Unit.UTF8_BYTES))
def test_no_grapheme_is_cut(text: str, limit: TextLimit) -> None:
    parts = list(cut_text(text, limit))
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


@pytest.mark.parametrize(("text", "parts"), [("", 0), (" \n", 0), ("x" * 10, 1), ("x" * 11, 2), ("́" * 1000, 100)])
def test_there_are_as_few_parts_as_there_can_be(text: str, parts: int) -> None:
    assert len(split_text(text, TextLimit(most=10))) == parts


blank_runs = st.text(BLANKS, min_size=1, max_size=400)
gappy = st.lists(st.one_of(pieces, blank_runs), max_size=20).map("".join)


def seen(text: str) -> str:
    return "".join(one for one in text if not is_blank(one))


@given(st.one_of(gappy, texts), limits)
@example("a" * 40 + "\n", TextLimit(most=40))
@example("hi" + "\n" * 2500 + "bye", TextLimit(most=1024))
@example("\u200b" * 300, TextLimit(most=40, unit=Unit.UTF16_UNITS))
def test_no_part_is_blank_and_nothing_that_shows_is_lost(text: str, limit: TextLimit) -> None:
    parts = split_text(text, limit)
    assert not any(is_blank(part) for part in parts)
    assert all(limit.measure(part) <= limit.most for part in parts)
    assert seen("".join(parts)) == seen(text)


@given(gappy, limits)
def test_what_is_left_out_are_whole_parts(text: str, limit: TextLimit) -> None:
    assert split_text(text, limit) == [part for part in cut_text(text, limit) if not is_blank(part)]


@pytest.mark.parametrize(
    "text", ["", " ", "\r\n\t", "\u200b\u200c\u200d\ufeff", "\u3164\u115f\u2800", "\u034f\ufe0f", "\x00"]
)
def test_what_nobody_sees_is_blank(text: str) -> None:
    assert is_blank(text)


@pytest.mark.parametrize("text", ["a", ".", FAMILY, "\u0301", "\ue000", "\U0010fffd", "\u200ba"])
def test_what_may_show_is_not(text: str) -> None:
    assert not is_blank(text)


def test_a_long_blank_text_is_told_at_once() -> None:
    assert is_blank(" \u200b" * 500_000)
    assert not is_blank(" \u200b" * 500_000 + "x")
