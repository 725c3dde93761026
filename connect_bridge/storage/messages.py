"""How messages and their sends are stored, written once: parts for the statements of those who store them.

Whoever stores a message takes its sequence under the conversation's row lock, in the same statement or before it.
"""

from __future__ import annotations

#: What a new message has unless its writer says otherwise, as SQL.
MESSAGE = {
    "content_type": "'text/plain'",
    "status": "'stored'",
    "error_code": "''",
    "error_detail": "''",
    "provider_message_id": "''",
    "relayed": "0",
    "attempts": "0",
    "created_at": "now()",
}
#: The same for a new entry of the outbox. It is due at once.
SEND = {
    "state": "'pending'",
    "attempts": "0",
    "due_at": "now()",
    "claimed_by": "''",
    "provider_message_ids": "'[]'",
    "error_code": "''",
    "provider_code": "''",
    "error_detail": "''",
    "created_at": "now()",
}


def insert_messages(source: str, **columns: str) -> str:
    """Return the INSERT that stores a message for each row of `source`, which is what stands after FROM.

    `columns` are SQL, too: id, conversation_id, sequence, direction, role, author, text and occurred_at at least. No
    value from outside is ever put in here: those are parameters.
    """
    return f"INSERT INTO connect_bridge_message {_select(MESSAGE | columns, source)}"


def insert_sends(source: str, **columns: str) -> str:
    """Return the INSERT that puts an entry into the outbox for each row of `source`, as insert_messages() does.

    `columns`: id, message_id, conversation_id, sequence, part and text at least.
    """
    return f"INSERT INTO connect_bridge_outboxentry {_select(SEND | columns, source)}"


def _select(columns: dict[str, str], source: str) -> str:
    return f"({', '.join(columns)})\n    SELECT {', '.join(columns.values())}\n      FROM {source}"  # noqa: S608 - constants
