"""SendEvent: typing, and receipts of delivery and reading."""

from __future__ import annotations

from typing import Any

import msgspec

from sandbox.world.aws_errors import AwsError
from sandbox.world.chat import EVENT, Item, MessageMetadata, Participant, Receipt
from sandbox.world.chats import Chats

TYPING, DELIVERED, READ = f"{EVENT}typing", f"{EVENT}message.delivered", f"{EVENT}message.read"
METADATA = f"{EVENT}message.metadata"
#: Receipts are refused when more than this many people are in the chat.
MOST_FOR_RECEIPTS = 2


class ReceiptContent(msgspec.Struct, rename="camel"):
    """The Content of a receipt."""

    message_id: str


def send_event(chats: Chats, sender: Participant, kind: str, content: str | None) -> dict[str, Any]:
    """Publish the event and return the answer's members. Raises ValidationException or ConflictException."""
    if kind == TYPING:
        item = chats.item(sender.chat, "EVENT", TYPING, sender)
        chats.publish(sender.chat, item, keep=False)
    elif kind in (DELIVERED, READ):
        item = _receipt(chats, sender, kind, content)
    else:
        raise AwsError("ValidationException", f"ContentType {kind} is not an event that a participant may send")
    return {"Id": item.id, "AbsoluteTime": item.absolute_time}


def _receipt(chats: Chats, sender: Participant, kind: str, content: str | None) -> Item:
    chat = sender.chat
    if len(chat.present()) > MOST_FOR_RECEIPTS:
        raise AwsError("ConflictException", "Message receipts are not supported with more than two participants")
    try:
        message_id = msgspec.json.decode(content or "", type=ReceiptContent).message_id
    except (ValueError, RecursionError):
        raise AwsError("ValidationException", 'Content of a receipt must be {"messageId": "..."}') from None
    message = chat.find(message_id)
    if message is None:
        raise AwsError("ValidationException", f"There is no message {message_id} in this chat")
    item = chats.item(chat, "MESSAGEMETADATA", METADATA)
    receipt = _noted(message, sender, kind, item.absolute_time)
    item.message_metadata = MessageMetadata(message_id=message_id, receipts=[receipt])
    return chats.publish(chat, item, keep=False)


def _noted(message: Item, recipient: Participant, kind: str, at: str) -> Receipt:
    """Write the receipt into the message's metadata and return all that is known of this recipient."""
    metadata = message.message_metadata or MessageMetadata(message_id=message.id)
    receipts = metadata.receipts or []
    receipt = next((r for r in receipts if r.recipient_participant_id == recipient.id), None)
    if receipt is None:
        receipt = Receipt(recipient_participant_id=recipient.id)
        receipts.append(receipt)
    if kind == DELIVERED:
        receipt.delivered_timestamp = receipt.delivered_timestamp or at
    else:
        receipt.read_timestamp = receipt.read_timestamp or at
    metadata.receipts = receipts
    message.message_metadata = metadata
    return receipt
