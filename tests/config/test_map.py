"""The map of rooms is what the imports are; the walks through it name files that exist, and not too many of them."""

from __future__ import annotations

import re

import pytest

from tests import rooms

#: How many files a reader opens at most to follow one message.
LONGEST_WALK = 12
WALKS = ("The way of a customer's message", "The way of an agent's message")


def walk(title: str) -> list[str]:
    """Return the files that the numbered steps of the section name, in order."""
    _, _, section = rooms.PAGE.read_text().partition(f"## {title}\n")
    return re.findall(r"^\d+\. `([^`]+\.py)`", section.partition("\n## ")[0], re.MULTILINE)


def test_the_page_is_what_the_command_makes() -> None:
    page = rooms.PAGE.read_text()

    assert page == rooms.written(page), "`make map` draws it anew"


@pytest.mark.parametrize("app", rooms.DRAWN)
def test_each_room_of_the_contract_is_there_and_imports_go_down(app: str) -> None:
    place = {room: number for number, row in enumerate(rooms.layers(app)) for room in row}
    arrows = rooms.rooms(app)

    assert arrows.keys() == place.keys()
    assert {(room, other) for room, others in arrows.items() for other in others if place[other] < place[room]} == set()


def test_arrows_that_follow_from_others_are_left_out() -> None:
    assert rooms.reduced({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == {"a": {"b"}, "b": {"c"}, "c": set()}


@pytest.mark.parametrize("title", WALKS)
def test_a_walk_names_files_that_exist_and_at_most_twelve(title: str) -> None:
    files = walk(title)

    assert 6 <= len(files) <= LONGEST_WALK
    assert [name for name in files if not any(rooms.ROOT.glob(name.replace("<kind>", "*")))] == []
