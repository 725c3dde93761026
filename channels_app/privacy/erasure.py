"""Erase a person from the stored webhooks and from the log of calls, as far as either tells of them.

Rows stay, empty, so that counts and keys hold: a webhook that is delivered again is known by its key.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from django.db import connection

#: A shorter id is in too many webhooks that are not about this person.
SHORTEST_ID = 5

#: In the order in which they are run. now() is when the transaction began: whoever writes meanwhile is somebody new.
STATEMENTS: dict[str, str] = {
    "calls": """
        UPDATE channels_app_channellog SET path = %(erased)s
         WHERE outbox_entry = ANY(%(sends)s)
            OR (account_id = ANY(%(accounts)s) AND path LIKE ANY(%(in_paths)s))""",
    "webhooks": """
        UPDATE channels_app_webhookdelivery d SET body = '', headers = '{}', query = ''
         WHERE d.account_id = ANY(%(accounts)s) AND d.received_at < now() AND (
               EXISTS (SELECT 1 FROM channels_app_inboundentry e WHERE e.delivery_id = d.id AND (
                       e.sender = ANY(%(names)s) OR e.id = ANY(%(entries)s)))
            OR EXISTS (
               SELECT 1 FROM unnest(%(in_bodies)s::bytea[]) AS b (name) WHERE position(b.name IN d.body) > 0))""",
    "events": """
        UPDATE channels_app_inboundentry e SET event = '{}', sender = %(erased)s, outcome = 'erased',
               state = CASE WHEN state IN ('pending', 'parked') THEN 'done' ELSE state END
         WHERE e.account_id = ANY(%(accounts)s) AND e.created_at < now()
           AND (e.sender = ANY(%(names)s) OR e.id = ANY(%(entries)s))""",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Traces:
    """By what a person is found here.

    `accounts` are those that they wrote to, `names` all their ids at the messengers, `entries` the inbound entries that
    brought their messages, `sends` the outbox entries that went to them. `erased` is written in the place of words.
    """

    erased: str
    accounts: Collection[uuid.UUID]
    names: Collection[str]
    entries: Collection[int]
    sends: Collection[uuid.UUID]

    def params(self) -> dict[str, Any]:
        telling = [name.removeprefix("+") for name in self.names if len(name) >= SHORTEST_ID]
        return {
            "erased": self.erased,
            "accounts": list(self.accounts),
            "names": list(self.names),
            "entries": list(self.entries),
            "sends": list(self.sends),
            # A plus sign is written otherwise in a form; the digits after it are not.
            "in_bodies": [name.encode() for name in telling],
            "in_paths": [f"%{_escaped(name)}%" for name in telling],
        }


def erase(traces: Traces) -> dict[str, int]:
    """Empty what tells of the person and came before this transaction began; return how many rows of each sort.

    Needs a transaction, in which the caller has locked the person's identities and conversations.
    """
    params, counts = traces.params(), {}
    with connection.cursor() as cursor:
        for name, statement in STATEMENTS.items():
            cursor.execute(statement, params)
            counts[name] = cursor.rowcount
    return counts


def _escaped(name: str) -> str:
    """Return the name for LIKE, in which % and _ mean something."""
    return name.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
