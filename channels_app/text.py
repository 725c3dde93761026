"""Cut text to what a messenger or Connect takes, never inside a character that a person sees as one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum

import regex

from channels_app.types import Struct

_GRAPHEME = regex.compile(r"\X")
#: A single grapheme longer than this is zalgo or an attack: it may be cut between code points.
_LONGEST_GRAPHEME = 64


class Unit(Enum):
    """How a service counts length."""

    CODE_POINTS = "code points"
    UTF8_BYTES = "bytes in UTF-8"
    UTF16_UNITS = "UTF-16 units"


class TextLimit(Struct, frozen=True, kw_only=True):
    """The longest text that one message may hold."""

    most: int
    unit: Unit = Unit.CODE_POINTS

    def measure(self, text: str) -> int:
        return _MEASURES[self.unit](text)


_MEASURES: dict[Unit, Callable[[str], int]] = {
    Unit.CODE_POINTS: len,
    Unit.UTF8_BYTES: lambda text: len(text.encode("utf-8", "surrogatepass")),
    Unit.UTF16_UNITS: lambda text: len(text.encode("utf-16-le", "surrogatepass")) // 2,
}


def split_text(text: str, limit: TextLimit) -> list[str]:
    """Return the text in parts, each within the limit; joined they are the text again, to the letter.

    Cuts after a line break or a space in the last third of a part if there is one, else between graphemes.
    """
    if limit.measure(text) <= limit.most:
        return [text]
    return list(_parts(text, limit))


def _parts(text: str, limit: TextLimit) -> Iterator[str]:
    part: list[str] = []
    size = 0
    for piece in _pieces(text, limit):
        weight = limit.measure(piece)
        while part and size + weight > limit.most:  # what a break leaves may still be too much with this piece
            kept = _break_point(part)
            yield "".join(part[:kept])
            part = part[kept:]
            size = limit.measure("".join(part))
        part.append(piece)
        size += weight
    if part:
        yield "".join(part)


def _pieces(text: str, limit: TextLimit) -> Iterator[str]:
    for grapheme in _GRAPHEME.findall(text):
        if len(grapheme) <= _LONGEST_GRAPHEME and limit.measure(grapheme) <= limit.most:
            yield grapheme
        else:
            yield from grapheme


def _break_point(part: list[str]) -> int:
    """Return how many pieces to keep: up to the last white space in the final third, or all of them."""
    for index in range(len(part) - 1, len(part) * 2 // 3, -1):
        if part[index].isspace():
            return index + 1
    return len(part)
