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

#: As whom it stands in the transcript.
ROLE, AUTHOR = "SYSTEM", "Parley"

STORE = """
WITH conversation AS (
    UPDATE connect_bridge_conversation SET last_sequence = last_sequence + 1, last_message_at = now()
     WHERE id = %(conversation)s RETURNING id, last_sequence
), message AS (
    INSERT INTO connect_bridge_message
           (id, conversation_id, sequence, direction, role, author, content_type, text, status, error_code,
            error_detail, provider_message_id, relayed, attempts, occurred_at, created_at)
    SELECT %(id)s, id, last_sequence, 'out', %(role)s, %(author)s, 'text/plain', %(text)s, 'stored', '', '', '', 0, 0,
           now(), now() FROM conversation
    RETURNING id, conversation_id, sequence
)
INSERT INTO connect_bridge_outboxentry
       (id, message_id, conversation_id, sequence, part, text, state, attempts, due_at, claimed_by,
        provider_message_ids, error_code, provider_code, error_detail, created_at)
SELECT gen_random_uuid(), m.id, m.conversation_id, m.sequence, p.part - 1, p.text, 'pending', 0, now(), '', '[]', '',
       '', '', now()
  FROM message m CROSS JOIN unnest(%(parts)s::text[]) WITH ORDINALITY AS p (text, part)
"""


def announce(conversation: Conversation, text: str) -> uuid.UUID:
    """Store a message to the customer and have it sent after the commit; return its id."""
    message = uuid.uuid4()
    given: dict[str, Any] = {
        "conversation": conversation.pk,
        "id": message,
        "role": ROLE,
        "author": AUTHOR,
        "text": text,
        "parts": split_text(text, channels()[conversation.account.kind].text_limit),
    }
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(STORE, given)
        transaction.on_commit(lambda: _tell(conversation.pk, message), robust=True)
    return message


def _tell(conversation: uuid.UUID, message: uuid.UUID) -> None:
    drain.delay([str(conversation)])  # a hint: the outbox sweep would find it within seconds
    message_stored.send_robust(Conversation, conversation_id=conversation, message_id=message)
