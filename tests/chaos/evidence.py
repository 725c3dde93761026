"""What is known after a run: the outside world's ledger, the rig's journal of faults, and what the database says."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import psycopg
from psycopg.rows import dict_row

#: Every text of the load is made of these words: account, customer, message, and which word of the message it is.
WORD = re.compile(r"a(\d+)c(\d+)m(\d+)k(\d+)")
#: What an attacker signs with a wrong secret says this, and nobody may ever see it.
FORGED = "forged-and-never-to-be-seen"

#: How Parley marks what it tells the agent under the customer's name.
NOTICE = "[Parley: not delivered]"

Word = tuple[int, int, int, int]


class Line(msgspec.Struct, frozen=True):
    """One thing that happened: the world's ledger and the rig's journal look alike. `at` is Unix seconds."""

    n: int
    at: float
    what: str
    fields: Mapping[str, Any] = {}


@dataclass(slots=True)
class Journal:
    """The rig's own append-only account of what it did to the product. Faults are lines `fault.*`."""

    path: Path | None = None
    lines: list[Line] = field(default_factory=list)
    _file: BinaryIO | None = None

    def note(self, what: str, **fields: Any) -> Line:
        line = Line(len(self.lines) + 1, time.time(), what, fields)
        self.lines.append(line)
        if self.path is not None:
            self._file = self._file or self.path.open("ab", buffering=0)
            self._file.write(msgspec.json.encode(line) + b"\n")
        return line


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """The database at the end. Rows are as the queries below name them."""

    messages: Sequence[Mapping[str, Any]] = ()
    sends: Sequence[Mapping[str, Any]] = ()
    contacts: Sequence[Mapping[str, Any]] = ()
    waiting: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Evidence:
    """All of it. `addresses` says which account of the load has which address at its messenger."""

    ledger: Sequence[Line]
    journal: Sequence[Line]
    stored: Stored
    addresses: Mapping[int, str]

    def all(self, *whats: str) -> Iterator[Line]:
        return (line for line in self.ledger if line.what in whats)


MESSAGES = """
SELECT m.id, m.conversation_id AS conversation, m.contact_id AS contact, m.sequence, m.direction, m.status, m.text,
       m.connect_item_id AS item, i.external_id AS customer, a.address
  FROM connect_bridge_message m JOIN connect_bridge_conversation c ON c.id = m.conversation_id
  JOIN channels_app_channelaccount a ON a.id = c.account_id JOIN customers_identity i ON i.id = c.identity_id
 ORDER BY m.conversation_id, m.sequence
"""
SENDS = """
SELECT to_jsonb(o) AS row, m.connect_item_id AS item
  FROM connect_bridge_outboxentry o JOIN connect_bridge_message m ON m.id = o.message_id
 ORDER BY o.conversation_id, o.sequence, o.part
"""
CONTACTS = "SELECT id, initial_contact_id, state, reason FROM connect_bridge_contact"
WAITING = {
    "intake": "SELECT count(*) FROM channels_app_inboundentry WHERE state = 'pending'",
    "relay": "SELECT count(*) FROM connect_bridge_message WHERE direction = 'in' AND status = 'stored'",
    "outbox": "SELECT count(*) FROM connect_bridge_outboxentry WHERE state IN ('pending', 'claimed')",
    "quarantine": "SELECT count(*) FROM channels_app_inboundentry WHERE state = 'quarantined'",
}


def read_lines(path: Path) -> list[Line]:
    """Read a file of JSON lines; a last one that was cut off while being written is left out."""
    decoder = msgspec.json.Decoder(Line)
    return [decoder.decode(raw) for raw in path.read_bytes().split(b"\n") if raw.endswith(b"}")]


def read_database(url: str) -> Stored:
    with psycopg.connect(url, autocommit=True, row_factory=dict_row) as connection:
        sends = connection.execute(SENDS).fetchall()
        return Stored(
            messages=connection.execute(MESSAGES).fetchall(),
            sends=[{**row["row"], "item": row["item"]} for row in sends],
            contacts=connection.execute(CONTACTS).fetchall(),
            waiting=waiting(connection),
        )


def waiting(connection: psycopg.Connection[Any]) -> dict[str, int]:
    """Return how many rows of each kind are not finished."""
    counts = {}
    for name, query in WAITING.items():
        row: Any = connection.execute(query.encode()).fetchone()
        counts[name] = row["count"] if isinstance(row, dict) else row[0]
    return counts


def words(text: str) -> list[Word]:
    """Return the load's words in a text; none if it is Parley's own notice, or an answer to one: those only quote."""
    if NOTICE in text:
        return []
    return [(int(a), int(c), int(m), int(k)) for a, c, m, k in WORD.findall(text)]


def say(account: int, customer: int, message: int, count: int = 1) -> str:
    """Return a text of `count` words, each of which says where it belongs."""
    return " ".join(f"a{account}c{customer}m{message}k{number}" for number in range(count))
