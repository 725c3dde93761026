"""What Connect's side said, as text that any messenger can show, and what else its items mean. Pure."""

from __future__ import annotations

import json
from collections.abc import Container
from datetime import UTC, datetime
from typing import Any

import msgspec

from channels_app.text import is_blank
from connect_bridge.gateway import BRIEFING_NAME, NOTICE_NAME, Attached, Item

EVENT = "application/vnd.amazonaws.connect.event."
INTERACTIVE = "application/vnd.amazonaws.connect.message.interactive"
#: Who speaks to the customer. CUSTOMER is our own echo.
SPEAKERS = frozenset({"AGENT", "SYSTEM", "CUSTOM_BOT", "SUPERVISOR"})


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody on Connect's side wrote something that the customer is to read."""

    item: Item
    text: str


class AgentJoined(msgspec.Struct, frozen=True):
    name: str


class AgentLeft(msgspec.Struct, frozen=True):
    """Not the end: a transfer or a disconnect flow may follow."""


class Ended(msgspec.Struct, frozen=True):
    """Only this is the end of a chat."""


class Nothing(msgspec.Struct, frozen=True):
    pass


News = Said | AgentJoined | AgentLeft | Ended | Nothing


def read(item: Item) -> News:
    """Return what an item means to us, in texts that PostgreSQL can store: it has no NUL."""
    item = _without_nul(item)
    if item.type == "EVENT" or item.content_type.startswith(EVENT):
        return _event(item)
    if item.participant_role not in SPEAKERS or item.message_visibility == "AGENT" or not item.id:
        return Nothing()
    if is_unfinished(item):
        return Nothing()
    text = _attachments(item.attachments) if item.type == "ATTACHMENT" else _text(item)
    return Said(item=item, text=text.replace("\x00", "\ufffd")) if not is_blank(text) else Nothing()


def _without_nul(item: Item) -> Item:
    given = {name: getattr(item, name) for name in ("id", "content", "content_type", "display_name", "contact_id")}
    clean = {name: value.replace("\x00", "\ufffd") for name, value in given.items() if "\x00" in value}
    return msgspec.structs.replace(item, **clean) if clean else item


def is_unfinished(item: Item) -> bool:
    """Return whether more will come under the same id: a bot's words as they form, a file whose scan is not over.

    The last piece of what a bot says carries all of it (Lex streaming).
    """
    said = item.message_metadata
    return (said is not None and said.message_completed is False) or any(
        one.status == "IN_PROGRESS" for one in item.attachments
    )


def is_notice(item: Item, ours: Container[str]) -> bool:
    """Return whether this is our own word to the agent. `ours` are the ids of participants that we made for that."""
    is_ours = item.display_name in (NOTICE_NAME, BRIEFING_NAME) or item.participant_id in ours
    return item.participant_role == "CUSTOM_BOT" and is_ours


def _event(item: Item) -> News:
    match item.content_type.removeprefix(EVENT):
        case "chat.ended":
            return Ended()
        case "participant.joined" if item.participant_role == "AGENT":
            return AgentJoined(item.display_name)
        case "participant.left" if item.participant_role == "AGENT":
            return AgentLeft()
        case _:
            return Nothing()


def _text(item: Item) -> str:
    return _interactive(item.content) if item.content_type == INTERACTIVE else item.content


def _attachments(attachments: list[Attached]) -> str:
    """Name files whose scan is over. A file itself does not travel: the customer learns that there was one."""
    return "\n".join(
        f"[file: {one.attachment_name or 'unnamed'} · cannot be shown here]"
        for one in attachments
        if one.status == "APPROVED"
    )


def _interactive(content: str) -> str:
    """Write a picker or panel as a list. The customer answers with an element's title: Connect expects just that."""
    try:
        shown = json.loads(content)["data"]["content"]
        lines = [shown.get("title", ""), shown.get("subtitle", "")]
        lines += [f"• {_element(element)}" for element in shown.get("elements") or shown.get("timeslots") or []]
        return "\n".join(line for line in lines if line)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return content


def _element(element: dict[str, Any]) -> str:
    title = str(element.get("title") or element.get("date") or element.get("templateIdentifier") or "")
    subtitle = element.get("subtitle")
    return f"{title}: {subtitle}" if subtitle else title


def moment(item: Item) -> datetime:
    """Return Connect's time of an item; now, if it has none that can be read."""
    try:
        return datetime.fromisoformat(item.absolute_time).astimezone(UTC)
    except (ValueError, OverflowError):
        return datetime.now(UTC)
