from __future__ import annotations

import re
from pathlib import Path

from tests.channels_app.webhooks.bad_input_rows import NOT_YET

TESTS = Path(__file__).resolve().parents[2]
LAST = 77


def numbers_in(path: Path) -> set[int]:
    """Return the rows that a file's tests and ids are named after."""
    text = path.read_text()
    named = [number for row in re.findall(r"def test_((?:\d{1,2}_)+)", text) for number in row.split("_") if number]
    ids = re.findall(r"\"(\d{1,2}) \w", text) if "catalogue" in text else []
    return {int(number) for number in [*named, *ids]}


def test_every_row_of_the_catalogue_has_a_test_or_a_reason_why_not() -> None:
    tested = set().union(*(numbers_in(path) for path in TESTS.rglob("*.py")))
    assert set(range(1, LAST + 1)) - tested - NOT_YET.keys() == set()
    assert tested & NOT_YET.keys() == set()
