"""Interactive messages of flows, bots and agents, as lines that any messenger can show. Pure.

Amazon Connect checks a template's shape where a flow sends it, and new ones appear (administrator guide, "interactive
messages"). So what is known here is only where words for people stand in a template; wherever they are, they are shown,
with the choices as a list. What nobody is to read, such as ids and the addresses of pictures, is left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

#: Instead of what has no words at all, or cannot be read.
FORM = "[a form or guide was offered that cannot be shown here]"
UNREADABLE = "[a message that cannot be shown here]"
#: Words that head a part of a template, in the order in which they are read.
_HEADS = ("title", "header", "heading", "subtitle", "text", "body", "message", "description", "label", "footer")
#: Where choices stand, and other parts of a template.
_CHOICES = ("elements", "options", "items", "rows", "buttons", "timeslots", "pages", "sections", "cards")
_PARTS = ("content", "data", "action", "location", "event", *_CHOICES)
#: Where a choice leads (chat interface: elements of the type "hyperlink").
_LINKS = ("url", "link", "href")
_KNOWN = frozenset({*_HEADS, *_PARTS, *_LINKS, "reply", "date", "timeZoneOffset"})
#: Names of what is for software, and words that are: constants, addresses, JSON, what no person can have written.
_TECHNICAL = re.compile(
    r"(?i)^(?:image|template|replymessage|mime|duration|radius|latitude|longitude|actiondetail|merchant|supportednet)"
    r"|(?:id|ids|type|token|version|ur[il]|link|href|data|identifier|arn|key|code|format|status|name|style|index)$"
)
_NO_WORDS = re.compile(r"[A-Z0-9_]+|(?:https?://|data:|[{\[]).*|\S{61,}", re.DOTALL)
#: Parts within parts that are looked into, and lines that are shown: a hostile template is not worth more.
_DEEPEST, _MOST_LINES = 12, 120


def lines_of(content: str, zone: str = "") -> str:
    """Return an interactive message as text, whatever it is; never raw JSON, never nothing.

    Times are shown in the template's own zone, else in `zone`, by name. The customer answers with a choice's title:
    Connect expects just that.
    """
    try:
        shown = json.loads(content)
    except (ValueError, RecursionError):
        return UNREADABLE if content.lstrip()[:1] in ("", "{", "[", '"') else content
    lines: list[str] = []
    for line in _lines(shown, 0, _named(zone)) if isinstance(shown, dict | list) else [_words(shown)]:
        if line and line not in lines[-1:]:
            lines.append(line)
        if len(lines) == _MOST_LINES:
            lines.append("…")
            break
    if isinstance(shown, dict) and shown.get("templateType") == "ViewResource":
        lines.append(FORM)
    return "\n".join(lines) or UNREADABLE


def _lines(node: Any, depth: int, zone: tzinfo | None) -> Iterator[str]:
    """Yield what of a template is for people: its heads, then its parts."""
    if depth > _DEEPEST:
        return
    if isinstance(node, list):
        for part in node:
            yield from _lines(part, depth + 1, zone) if isinstance(part, dict | list) else _listed(part)
    elif isinstance(node, dict):
        zone = _offset(node.get("timeZoneOffset")) or zone
        yield from _said(node)
        for name, value in _parts(node):
            if name in _CHOICES or (isinstance(value, list) and name not in _PARTS):
                yield from _choices(value, depth, zone)
            else:
                yield from _lines(value, depth + 1, zone)


def _choices(node: Any, depth: int, zone: tzinfo | None) -> Iterator[str]:
    for choice in node if isinstance(node, list) else [node]:
        if isinstance(choice, list) or (isinstance(choice, dict) and next(_parts(choice), None)):
            yield from _lines(choice, depth + 1, zone)
        elif isinstance(choice, dict):
            yield _choice(choice, zone)
        else:
            yield from _listed(choice)


def _listed(choice: Any) -> Iterator[str]:
    if text := _words(choice):
        yield f"• {text}"


def _choice(choice: dict[str, Any], zone: tzinfo | None) -> str:
    """Return one choice: its title, or its time, with what is said of it and where it leads."""
    reply = choice.get("reply")
    named = {**choice, **reply} if isinstance(reply, dict) else choice
    date = _words(named.get("date"))
    links = (_words(named.get(name)) for name in _LINKS)
    words = [*([_time(date, zone)] if date else []), *_said(named), *(link for link in links if link)]
    return f"• {': '.join(words)}" if words else ""


def _said(node: dict[str, Any]) -> Iterator[str]:
    """Yield the words of one part: those that head it in their order, then what else reads like words."""
    yield from (words for name in _HEADS if (words := _words(node.get(name))))
    for name, value in node.items():
        if name == "value" and "text" in node:  # what a button of a bot's card says to the bot
            continue
        if name not in _KNOWN and isinstance(value, str) and not _TECHNICAL.search(name):
            words = _words(value)
            if words and not _NO_WORDS.fullmatch(words):
                yield words


def _parts(node: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the parts of a part: the known ones in their order, then others that are not for software alone."""
    yield from ((name, node[name]) for name in _PARTS if isinstance(node.get(name), dict | list) and node[name])
    for name, value in node.items():
        if name not in _KNOWN and isinstance(value, dict | list) and value and not _TECHNICAL.search(name):
            yield name, value


def _words(value: Any) -> str:
    """Return words that stand alone or, as in templates for WhatsApp, as the text of an object."""
    if isinstance(value, dict):
        value = value.get("text")
    return str(value).strip() if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def _named(zone: str) -> tzinfo | None:
    """Return the zone, None where none is set: then a slot's own offset says more than ours."""
    try:
        return ZoneInfo(zone) if zone not in ("", "UTC") else None
    except (ValueError, OSError, LookupError):  # a zone that this machine does not know
        return None


def _offset(minutes: Any) -> tzinfo | None:
    """Return the zone of a template's `timeZoneOffset`, in minutes east of Greenwich; None if it has none."""
    if isinstance(minutes, bool) or not isinstance(minutes, int | float | str):
        return None
    try:
        return timezone(timedelta(minutes=int(minutes)))
    except (ValueError, OverflowError):
        return None


def _time(date: str, zone: tzinfo | None) -> str:
    """Return a slot's time as people write it, e.g. "Sat 31 Oct 2026, 18:00 (UTC+01:00)"; what is no time, as it is."""
    try:
        at = datetime.fromisoformat(date)
        local = at.astimezone(zone) if zone and at.tzinfo else at
        return f"{local:%a %d %b %Y, %H:%M}{_zone_name(local)}"
    except (ValueError, OverflowError):
        return date


def _zone_name(local: datetime) -> str:
    offset = f"{local:%z}"
    return f" (UTC{offset[:3]}:{offset[3:5]})" if offset and offset != "+0000" else " (UTC)" if offset else ""
