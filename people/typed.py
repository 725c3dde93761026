"""What people type into pages, as the database takes it: text without the characters that no text has."""

from __future__ import annotations

import json
import re
from typing import Any

from django.http import HttpRequest

#: PostgreSQL's documentation, "Character Types" and "JSON Types": neither holds NUL, nor half of a surrogate pair.
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
#: Not even an answer can quote these.
HALVES = re.compile("[\ud800-\udfff]")


def posted_text(request: HttpRequest, name: str, most: int = 300) -> str:
    """Return what a form says under a name, cut to `most` characters; "" if it says nothing."""
    return storable(request.POST.get(name, ""))[:most]


def storable(text: str) -> str:
    """Return a text without what no text column takes, and without blanks around it."""
    return UNSTORABLE.sub("", text).strip()


def is_storable(value: Any) -> bool:
    """Return whether a column for JSON takes a value that was read from JSON."""
    return not holds(value, UNSTORABLE)


def holds(value: Any, what: re.Pattern[str]) -> bool:
    """Return whether any text in a value that was read from JSON, names included, holds what a pattern finds."""
    waiting = [value]
    while waiting:
        current = waiting.pop()
        if isinstance(current, str) and what.search(current):
            return True
        if isinstance(current, dict):
            waiting += current.keys()
            waiting += current.values()
        elif isinstance(current, list):
            waiting += current
    return False


class Decoder(json.JSONDecoder):
    """Reads JSON that somebody typed. What Python cannot read, or the database cannot hold, is no JSON either."""

    def decode(self, s: str, *_: Any) -> Any:
        try:
            value = super().decode(s)
        except (RecursionError, ValueError):  # nested too deeply; a number of five thousand digits
            raise json.JSONDecodeError("not JSON that could be meant", s[:100], 0) from None
        if not is_storable(value):
            raise json.JSONDecodeError("a character that no text has", s[:100], 0)
        return value
