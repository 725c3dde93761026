"""What Connect's side said, as text that any messenger can show, and what else its items mean. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html import unescape

import msgspec

from channels_app.toolkit.text import is_blank
from connect_bridge.connect.gateway import Attached, Item, NotPassed
from connect_bridge.connect.interactive import lines_of
from connect_bridge.connect.presence import JOINED, LEFT, PERSONS, RENAMED, ParticipantEvent

EVENT = "application/vnd.amazonaws.connect.event."
INTERACTIVE = "application/vnd.amazonaws.connect.message.interactive"
#: As whom former versions spoke to agents.
FORMER_NAMES = frozenset({"Parley: not delivered", "Parley: last time"})
MARKDOWN = "text/markdown"
HTML = "text/html"
#: Content of these types is JSON, of which only what is for people is shown: templates, their answers, what is to come.
STRUCTURED = "application/"
#: Members of a template, or of a bot's card, that Connect hands on as plain text, as a bot's custom payload is where a
#: chat takes no templates.
_TEMPLATE = ('"templateType"', '"replyMessage"', '"genericAttachments"')
#: Who speaks to the customer. CUSTOMER is our own echo; whoever else Connect may let speak is software.
SPEAKERS = frozenset({"AGENT", "SYSTEM", "CUSTOM_BOT", "SUPERVISOR"})
#: What a message processor has not passed, or never will: nobody in the chat is to read it (MessageProcessingStatus).
UNPASSED = frozenset({"PROCESSING", *NotPassed.STATUSES})
#: What a scan of a file comes to.
_SCANNED = frozenset({"APPROVED", "REJECTED"})
#: Events of older clients, told by the item's type alone (Item in the participant service's API reference).
_OLDER = {
    "CHAT_ENDED": "chat.ended",
    "PARTICIPANT_JOINED": "participant.joined",
    "PARTICIPANT_LEFT": "participant.left",
}
_MOVES = {
    "participant.joined": JOINED,
    "participant.left": LEFT,
    "participant.displayname.updated": RENAMED,
}
#: Markdown as an agent's desktop writes it: a link, what is emphasised, a heading.
_LINK = re.compile(r"!?\[([^\[\]\n]{1,200})\]\((https?://[^\s()]{1,2000})\)")
_STRONG = re.compile(r"(\*\*|~~)(?=\S)([^\n]{1,500}?)\1")
_HEADING = re.compile(r"^#{1,6} ", re.MULTILINE)
_TAG = re.compile(r"<[/a-zA-Z!][^<>]{0,500}>")


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody on Connect's side wrote something that the customer is to read."""

    item: Item
    text: str


class Ended(msgspec.Struct, frozen=True):
    """Only this is the end of a chat."""


class Nothing(msgspec.Struct, frozen=True):
    pass


#: What an item means. That a person left is not the end: a transfer or a disconnect flow may follow.
Reading = Said | ParticipantEvent | Ended | Nothing


def read(item: Item, zone: str = "") -> Reading:
    """Return what an item means to us, in texts that PostgreSQL can store: it has no NUL.

    Times are shown in `zone`, by name, where a template does not bring its own.
    """
    item = _without_nul(item)
    if item.type == "EVENT" or item.type in _OLDER or item.content_type.startswith(EVENT):
        return _event(item)
    item = _by_role(item)
    if item.participant_role not in SPEAKERS or item.message_visibility == "AGENT" or not item.id:
        return Nothing()
    if item.type == "MESSAGEMETADATA" or is_unfinished(item) or _is_ours(item):
        return Nothing()
    words = "" if item.type == "ATTACHMENT" else _text(item, zone)
    text = "\n".join(filter(None, (words, _attachments(item.attachments))))
    return Said(item=item, text=text.replace("\x00", "\ufffd")) if not is_blank(text) else Nothing()


def _without_nul(item: Item) -> Item:
    names = ("id", "content", "content_type", "display_name", "contact_id", "participant_id")
    values = {name: getattr(item, name) for name in names}
    clean = {name: value.replace("\x00", "\ufffd") for name, value in values.items() if "\x00" in value}
    return msgspec.structs.replace(item, **clean) if clean else item


def _by_role(item: Item) -> Item:
    """Return the item as said by somebody whom we know: who is in no list, and is not the customer, is software."""
    role = item.participant_role.strip().upper()
    role = role if role in {*SPEAKERS, "CUSTOMER", ""} else "SYSTEM"
    return item if role == item.participant_role else msgspec.structs.replace(item, participant_role=role)


def is_unfinished(item: Item) -> bool:
    """Return whether more may come under the same id.

    That is a bot's words as they form (Lex streaming: the last piece carries all of it), a file whose scan is not over,
    and what a message processor has not passed.
    """
    if any(file.status not in _SCANNED for file in item.attachments):
        return True
    metadata = item.message_metadata
    if metadata is None:
        return False
    piece = metadata.chunk_number is not None and metadata.message_completed is not True
    return piece or metadata.message_completed is False or metadata.message_processing_status in UNPASSED


def is_under_way(item: Item) -> bool:
    """Return whether more is to come under the same id: it is unfinished, and no message processor has decided."""
    metadata = item.message_metadata
    undecided = metadata is None or metadata.message_processing_status not in NotPassed.STATUSES
    return is_unfinished(item) and undecided


def _is_ours(item: Item) -> bool:
    """Return whether a former version of ours said this to the agent: as a participant of its own, with these names.

    Such a chat may be read again, and the customer is not to get it.
    """
    return item.participant_role == "CUSTOM_BOT" and item.display_name in FORMER_NAMES


def _event(item: Item) -> Reading:
    name = _OLDER.get(item.type) or item.content_type.removeprefix(EVENT)
    if name == "chat.ended":
        return Ended()
    kind = _MOVES.get(name)
    if kind is None or (item.participant_role and item.participant_role not in PERSONS):
        return Nothing()
    return ParticipantEvent(item.participant_id, item.participant_role, kind, item.display_name, moment(item))


def _text(item: Item, zone: str) -> str:
    kind = item.content_type.partition(";")[0].strip().lower()  # RFC 9110, 8.3.1: letter case and parameters
    by_software = item.participant_role in ("SYSTEM", "CUSTOM_BOT")
    if kind.startswith(STRUCTURED) or (by_software and _is_template(item.content)):
        return lines_of(item.content, zone)
    if kind == HTML:
        return unescape(_TAG.sub(" ", item.content))
    return plain(item.content) if kind == MARKDOWN else item.content


def _is_template(content: str) -> bool:
    return (
        content.lstrip()[:1] == "{" and content.rstrip()[-1:] == "}" and any(member in content for member in _TEMPLATE)
    )


def plain(text: str) -> str:
    """Return Markdown as messengers show it, that is as it reads: without its marks, with the addresses of links."""
    return _HEADING.sub("", _STRONG.sub(r"\2", _LINK.sub(r"\1 (\2)", text)))


def _attachments(attachments: list[Attached]) -> str:
    """Name files whose scan is over. A file itself does not travel: the customer learns that there was one."""
    return "\n".join(
        f"[file: {file.attachment_name or 'unnamed'} · cannot be shown here]"
        for file in attachments
        if file.status == "APPROVED"
    )


def moment(item: Item) -> datetime:
    """Return Connect's time of an item; now, if it has none that can be read."""
    try:
        at = datetime.fromisoformat(item.absolute_time)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return datetime.now(UTC)
