"""The page on architecture lists the files through which a message goes, each way: they are there, and few."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/explanation/architecture.md"
#: What a reader goes through to follow one message.
MOST = 12


def files(heading: str) -> list[str]:
    """Return the files that the section's numbered list begins its lines with."""
    section = PAGE.read_text().partition(f"## {heading}\n")[2].partition("\n#")[0]
    return re.findall(r"^\d+\. `([^`]+)`", section, re.MULTILINE)


WAYS = {heading: files(heading) for heading in ("The way of a customer's message", "The way of an agent's message")}


@pytest.mark.parametrize("way", WAYS)
def test_the_list_is_short(way: str) -> None:
    assert 8 <= len(WAYS[way]) <= MOST


@pytest.mark.parametrize("name", [name for names in WAYS.values() for name in names])
def test_every_file_is_there(name: str) -> None:
    assert (ROOT / name.replace("<kind>", "messenger")).is_file()
