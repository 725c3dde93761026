"""How DescribeContact shows a contact, and the rules of contact attributes."""

from __future__ import annotations

import re
from typing import Any

from sandbox.world.aws_errors import AwsError
from sandbox.world.chat import Chat, Contact

#: All attributes of a contact together, keys and values, in UTF-8 (Amazon Connect API Reference, StartChatContact).
ATTRIBUTE_BYTES = 32_768
_KEY = re.compile(r"[A-Za-z0-9_-]+")


def check_attributes(attributes: dict[str, str], limit: int) -> None:
    """Refuse keys with other characters than letters, digits, - and _, and more bytes than `limit`."""
    for key in attributes:
        if not _KEY.fullmatch(key):
            raise AwsError("InvalidParameterException", f"Attribute key {key!r} may only have letters, digits, - and _")
    size = sum(len(key.encode()) + len(value.encode()) for key, value in attributes.items())
    if size > limit:
        raise AwsError("InvalidParameterException", f"Attributes are {size} bytes; {limit} are allowed")


def described(chat: Chat, contact_id: str) -> dict[str, Any]:
    """Return the members of DescribeContact's Contact. Times are Unix seconds, as rest-json writes them."""
    contact = next(segment for segment in chat.contacts if segment.id == contact_id)
    view: dict[str, Any] = {
        "Id": contact.id,
        "Arn": f"arn:aws:connect:us-east-1:000000000000:instance/{chat.instance_id}/contact/{contact.id}",
        "InitialContactId": None if contact.id == chat.initial_id else chat.initial_id,
        "PreviousContactId": contact.previous_id,
        "RelatedContactId": chat.related_contact_id,
        "ContactAssociationId": chat.initial_id,
        "InitiationMethod": contact.initiation_method,
        "Channel": "CHAT",
        "InitiationTimestamp": contact.started_at,
        "ConnectedToSystemTimestamp": chat.connected_at,
        "DisconnectTimestamp": contact.ended_at,
        "LastUpdateTimestamp": contact.ended_at or contact.agent_at or contact.queued_at or contact.started_at,
        "DisconnectReason": contact.disconnect_reason,
        "CustomerId": chat.customer_id,
        "SegmentAttributes": chat.segment_attributes,
        "Attributes": chat.attributes,
        "QueuePriority": contact.priority if contact.queued_at else None,
        **_people(contact),
    }
    return {name: value for name, value in view.items() if value}


def _people(contact: Contact) -> dict[str, Any]:
    people: dict[str, Any] = {}
    if contact.queued_at:
        people["QueueInfo"] = {"Id": contact.queue, "EnqueueTimestamp": contact.queued_at}
    if contact.agent_at:
        people["AgentInfo"] = {"Id": contact.agent_id, "ConnectedToAgentTimestamp": contact.agent_at}
    return people
