"""The walks through the code that docs/explanation/architecture.md lists are short, and their files are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/explanation/architecture.md"
#: Nobody keeps more files in mind.
MOST_FILES = 12


@pytest.mark.parametrize("title", ["The way of an agent's message"])
def test_a_walk_names_a_dozen_files_at_most_and_all_are_there(title: str) -> None:
    section = PAGE.read_text().partition(f"## {title}\n")[2].partition("\n## ")[0]
    files = re.findall(r"^\d+\. `([^`]+)`", section, re.MULTILINE)

    assert 0 < len(files) <= MOST_FILES
    assert [file for file in files if not (ROOT / file).is_file()] == []
