"""Finds webhooks and sends by any id that somebody may quote: ours, the messenger's, Amazon's; a number or a handle."""

from __future__ import annotations

import uuid
from typing import LiteralString

from channels_app.infrastructure.rows import read_tuples
from connect_bridge.event_log.queries import Direction

#: How many rows of each kind a search follows. Somebody who matches more needs a better search term.
MOST_FOUND = 200

#: Everywhere that an id may be, by index where there is one. `q` is the text, `p` the same or NULL if people are not to
#: be searched, `u` the same as a UUID or NULL.
_SEARCH: LiteralString = """
WITH accounts AS (SELECT array_agg(id) AS ids FROM channels_app_channelaccount),
entries AS (
    SELECT e.id, e.delivery_id FROM channels_app_inboundentry e, accounts a
     WHERE e.account_id = ANY(a.ids) AND e.key = ANY(ARRAY[%(q)s, 'm:' || %(q)s]) LIMIT %(most)s),
people AS (
    SELECT id FROM customers_identity WHERE external_id = %(p)s OR handle = %(p)s OR id = %(u)s OR customer_id = %(u)s
     UNION SELECT identity_id FROM customers_identityalias WHERE value = %(p)s LIMIT %(most)s),
talks AS (
    SELECT id FROM connect_bridge_conversation WHERE id = %(u)s OR identity_id IN (SELECT id FROM people)
     UNION SELECT conversation_id FROM connect_bridge_contact
            WHERE initial_contact_id = %(q)s OR contact_id = %(q)s OR id = %(u)s LIMIT %(most)s),
messages AS (
    (SELECT id, entry_id FROM connect_bridge_message WHERE id = %(u)s)
     UNION (SELECT id, entry_id FROM connect_bridge_message WHERE connect_item_id = %(q)s LIMIT %(most)s)
     UNION (SELECT id, entry_id FROM connect_bridge_message WHERE entry_id IN (SELECT id FROM entries))
     UNION (SELECT m.id, m.entry_id FROM talks t CROSS JOIN LATERAL (SELECT * FROM connect_bridge_message
             WHERE conversation_id = t.id ORDER BY sequence DESC LIMIT %(most)s) m))
SELECT 'in', delivery_id FROM entries
 UNION SELECT 'in', id FROM channels_app_webhookdelivery WHERE id = %(u)s
 UNION (SELECT 'in', id FROM channels_app_webhookdelivery WHERE request_id = %(q)s LIMIT %(most)s)
 UNION SELECT 'in', e.delivery_id FROM channels_app_inboundentry e WHERE e.id IN (SELECT entry_id FROM messages)
 UNION SELECT 'out', id FROM connect_bridge_outboxentry WHERE id = %(u)s OR message_id IN (SELECT id FROM messages)
 UNION SELECT 'out', s.entry_id FROM connect_bridge_sentid s, accounts a
        WHERE s.account_id = ANY(a.ids) AND s.provider_message_id = %(q)s
"""


def find_ids(text: str, *, of_people: bool = True) -> dict[str, list[uuid.UUID]]:
    """Return the ids of the webhooks and the sends to which an id, a number or a handle leads. One query.

    Without `of_people`, only ids are searched: for users who see neither numbers nor handles.
    """
    term = text.strip().replace("\0", "")[:300]
    try:
        as_uuid = uuid.UUID(term)
    except ValueError:
        as_uuid = None
    ids: dict[str, list[uuid.UUID]] = {Direction.IN: [], Direction.OUT: []}
    params = {"q": term, "p": term if of_people else None, "u": as_uuid, "most": MOST_FOUND}
    for direction, key in read_tuples(_SEARCH, params):
        if key is not None:
            ids[direction].append(key)
    return ids
