"""Customers' messages that Connect took and then passed on to nobody: a message processor rejected them, or failed.

Redaction and Lambda processors stand between the sender and everybody else (administrator guide, in-flight redaction
and message processing), and take up to three minutes. What becomes of a message shows in its item, on the socket or in
the transcript, before or after we have written down that Connect took it (MessageProcessingStatus). Such a message has
failed: it shows as that, and a person may let it go again.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from connect_bridge.connect.gateway import Item, NotPassed
from connect_bridge.runtime import BridgeRuntime

#: Items of our own remembered: what Connect took of a message in parts, and what it refused before we knew whose it is.
REMEMBERED = 200
#: The item that we noted for the message is its last part's; an earlier part is known to who sent it alone. Nothing
#: that was let go again since, which is another item by then.
NOT_PASSED = """
UPDATE connect_bridge_message SET status = 'failed', error_code = %(code)s, error_detail = %(detail)s,
       settled_at = now()
 WHERE contact_id = %(contact)s AND direction = 'in' AND status IN ('stored', 'relayed')
   AND ((status = 'relayed' AND connect_item_id = %(item)s) OR id = %(message)s)
"""


def rejections(items: Iterable[Item]) -> Iterator[tuple[str, str]]:
    """Yield the ids of items under the customer's name that were not passed on, and which of the two it was."""
    for item in items:
        said = item.message_metadata
        if said is None or said.message_processing_status not in NotPassed.STATUSES or item.related_contact_id:
            continue
        if item.participant_role in ("CUSTOMER", ""):  # news of a message may not say whose it is
            yield said.message_id or item.id, said.message_processing_status


@dataclass(slots=True)
class RejectedMessages:
    """What of one chat's messages was not passed on. Repeating anything does no harm."""

    runtime: BridgeRuntime
    contact: uuid.UUID
    _messages: dict[str, uuid.UUID] = field(default_factory=dict)
    _refused: dict[str, str] = field(default_factory=dict)

    async def note(self, items: Iterable[Item]) -> None:
        """Take note of what the items tell, and let their messages fail."""
        for item, status in rejections(items):
            self._refused[item] = status
            await self._fail(item, status)
        _forget(self._refused)

    async def note_relayed(self, item: str, message: uuid.UUID) -> None:
        """Take note that this item is the message, or a part of it, once that is written down."""
        self._messages[item] = message
        _forget(self._messages)
        if (status := self._refused.get(item)) is not None:
            await self._fail(item, status)

    async def _fail(self, item: str, status: str) -> None:
        given = {"contact": self.contact, "item": item[:64], "message": self._messages.pop(item, None)}
        await self.runtime.execute(NOT_PASSED, {**given, "code": NotPassed.code, "detail": str(NotPassed(status))})


def _forget(known: Mapping[str, object]) -> None:
    for old in list(known)[:-REMEMBERED]:
        del known[old]  # type: ignore[attr-defined]
