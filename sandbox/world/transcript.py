"""GetTranscript: pages of a chat, forwards or backwards from a place in it."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec

from sandbox.world.aws_errors import AwsError
from sandbox.world.chat import Chat, Item, Participant, with_nulls
from sandbox.world.faults import Faults

DEFAULT_PAGE = 10
#: The fault page_overlap lets a page begin with so many items of the one before.
OVERLAP = 3
#: What people were told who scanned forwards from nowhere (amazon-connect-chatjs, issue 19).
REFUSED = "Validation exception due to invalid parameter"
#: Participant Service API Reference, StartPosition: yyyy-MM-ddThh:mm:ss.SSSZ.
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)


class Cursor(msgspec.Struct, array_like=True):
    """What a NextToken says: the next item's place, the direction, and how far back the scan may go."""

    place: int
    forward: bool
    first: int


def page(reader: Participant, params: dict[str, Any], faults: Faults) -> dict[str, Any]:
    """Return the answer's members. Raises ValidationException for a position or token that does not exist.

    Defaults (Participant Service API Reference, GetTranscript): ten items; backwards unless a start is given;
    the newest first. Forwards needs a start. Items of a rehydrated past chat are only reached backwards and without
    a start. Faults: token_empty and token_same are what the last page has for a NextToken, page_overlap tells some
    items on two pages, null_members writes every member that is not set as null.
    """
    chat = reader.chat
    token = params.get("NextToken")
    start = _start(chat, params)
    cursor = _decode(token) if token else start
    if not -1 <= cursor.place <= len(chat.items):
        raise AwsError("ValidationException", "NextToken is invalid")
    size = params.get("MaxResults") or DEFAULT_PAGE
    items, following = _scan(reader, cursor, size)
    if (params.get("SortOrder", "DESCENDING") == "ASCENDING") != cursor.forward:
        items.reverse()
    nulls = faults.fires("null_members", "GetTranscript")
    shown = [with_nulls(item) for item in items] if nulls else items
    result: dict[str, Any] = {"InitialContactId": chat.initial_id, "Transcript": shown}
    if following is not None:
        place = _overlapping(following, cursor, size) if faults.fires("page_overlap") else following
        result["NextToken"] = _encode(Cursor(place, cursor.forward, cursor.first))
    elif faults.fires("token_empty"):
        result["NextToken"] = ""
    elif faults.fires("token_same"):
        result["NextToken"] = token or _encode(cursor)
    return result


def _overlapping(following: int, cursor: Cursor, size: int) -> int:
    """Return a place some items before the following one, so that a reader still gets on."""
    back = min(OVERLAP, size - 1)
    return following - back if cursor.forward else following + back


def _start(chat: Chat, params: dict[str, Any]) -> Cursor:
    start = {name: value for name, value in (params.get("StartPosition") or {}).items() if value is not None}
    forward = params.get("ScanDirection", "FORWARD" if start else "BACKWARD") == "FORWARD"
    if not start:  # amazon-connect-chatjs always sends an empty one
        if forward:
            raise AwsError("ValidationException", REFUSED)
        return Cursor(len(chat.items) - 1, forward, 0)
    if len(start) > 1:
        raise AwsError("ValidationException", "StartPosition must have exactly one of Id, AbsoluteTime, MostRecent")
    return Cursor(_place(chat, start, forward=forward), forward, chat.past)


def _place(chat: Chat, start: dict[str, Any], *, forward: bool) -> int:
    if "MostRecent" in start:
        return max(chat.past, len(chat.items) - max(1, int(start["MostRecent"])))
    if "Id" in start:
        if start["Id"] not in chat.places:
            raise AwsError("ValidationException", f"StartPosition: there is no item {start['Id']} in this chat")
        return chat.places[str(start["Id"])]
    at = _parsed(start["AbsoluteTime"])
    places = range(chat.past, len(chat.items))
    if forward:
        return next((n for n in places if _parsed(chat.items[n][0].absolute_time) >= at), len(chat.items))
    return next((n for n in reversed(places) if _parsed(chat.items[n][0].absolute_time) <= at), -1)


def _scan(reader: Participant, cursor: Cursor, size: int) -> tuple[list[Item], int | None]:
    """Collect up to `size` items that the reader may see; return them and the next one's place, if there is one."""
    chat = reader.chat
    page: list[Item] = []
    places: Iterable[int] = (
        range(cursor.place, len(chat.items)) if cursor.forward else range(cursor.place, cursor.first - 1, -1)
    )
    for place in places:
        item, visibility = chat.items[place]
        if not reader.sees(visibility):
            continue
        if len(page) == size:
            return page, place
        page.append(msgspec.structs.replace(item, initial_contact_id=None))
    return page, None


def _parsed(text: str) -> datetime:
    try:
        if _TIME.fullmatch(text):
            return datetime.fromisoformat(text)
    except ValueError:
        pass
    raise AwsError("ValidationException", f"AbsoluteTime {text!r} is not yyyy-MM-ddThh:mm:ss.SSSZ")


def _encode(cursor: Cursor) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(cursor)).decode()


def _decode(token: str) -> Cursor:
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(token), type=Cursor)
    except ValueError:  # of base64 and of msgspec
        raise AwsError("ValidationException", "NextToken is invalid") from None
