"""Connect's items read one by one: one that cannot be read costs itself alone, never its page or its socket.

A member that is null counts as absent, and one that we could do without is left out if it is of another kind than
documented. What says who spoke, when and what must be readable. Unknown members and unknown types are no trouble.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from connect_bridge.gateway import Item
from connect_bridge.meters import UNREADABLE_ITEMS

log = logging.getLogger(__name__)

#: Without these an item says nothing that could be passed on: it is left where it is, in Connect's transcript.
_NEEDED = frozenset({
    "Id", "Type", "AbsoluteTime", "Content", "ContentType", "ParticipantRole", "MessageVisibility", "RelatedContactId"
})  # fmt: skip
_KINDS = {field.encode_name: field.type for field in msgspec.structs.fields(Item)}
_items: msgspec.json.Decoder[Item] = msgspec.json.Decoder(Item)


def read_item(raw: bytes | msgspec.Raw, where: str) -> Item | None:
    """Return the item; None if it cannot be read, which is logged without its words and counted under `where`."""
    try:
        return _items.decode(raw)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        pass
    given: Any = None
    try:
        given = _without_nulls(msgspec.json.decode(raw))
        return msgspec.convert(_readable(given), Item)
    except (msgspec.MsgspecError, UnicodeError, RecursionError, TypeError):
        known = given if isinstance(given, dict) else {}
        log.warning("%s: item %r of type %r cannot be read", where, *(_short(known.get(one)) for one in ("Id", "Type")))
        UNREADABLE_ITEMS.labels(where).inc()
        return None


def read_items(raws: Iterable[msgspec.Raw], where: str) -> list[Item]:
    """Return those of the items that can be read."""
    return [item for raw in raws if (item := read_item(raw, where)) is not None]


def said_at(item: Item) -> datetime | None:
    """Return Connect's time of an item, None if it has none that can be read."""
    try:
        at = datetime.fromisoformat(item.absolute_time)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(one) for name, one in value.items() if one is not None}
    if isinstance(value, list):
        return [_without_nulls(one) for one in value if one is not None]
    return value


def _readable(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members that are of the documented kind. Raises ValidationError for one that is needed."""
    if not isinstance(given, Mapping):
        raise msgspec.ValidationError("an item must be an object")
    found: dict[str, Any] = {}
    for name, value in given.items():
        try:
            if name in _KINDS:
                found[name] = _converted(name, value)
        except msgspec.ValidationError:
            if name in _NEEDED:
                raise
    return found


def _converted(name: str, value: Any) -> Any:
    """Return a member as it is to be; of a list of files, those that can be read."""
    if name != "Attachments" or not isinstance(value, list):
        return msgspec.to_builtins(msgspec.convert(value, _KINDS[name]))
    files = []
    for one in value:
        try:
            files += msgspec.to_builtins(msgspec.convert([one], _KINDS[name]))
        except msgspec.ValidationError:
            continue
    return files


def _short(value: object) -> str:
    return value[:64] if isinstance(value, str) else type(value).__name__
