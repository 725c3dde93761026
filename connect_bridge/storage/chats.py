"""The chats of a conversation: what the bridge knows of the open one, and each step of its life as a statement.

Everything here runs in a transaction of the caller's.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from psycopg.rows import class_row

from channels_app.infrastructure.db import AsyncConnection
from connect_bridge.models import OPEN_IN_SQL
from people.encryption import decrypt_text

#: `first_message` is still to be written down as relayed, by whoever has the chat now: it went as the InitialMessage.
#: `events` are those of the persons in it, as rows of ParticipantEvent; `zone` is the account's. `agent_notes`: the
#: items of our notices to its agent.
_CHAT = """id AS contact, state, instance_id, flow_id, contact_id, initial_contact_id, participant_token,
           connection_token, bot, requested_at, started_at,
           (SELECT m.id FROM connect_bridge_message m WHERE m.id = connect_bridge_contact.first_message
               AND m.status = 'stored' AND m.contact_id IS DISTINCT FROM connect_bridge_contact.id) AS first_message,
           (SELECT jsonb_agg(jsonb_build_array(e.participant_id, e.role, e.kind, e.name, e.at) ORDER BY e.at, e.id)
              FROM connect_bridge_contactevent e
             WHERE e.contact_id = connect_bridge_contact.id AND e.participant_id <> '') AS events,
           COALESCE((SELECT h.zone FROM connect_bridge_conversation c
                       JOIN channels_app_channelaccount a ON a.id = c.account_id
                       JOIN channels_app_businesshours h ON h.id = a.hours_id
                      WHERE c.id = connect_bridge_contact.conversation_id), '') AS zone,
           ARRAY(SELECT n.item_id FROM connect_bridge_notice n
                  WHERE n.contact_id = connect_bridge_contact.id AND n.item_id <> '') AS agent_notes"""
OPEN_CHAT = f"""
SELECT {_CHAT} FROM connect_bridge_contact
 WHERE conversation_id = %s AND state IN {OPEN_IN_SQL}
"""  # noqa: S608 - a constant
ORIGIN = """
SELECT a.kind, a.id AS account, a.name AS account_name, a.address, a.connect_instance_id AS instance_id,
       a.connect_contact_flow_id AS flow_id, a.attributes, i.customer_id AS customer, i.id AS identity,
       i.external_id, i.display_name, i.handle, i.locale, a.updated_at AS version
  FROM connect_bridge_conversation c
  JOIN channels_app_channelaccount a ON a.id = c.account_id JOIN customers_identity i ON i.id = c.identity_id
 WHERE c.id = %s
"""
REQUEST_CHAT = f"""
INSERT INTO connect_bridge_contact (id, conversation_id, state, instance_id, flow_id, first_message, initial_contact_id,
       contact_id, participant_id, participant_token, connection_token, agent_name, bot, requested_at, reason)
VALUES (%(contact)s, %(conversation)s, 'requested', %(instance)s, %(flow)s, %(message)s, '', '', '', '', '', '', true,
        now(), '')
RETURNING {_CHAT}
"""  # noqa: S608 - a constant
CHAT_STARTED = """
UPDATE connect_bridge_contact SET state = 'started', started_at = COALESCE(started_at, now()),
       contact_id = %(contact_id)s, initial_contact_id = %(contact_id)s, participant_id = %(participant)s,
       participant_token = %(token)s, instance_id = %(instance)s, flow_id = %(flow)s,
       reason = '' WHERE id = %(contact)s
"""
CHAT_CONNECTED = """
UPDATE connect_bridge_contact SET state = 'connected', connected_at = COALESCE(connected_at, now()),
       connection_token = %(token)s, connection_expires_at = %(expires)s, last_traffic_at = now()
 WHERE id = %(contact)s AND state IN ('started', 'connected')
"""
CHAT_OVER = f"""
UPDATE connect_bridge_contact SET state = %(state)s, ended_at = now(), reason = %(reason)s,
       participant_token = '', connection_token = ''
 WHERE id = %(contact)s AND state IN {OPEN_IN_SQL}
"""  # noqa: S608 - a constant
#: Why a chat has not begun yet.
CHAT_WAITS = "UPDATE connect_bridge_contact SET reason = %(reason)s WHERE id = %(contact)s"
#: The first message is not part of the request any more.
SENT_ALONE = "UPDATE connect_bridge_contact SET first_message = NULL WHERE id = %s AND state = 'requested'"
#: `agent_name` stays the last one's who served when all have left.
CHAT_NEWS = """
UPDATE connect_bridge_contact SET contact_id = COALESCE(NULLIF(%(contact_id)s, ''), contact_id),
       agent_name = COALESCE(NULLIF(%(agent)s, ''), agent_name), bot = %(bot)s WHERE id = %(contact)s
"""
CHAT_EVENTS = """
INSERT INTO connect_bridge_contactevent (contact_id, item_id, participant_id, role, kind, name, at)
SELECT %(contact)s, e.* FROM unnest(%(items)s::text[], %(participants)s::text[], %(roles)s::text[], %(kinds)s::text[],
                                    %(names)s::text[], %(at)s::timestamptz[]) AS e
ON CONFLICT (contact_id, item_id) DO NOTHING
"""
CHAT_SWEPT = "UPDATE connect_bridge_contact SET swept_at = now() WHERE id = %s"


class Chat(msgspec.Struct, kw_only=True):
    """An open contact as the bridge works with it, and what of its conversation a chat needs."""

    contact: uuid.UUID
    state: str
    instance_id: str
    flow_id: str
    contact_id: str
    initial_contact_id: str
    participant_token: str
    connection_token: str
    first_message: uuid.UUID | None
    bot: bool
    requested_at: datetime
    started_at: datetime | None
    events: Sequence[Sequence[str]] | None = None
    zone: str = ""
    agent_notes: Sequence[str] = ()

    def __post_init__(self) -> None:
        self.participant_token, self.connection_token = (
            decrypt_text(self.participant_token),
            decrypt_text(self.connection_token),
        )


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """What a new chat says about its conversation."""

    kind: str
    account: uuid.UUID
    account_name: str
    address: str
    instance_id: str
    flow_id: str
    attributes: dict[str, Any]
    customer: uuid.UUID
    identity: uuid.UUID
    external_id: str
    display_name: str
    handle: str
    locale: str
    version: datetime


async def open_chat(connection: AsyncConnection, conversation: uuid.UUID) -> Chat | None:
    """Return the conversation's open contact, if it has one."""
    async with connection.cursor(row_factory=class_row(Chat)) as cursor:
        return await (await cursor.execute(OPEN_CHAT, [conversation])).fetchone()


async def origin(connection: AsyncConnection, conversation: uuid.UUID) -> Origin:
    async with connection.cursor(row_factory=class_row(Origin)) as cursor:
        row = await (await cursor.execute(ORIGIN, [conversation])).fetchone()
    assert row is not None
    return row


async def request_chat(connection: AsyncConnection, **params: Any) -> Chat:
    """Write down that a chat is to be started, before Connect is asked: its id is the ClientToken."""
    async with connection.cursor(row_factory=class_row(Chat)) as cursor:
        row = await (await cursor.execute(REQUEST_CHAT, params)).fetchone()
    assert row is not None
    return row
