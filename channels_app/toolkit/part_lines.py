"""The lines in square brackets that stand for what Connect's chat cannot show."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from channels_app.types import Part, PartKind

#: Characters of a name, caption or link that a placeholder quotes.
LONGEST_QUOTE = 300
#: Characters of one answer of a form.
LONGEST_ANSWER = 1_000
#: Characters that turn the direction of what follows: in a name they would also turn our own words around it.
_TURNS = dict.fromkeys((*range(0x202A, 0x202F), *range(0x2066, 0x206A)))

_NOUNS = {
    PartKind.IMAGE: "image",
    PartKind.AUDIO: "audio",
    PartKind.VOICE: "voice message",
    PartKind.VIDEO: "video",
    PartKind.FILE: "file",
    PartKind.STICKER: "sticker",
    PartKind.CONTACT: "contact",
    PartKind.LINK: "link",
    PartKind.ORDER: "order",
    PartKind.FORM: "form",
    PartKind.STORY: "story",
}


def quote(text: str, most: int = LONGEST_QUOTE) -> str:
    """Return the text on one line, written in one direction and not too long: nobody can draw lines of their own."""
    line = " ".join(text.translate(_TURNS).split())
    return line if len(line) <= most else line[: most - 1] + "…"


def bracketed(noun: str, *details: str) -> str:
    known = " · ".join(quote(detail) for detail in details if detail.strip())
    return f"[{noun}: {known}]" if known else f"[{noun}]"


def _named(part: Part) -> str:
    return with_answers(bracketed(_NOUNS[part.kind], part.name, part.caption, part.detail), part.answers)


def with_answers(line: str, answers: Iterable[tuple[str, str]]) -> str:
    """Return the line and below it each answer of a form by itself."""
    pairs = ((quote(question), quote(answer, LONGEST_ANSWER)) for question, answer in answers)
    return "\n".join([line, *(f"{question}: {answer}" if question else answer for question, answer in pairs)])


def _location(part: Part) -> str:
    coordinates = ", ".join(_degrees(angle) for angle in (part.latitude, part.longitude) if angle is not None)
    return bracketed("location", coordinates, part.name, part.caption, part.detail)


def _degrees(angle: float) -> str:
    """Return the angle to a millionth of a degree, a tenth of a metre, without idle zeros."""
    return f"{angle:.6f}".rstrip("0").rstrip(".")


def _linked(part: Part) -> str:
    return bracketed(_NOUNS[part.kind], part.name, part.caption, part.media_ref)


def _story(part: Part) -> str:
    return f"[{quote(part.detail or 'about a story')}]"


def _encrypted(_part: Part) -> str:
    return "[encrypted message: X Chat is not readable here]"


def _unsupported(part: Part) -> str:
    details = (part.name, part.caption, part.detail, part.media_ref)
    return with_answers(bracketed("a kind of message that cannot be shown here", *details), part.answers)


_LINES: dict[PartKind, Callable[[Part], str]] = {
    PartKind.LOCATION: _location,
    PartKind.LINK: _linked,
    PartKind.STORY: _story,
    PartKind.ENCRYPTED: _encrypted,
    PartKind.UNSUPPORTED: _unsupported,
}


def line_of(part: Part) -> str:
    """Return the line, or lines, that stand for a part of a message."""
    return _LINES.get(part.kind, _named)(part)
