"""Say something to a customer that no agent said: stored and sent like everything else, outside of any chat."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import connection, transaction

from channels_app.registry import channels
from channels_app.toolkit.text import split_text
from connect_bridge.models import Conversation
from connect_bridge.outbox.tasks import drain
from connect_bridge.signals import message_stored
from connect_bridge.storage.messages import insert_messages, insert_sends

#: As whom it stands in the transcript.
ROLE, AUTHOR = "SYSTEM", "Parley"

_INSERT_MESSAGE = insert_messages(
    "conversation",
    id="%(id)s",
    conversation_id="id",
    sequence="last_sequence",
    direction="'out'",
    role="%(role)s",
    author="%(author)s",
    text="%(text)s",
    occurred_at="now()",
)
_INSERT_SENDS = insert_sends(
    "message m CROSS JOIN unnest(%(parts)s::text[]) WITH ORDINALITY AS p (text, part)",
    id="gen_random_uuid()",
    message_id="m.id",
    conversation_id="m.conversation_id",
    sequence="m.sequence",
    part="p.part - 1",
    text="p.text",
)
#: Takes message_params(). One statement, for whoever has a transaction.
STORE = f"""
WITH conversation AS (
    UPDATE connect_bridge_conversation SET last_sequence = last_sequence + 1, last_message_at = now()
     WHERE id = %(conversation)s RETURNING id, last_sequence
), message AS (
    {_INSERT_MESSAGE}
    RETURNING id, conversation_id, sequence
)
{_INSERT_SENDS}
"""  # noqa: S608 - constants


def announce(conversation: Conversation, text: str) -> uuid.UUID:
    """Store a message to the customer and have it sent after the commit; return its id."""
    params = message_params(conversation.pk, conversation.account.kind, text)
    message: uuid.UUID = params["id"]
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(STORE, params)
        transaction.on_commit(lambda: _send_hints(conversation.pk, message), robust=True)
    return message


def message_params(conversation: uuid.UUID, kind: str, text: str) -> dict[str, Any]:
    """Return the parameters of STORE for a new message, in parts that a channel of this kind takes."""
    return {
        "conversation": conversation,
        "id": uuid.uuid4(),
        "role": ROLE,
        "author": AUTHOR,
        "text": text,
        "parts": split_text(text, channels()[kind].text_limit),
    }


def _send_hints(conversation: uuid.UUID, message: uuid.UUID) -> None:
    drain.delay([str(conversation)])  # a hint: the outbox sweep would find it within seconds
    message_stored.send_robust(Conversation, conversation_id=conversation, message_id=message)
