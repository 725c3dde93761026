"""Compare the copy in DynamoDB with the database, message by message, and rebuild it."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from psycopg.rows import class_row

from connect_bridge.projection.copy import COLUMNS, JOINS, NOTE_ALL, Connection, catch_up
from connect_bridge.projection.dynamodb import Item, Row, Table, item_of, place_of

#: Differences that are named.
MOST_NAMED = 20

AT_PLACES = f"""
SELECT m.id AS message, m.conversation_id AS conversation, m.sequence, 0 AS version, {COLUMNS}
  FROM unnest(%(conversations)s::uuid[], %(sequences)s::bigint[]) AS p (conversation, sequence)
  JOIN connect_bridge_message m ON m.conversation_id = p.conversation AND m.sequence = p.sequence {JOINS}
"""  # noqa: S608 - a constant
COUNTS = "SELECT conversation_id, count(*) FROM connect_bridge_message GROUP BY 1"
PLACES = "SELECT sequence FROM connect_bridge_message WHERE conversation_id = %s ORDER BY sequence"


@dataclass(slots=True)
class Comparison:
    """What a comparison found: places (conversation, sequence) of messages."""

    same: int = 0
    different: list[tuple[uuid.UUID, int]] = field(default_factory=list)
    missing: list[tuple[uuid.UUID, int]] = field(default_factory=list)
    surplus: list[tuple[uuid.UUID, int]] = field(default_factory=list)

    @property
    def differences(self) -> int:
        return len(self.different) + len(self.missing) + len(self.surplus)


def compare(connection: Connection, table: Table) -> Comparison:
    """Read all of both, page by page, after catching up. Raises Unavailable.

    What differs is compared once more at the end, after catching up again: it may have changed meanwhile.
    """
    catch_up(connection, table)
    comparison, seen = Comparison(), Counter[uuid.UUID]()
    for page in table.scan():
        seen.update(_compare_page(connection, page, comparison))
    for conversation, number in connection.execute(COUNTS).fetchall():
        if seen[conversation] < number:
            comparison.missing += _missing(connection, table, conversation)
    return _again(connection, table, comparison) if comparison.differences else comparison


def rebuild(connection: Connection, table: Table) -> tuple[int, int]:
    """Write every message anew and delete what is in DynamoDB alone; return how many of either. Raises Unavailable."""
    connection.execute(NOTE_ALL)
    written = catch_up(connection, table)
    deleted = 0
    for page in table.scan():
        known = _rows(connection, [place_of(item) for item in page])
        surplus = [item for item in page if place_of(item) not in known]
        table.write([], [{"PK": item["PK"], "SK": item["SK"]} for item in surplus])
        deleted += len(surplus)
    return written, deleted


def _compare_page(connection: Connection, page: Sequence[Item], comparison: Comparison) -> list[uuid.UUID]:
    """Compare a page, and return the conversation of each item that the database has, too."""
    known = _rows(connection, [place_of(item) for item in page])
    for item in page:
        place = place_of(item)
        row = known.get(place)
        if row is None:
            comparison.surplus.append(place)
        elif item_of(row) != item:
            comparison.different.append(place)
        else:
            comparison.same += 1
    return [conversation for conversation, _ in known]


def _missing(connection: Connection, table: Table, conversation: uuid.UUID) -> list[tuple[uuid.UUID, int]]:
    copied = {place_of(item)[1] for item in table.conversation(conversation)}
    stored = [row[0] for row in connection.execute(PLACES, [conversation]).fetchall()]
    return [(conversation, sequence) for sequence in stored if sequence not in copied]


def _again(connection: Connection, table: Table, first: Comparison) -> Comparison:
    """Look once more at what differed: it may have been on its way."""
    catch_up(connection, table)
    comparison = Comparison(same=first.same)
    differing = {*first.different, *first.missing, *first.surplus}
    for conversation in {conversation for conversation, _ in differing}:
        items = {place_of(item): item for item in table.conversation(conversation)}
        places = [place for place in differing if place[0] == conversation]
        known = _rows(connection, places)
        _compare_page(connection, [items[place] for place in places if place in items], comparison)
        comparison.missing += [place for place in places if place not in items and place in known]
    return comparison


def _rows(connection: Connection, places: Sequence[tuple[uuid.UUID, int]]) -> dict[tuple[uuid.UUID, int], Row]:
    params: dict[str, Any] = {
        "conversations": [conversation for conversation, _ in places],
        "sequences": [sequence for _, sequence in places],
    }
    with connection.cursor(row_factory=class_row(Row)) as cursor:
        rows = cursor.execute(AT_PLACES.encode(), params).fetchall()
    return {(row.conversation, row.sequence): row for row in rows}
