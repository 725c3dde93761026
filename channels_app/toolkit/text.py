"""Cut text to what a messenger or Connect takes, never inside a character that a person sees as one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum

import regex

from channels_app.types import Struct

_GRAPHEME = regex.compile(r"\X")
#: Nothing of this shows on a screen: white space, controls, joiners, fillers, the empty braille pattern (Unicode
#: Standard, DerivedCoreProperties: Default_Ignorable_Code_Point). Services refuse a message of such characters alone.
_BLANK = regex.compile(r"[\s\p{Cc}\p{Cf}\p{Z}\p{Default_Ignorable_Code_Point}\u2800]*+")
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


def is_blank(text: str) -> bool:
    """Return whether a person sees nothing of it."""
    return _BLANK.fullmatch(text) is not None


def split_text(text: str, limit: TextLimit) -> list[str]:
    """Return the text in parts, each within the limit and none blank: a text that is blank has none.

    Cuts after a line break or a space in the last third of a part if there is one, else between graphemes. Joined the
    parts are the text again, to the letter, but for stretches of blanks that would have been a part of their own.
    """
    return [part for part in cut_text(text, limit) if not is_blank(part)]


def cut_text(text: str, limit: TextLimit) -> Iterator[str]:
    """Yield the text in parts as split_text does, blank ones too: joined they are the text again, to the letter."""
    if limit.measure(text) <= limit.most:
        yield text
    else:
        yield from _parts(text, limit)


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
