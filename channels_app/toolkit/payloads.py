"""Read what a messenger sent: strict about form and about every field that we use, blind to all others.

A body is parsed once (json_body.py). `null` means the same as absent. One broken event of a batch never costs the good
ones.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from hashlib import sha256
from typing import Annotated, Any, TypeVar

import msgspec

from channels_app.errors import Unusable
from channels_app.toolkit.msgspec_tools import convert
from channels_app.types import InboundEvent, Misaddressed, Sender, Unrecognised

T = TypeVar("T")
#: How to read one event, and the raw event.
Piece = tuple[Callable[[Any], InboundEvent], Any]

#: A provider's id of a message or event.
Id = Annotated[str, msgspec.Meta(min_length=1)]
#: A provider's id of a person or of our own account. It also stands in URL paths, so no slash, dot or space. What
#: programs write where they know no value is none: everybody who came with it would be the same person.
PersonId = Annotated[
    str,
    msgspec.Meta(
        pattern=r"\A(?!(?i:0+|null|none|nil|nan|undefined|unknown|anonymous|na|-1?|_)\Z)[0-9A-Za-z_-]{1,128}\Z"
    ),
]

#: Longer keys and ids are hashed: a provider's id is a name, not a place to store things.
LONGEST_ID = 200
_LONGEST_REASON = 150
#: Before the first of these messengers existed; a provider's clock that says so is wrong.
_EARLIEST = 1_136_073_600
_DAY = 86_400
_MILLISECONDS_FROM = 100_000_000_000
_LATEST = 10**14
_STAMP = re.compile("[0-9]{1,14}")


class Payload(msgspec.Struct, frozen=True):
    """A part of a provider's body: the fields that we read, typed. Others are ignored."""


def read_as(kind: type[T], raw: Any) -> T:
    """Return the raw JSON as the typed payload; raise msgspec.ValidationError, which never quotes the content."""
    return convert(raw, kind)


def _at(raw: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        if isinstance(step, str):
            raw = raw.get(step) if isinstance(raw, dict) else None
        else:
            raw = raw[step] if isinstance(raw, list) and step < len(raw) else None
    return raw


def text_at(raw: Any, *path: str | int) -> str:
    """Return the text at the path in the raw JSON, "" if there is none.

    This and its siblings are for optional parts of a message, which must not cost the message: a profile, an
    attachment, a link. What must be right is a typed payload.
    """
    value = _at(raw, path)
    return value if isinstance(value, str) else ""


def object_at(raw: Any, *path: str | int) -> dict[str, Any]:
    """Return the object at the path, {} if there is none."""
    value = _at(raw, path)
    return value if isinstance(value, dict) else {}


def list_at(raw: Any, *path: str | int) -> list[Any]:
    """Return the array at the path, [] if there is none."""
    value = _at(raw, path)
    return value if isinstance(value, list) else []


def number(raw: Any) -> float | None:
    """Return a finite number, whether it came as one or as text; None if it is neither."""
    try:
        value = float(raw) if isinstance(raw, (str, int, float)) and not isinstance(raw, bool) else None
    except (ValueError, OverflowError):
        return None
    return value if value is not None and math.isfinite(value) else None


def read_each(pieces: Iterable[Piece], ours: str) -> list[InboundEvent]:
    """Read every piece by itself; one that cannot be read becomes Unrecognised.

    Raises Unusable if there are pieces and none can be read. `ours` is our own address.
    """
    events: list[InboundEvent] = []
    problems: list[str] = []
    good = False
    for read, raw in pieces:
        try:
            events.append(read(raw))
            good = True
        except msgspec.ValidationError as problem:
            problems.append(f"unreadable: {problem}"[:_LONGEST_REASON])
            events.append(Unrecognised(key=hash_key("broken", raw), sender=Sender(external_id=ours), type=problems[-1]))
    if problems and not good:
        raise Unusable(problems[0])
    return events


def short_id(text: str) -> str:
    """Return a provider's id, or its SHA-256 if it is absurdly long. The same id always gives the same name."""
    return text if len(text) <= LONGEST_ID else f"sha256:{sha256(text.encode('utf-8', 'replace')).hexdigest()}"


def key_of(kind: str, *ids: str) -> str:
    """Return the dedupe key of an event that the provider gave ids to, at most 255 characters."""
    return f"{kind}:{short_id(':'.join(ids))}"


def hash_key(kind: str, *content: Any) -> str:
    """Return the dedupe key of an event without an id: a digest of its content."""
    return f"{kind}:{sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()}"


def moment(stamp: int | str | None) -> datetime | None:
    """Return the time of a provider's Unix stamp in milliseconds, or in seconds, or None if it cannot be right."""
    seconds = unix_milliseconds(stamp) / 1000
    return datetime.fromtimestamp(seconds, UTC) if _EARLIEST < seconds < time.time() + _DAY else None


def unix_milliseconds(stamp: int | str | None) -> int:
    """Return the stamp as milliseconds, 0 if it is none. Meta documents milliseconds, and sometimes sends seconds."""
    if isinstance(stamp, str):
        stamp = int(stamp) if _STAMP.fullmatch(stamp) else 0
    if not stamp or not 0 < stamp < _LATEST:
        return 0
    return stamp if stamp >= _MILLISECONDS_FROM else stamp * 1000


def unrecognised(ours: str, name: str, raw: Any) -> Unrecognised:
    """Return the event for something that we do not know, or do not need. `ours` is our own address."""
    return Unrecognised(key=hash_key("other", name, raw), sender=Sender(external_id=ours), type=name[:LONGEST_ID])


def misaddressed(ours: str, whose: str, raw: Any) -> Misaddressed:
    """Return the event for something that is about somebody else's account."""
    key = hash_key("misaddressed", whose, raw)
    return Misaddressed(key=key, sender=Sender(external_id=ours), address=whose[:LONGEST_ID])
