"""Customers' messages that Connect took and then passed on to nobody: a message processor rejected them, or failed.

Redaction and Lambda processors stand between the sender and everybody else (administrator guide, in-flight redaction
and message processing), and take up to three minutes. What becomes of a message shows in its item, on the socket or in
the transcript, before or after we have written down that Connect took it (MessageProcessingStatus). Such a message has
failed: it is shown as failed, and a person may send it again.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from connect_bridge.connect.gateway import Item, NotPassed
from connect_bridge.runtime import BridgeRuntime

#: Items of our own remembered: what Connect took of a message in parts, and what it refused before we knew whose it is.
REMEMBERED = 200
#: The item that we noted for the message is its last part's; an earlier part only its sender knows. A message that was
#: set going again since is another item by then, and is left alone.
NOT_PASSED = """
UPDATE connect_bridge_message SET status = 'failed', error_code = %(code)s, error_detail = %(detail)s,
       settled_at = now()
 WHERE contact_id = %(contact)s AND direction = 'in' AND status IN ('stored', 'relayed')
   AND ((status = 'relayed' AND connect_item_id = %(item)s) OR id = %(message)s)
"""


def rejections(items: Iterable[Item]) -> Iterator[tuple[str, str]]:
    """Yield the ids of items under the customer's name that were not passed on, and which of the two it was."""
    for item in items:
        metadata = item.message_metadata
        if metadata is None or metadata.message_processing_status not in NotPassed.STATUSES or item.related_contact_id:
            continue
        if item.participant_role in ("CUSTOMER", ""):  # news of a message may not say whose it is
            yield metadata.message_id or item.id, metadata.message_processing_status


@dataclass(slots=True)
class RejectedMessages:
    """The messages of one chat that were not passed on. Repeating anything does no harm."""

    runtime: BridgeRuntime
    contact: uuid.UUID
    _messages: dict[str, uuid.UUID] = field(default_factory=dict)
    _rejected: dict[str, str] = field(default_factory=dict)

    async def note(self, items: Iterable[Item]) -> None:
        """Read which messages these items reject, and let them fail."""
        for item, status in rejections(items):
            self._rejected[item] = status
            await self._fail(item, status)
        _forget(self._rejected)

    async def note_relayed(self, item: str, message: uuid.UUID) -> None:
        """Take note that this item is the message, or a part of it, once that is written down."""
        self._messages[item] = message
        _forget(self._messages)
        if (status := self._rejected.get(item)) is not None:
            await self._fail(item, status)

    async def _fail(self, item: str, status: str) -> None:
        params = {"contact": self.contact, "item": item[:64], "message": self._messages.pop(item, None)}
        await self.runtime.execute(NOT_PASSED, {**params, "code": NotPassed.code, "detail": str(NotPassed(status))})


def _forget(known: Mapping[str, object]) -> None:
    for old in list(known)[:-REMEMBERED]:
        del known[old]  # type: ignore[attr-defined]
