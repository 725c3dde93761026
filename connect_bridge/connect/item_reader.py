"""Connect's items read one by one: one that cannot be read costs itself alone, never its page or its socket.

A member that is null counts as absent, and one that we could do without is left out if it is of another kind than
documented. What says who spoke, when and what must be readable. Unknown members and unknown types are no trouble.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeGuard, get_args

import msgspec

from connect_bridge.connect.gateway import Item
from connect_bridge.connect.metrics import UNREADABLE_ITEMS

log = logging.getLogger(__name__)

#: Without these an item says nothing that could be passed on: it is left where it is, in Connect's transcript.
_NEEDED = frozenset({
    "Id", "Type", "AbsoluteTime", "Content", "ContentType", "ParticipantRole", "MessageVisibility", "RelatedContactId"
})  # fmt: skip
#: Characters of an id that our tables keep. Documents allow 256, the real ones are UUIDs.
LONGEST_ID = 64
_items: msgspec.json.Decoder[Item] = msgspec.json.Decoder(Item)


def read_item(raw: bytes | str | msgspec.Raw, where: str) -> Item | None:
    """Return the item; None if it cannot be read, which is logged without its words and counted under `where`."""
    try:
        return _with_kept_ids(_items.decode(raw))
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        pass
    raw_item: Any = None
    try:
        raw_item = _without_nulls(msgspec.json.decode(raw))
        return _with_kept_ids(msgspec.convert(_readable(raw_item), Item))
    except (msgspec.MsgspecError, UnicodeError, RecursionError, TypeError):
        members = raw_item if isinstance(raw_item, dict) else {}
        shown = (_short(members.get(name)) for name in ("Id", "Type"))
        log.warning("%s: item %r of type %r cannot be read", where, *shown)
        UNREADABLE_ITEMS.labels(where).inc()
        return None


def read_items(raws: Iterable[msgspec.Raw], where: str) -> list[Item]:
    """Return those of the items that can be read."""
    return [item for raw in raws if (item := read_item(raw, where)) is not None]


def kept_id(identifier: str) -> str:
    """Return an id as our tables keep it: itself, or its hash if it is too long."""
    if len(identifier) <= LONGEST_ID:
        return identifier
    return hashlib.sha256(identifier.encode()).hexdigest()


def said_at(item: Item) -> datetime | None:
    """Return Connect's time of an item, None if it has none that can be read."""
    try:
        at = datetime.fromisoformat(item.absolute_time)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _with_kept_ids(item: Item) -> Item:
    names = ("id", "contact_id", "initial_contact_id", "participant_id")
    too_long = {name: value for name in names if len(value := getattr(item, name)) > LONGEST_ID}
    changed: dict[str, Any] = {name: kept_id(value) for name, value in too_long.items()}
    metadata = item.message_metadata
    if metadata is not None and len(metadata.message_id) > LONGEST_ID:
        changed["message_metadata"] = msgspec.structs.replace(metadata, message_id=kept_id(metadata.message_id))
    return msgspec.structs.replace(item, **changed) if changed else item


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(member) for name, member in value.items() if member is not None}
    if isinstance(value, list):
        return [_without_nulls(member) for member in value if member is not None]
    return value


def _readable(raw_item: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members that are of the documented kind. Raises ValidationError for one that is needed."""
    if not isinstance(raw_item, Mapping):
        raise msgspec.ValidationError("an item must be an object")
    for name in _NEEDED & raw_item.keys():
        msgspec.convert(raw_item[name], str)
    return _kept(raw_item, Item)


def _kept(raw_item: Mapping[str, Any], kind: type[msgspec.Struct]) -> dict[str, Any]:
    """Return those members of a structure that are of the documented kind, whatever the others are."""
    kept = {}
    for field in msgspec.structs.fields(kind):
        value = raw_item.get(field.encode_name)
        structure = next((kind for kind in (field.type, *get_args(field.type)) if _is_structure(kind)), None)
        if structure is not None and isinstance(value, dict):
            value = _kept(value, structure)
        elif structure is not None and isinstance(value, list):
            value = [_kept(member, structure) for member in value if isinstance(member, dict)]
        try:
            msgspec.convert(value, field.type)
        except msgspec.ValidationError:
            continue
        kept[field.encode_name] = value
    return kept


def _is_structure(kind: object) -> TypeGuard[type[msgspec.Struct]]:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _short(value: object) -> str:
    return value[:64] if isinstance(value, str) else type(value).__name__
