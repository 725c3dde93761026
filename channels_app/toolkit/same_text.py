"""Whether two texts say the same, as far as a messenger leaves a text alone: blanks and links it may rewrite."""

from __future__ import annotations

import re

#: With a scheme or without one: X makes a link of both. What only looks like a host counts as one on both sides.
_LINK = re.compile(
    r"https?://\S+|(?<![\w@.-])(?:[a-z0-9-]{1,63}\.){1,8}[a-z]{2,24}(?![\w@-])\S*", re.IGNORECASE | re.ASCII
)


def words_of(text: str) -> list[str]:
    """Return a text's words; every link counts as the same word."""
    return _LINK.sub("link", text).split()
