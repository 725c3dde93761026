"""What a messenger tells of our messages afterwards: receipts and echoes, joined to what the outbox sent.

Runs in a transaction of the caller's. Statuses only climb; a receipt may come before our own commit, twice, or in any
order.
"""

from __future__ import annotations

import uuid
from collections.abc import Container, Sequence
from enum import StrEnum
from itertools import groupby
from operator import attrgetter
from typing import Any

import msgspec
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from channels_app.infrastructure.db import AsyncConnection
from channels_app.toolkit.same_text import words_of
from channels_app.types import Echoed, ReceiptReceived, ReceiptStatus
from connect_bridge.models import Message, OutboxEntry
from connect_bridge.outbox import late_failures
from connect_bridge.outbox.queries import CLAIM_SECONDS, EARLIER_PART, clean

State = OutboxEntry.State
Status = Message.Status

#: How many of a conversation's newest messages a "read up to here" reaches.
WATERMARK_REACH = 200
#: The last moment of the year 9999 in milliseconds: a watermark from further off is cut to it.
END_OF_TIME = 253_402_300_799_000
#: A delivery that came after a failure is the newer truth; a failure that came after a delivery is not.
LADDER = (
    Status.STORED,
    Status.RELAYED,
    Status.UNCERTAIN,
    Status.ACCEPTED,
    Status.FAILED,
    Status.DELIVERED,
    Status.READ,
)
ARRIVED = frozenset({ReceiptStatus.DELIVERED, ReceiptStatus.READ})
UNSETTLED = frozenset({State.PENDING, State.CLAIMED, State.UNCERTAIN})


class Joined(StrEnum):
    """What became of a receipt or echo that need not wait; the value is the entry's outcome in the admin."""

    OURS = "joined to our message"
    NOT_OURS = "about a message that Parley did not send"


class Sibling(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a message of which a receipt names this part or another one. `status` is the message's.

    `ids` are the provider's for the attempt that counts; none of an attempt that has not been answered.
    """

    entry: uuid.UUID
    message: uuid.UUID
    state: str
    status: str
    ids: list[str] = []
    kind: str = ""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What a receipt changes in one message: its parts, and its status if that may climb."""

    accepted: list[uuid.UUID] = []
    dead: list[uuid.UUID] = []
    abandoned: list[uuid.UUID] = []
    status: Status | None = None


#: The sends that are named by the provider's ids or by our own correlation, and the ids that are known.
NAMED = """
SELECT s.entry_id, s.provider_message_id FROM connect_bridge_sentid s
 WHERE s.account_id = %(account)s AND s.provider_message_id = ANY(%(ids)s)
UNION ALL
SELECT o.id, '' FROM connect_bridge_outboxentry o JOIN connect_bridge_conversation c ON c.id = o.conversation_id
 WHERE o.id = %(correlation)s AND c.account_id = %(account)s
"""
#: All that an echo may be of, as of one moment: between two statements a send that is under way could be written down,
#: and both would miss it. Messengers without correlation (X) echo the text alone: it settles a send of the same text
#: whose outcome is unknown, or that is tried again though the messenger may have taken it (`unsure`). What is `claimed`
#: is being sent, and its commit may tell more.
ECHOED = f"""
SELECT 'named', n.* FROM ({NAMED}) n
UNION ALL
(SELECT 'unsure', id, text FROM connect_bridge_outboxentry
  WHERE conversation_id = %(conversation)s AND (state = 'uncertain' OR (state = 'pending' AND attempts > 0))
    AND provider_message_ids = '[]' ORDER BY sequence, part LIMIT 50)
UNION ALL
(SELECT 'claimed', id, '' FROM connect_bridge_outboxentry
  WHERE conversation_id = %(conversation)s AND state = 'claimed' LIMIT 1)
"""  # noqa: S608 - a constant
#: Locked in the order in which the outbox locks them: entries before messages, parts in order.
SIBLINGS = """
SELECT o.id AS entry, o.message_id AS message, o.state, m.status, o.provider_message_ids AS ids, a.kind
  FROM connect_bridge_outboxentry o JOIN connect_bridge_message m ON m.id = o.message_id
  JOIN connect_bridge_conversation c ON c.id = o.conversation_id
  JOIN channels_app_channelaccount a ON a.id = c.account_id
 WHERE o.message_id IN (SELECT message_id FROM connect_bridge_outboxentry WHERE id = ANY(%s))
 ORDER BY o.message_id, o.part FOR UPDATE OF o
"""
REMEMBER = """
INSERT INTO connect_bridge_sentid (account_id, provider_message_id, entry_id)
SELECT %(account)s, i.id, %(entry)s FROM unnest(%(ids)s::text[]) AS i (id) ON CONFLICT DO NOTHING
"""
ACCEPT = """
UPDATE connect_bridge_outboxentry
   SET state = 'accepted', settled_at = now(), error_code = '', provider_code = '', error_detail = '',
       provider_message_ids = CASE WHEN provider_message_ids = '[]' THEN %(ids)s ELSE provider_message_ids END
 WHERE id = ANY(%(entries)s)
"""
REFUSE = """
UPDATE connect_bridge_outboxentry
   SET state = 'dead', settled_at = now(), error_code = %(code)s, provider_code = %(provider_code)s,
       error_detail = %(detail)s
 WHERE id = ANY(%(entries)s)
"""
ABANDON = f"""
UPDATE connect_bridge_outboxentry SET state = 'dead', settled_at = now(), {EARLIER_PART} WHERE id = ANY(%s)
"""  # noqa: S608 - a constant
CLIMB = f"""
UPDATE connect_bridge_message m
   SET status = %(status)s::text, error_code = %(code)s, error_detail = %(detail)s,
       settled_at = COALESCE(m.settled_at, now()),
       provider_message_id = COALESCE(NULLIF(m.provider_message_id, ''), %(provider_id)s)
 WHERE m.id = %(message)s
   AND array_position(ARRAY{list(map(str, LADDER))}::text[], m.status::text)
     < array_position(ARRAY{list(map(str, LADDER))}::text[], %(status)s::text)
"""  # noqa: S608 - constants
#: What was sent before the watermark, to its last part. A send began when it was claimed: the provider's clock, which
#: named the moment, saw the message after that and before we heard of it.
WATERMARK = f"""
UPDATE connect_bridge_message m SET status = %(status)s
 WHERE m.status = ANY(%(from)s) AND m.id IN (
    SELECT n.id FROM (SELECT id FROM connect_bridge_message
                       WHERE conversation_id = %(conversation)s AND direction = 'out'
                       ORDER BY sequence DESC LIMIT {WATERMARK_REACH}) n
      JOIN connect_bridge_outboxentry o ON o.message_id = n.id GROUP BY n.id
    HAVING max(o.claimed_until) - interval '{CLAIM_SECONDS} seconds' <= to_timestamp(%(until)s / 1000.0))
"""  # noqa: S608 - constants
#: Something was being sent at that moment, and its commit may tell more.
BEING_SENT_SINCE = f"""
SELECT 1 FROM connect_bridge_outboxentry WHERE conversation_id = %s AND state = 'claimed'
   AND claimed_until - interval '{CLAIM_SECONDS} seconds' <= to_timestamp(%s / 1000.0) LIMIT 1
"""  # noqa: S608 - constants


async def apply_receipt(
    connection: AsyncConnection, account: uuid.UUID, conversation: uuid.UUID | None, event: ReceiptReceived | Echoed
) -> Joined | None:
    """Note what a messenger says of our messages; None if they are not known yet, so that it should be tried again.

    Idempotent. What names a send whose outcome was unknown settles it: the messenger took it.
    """
    if isinstance(event, Echoed):
        return await _echo(connection, account, conversation, event)
    ids = _kept(event.message_ids)
    named = await _named(connection, account, ids, event.correlation)
    if not await _note(connection, account, named, event, ids):
        return None
    if event.watermark is not None:
        return await _watermark(connection, conversation, event.status, min(event.watermark, END_OF_TIME))
    return Joined.OURS if named and (event.correlation or named.keys() >= set(ids)) else None


async def _echo(
    connection: AsyncConnection, account: uuid.UUID, conversation: uuid.UUID | None, echo: Echoed
) -> Joined | None:
    """Join an echo by correlation or id, else by text to an uncertain send; wait while anything is being sent."""
    ids = _kept([echo.message_id])
    accepted = ReceiptReceived(
        key=echo.key, sender=echo.sender, status=ReceiptStatus.ACCEPTED, correlation=echo.correlation
    )
    given = {"account": account, "ids": ids, "correlation": _uuid(echo.correlation), "conversation": conversation}
    rows = await (await connection.execute(ECHOED, given)).fetchall()
    named = {known: entry for what, entry, known in rows if what == "named"}
    if not named and (said := words_of(echo.text)):
        unsure = ((text, entry) for what, entry, text in rows if what == "unsure")
        named = next(({"": entry} for text, entry in unsure if words_of(text) == said), {})
    await _note(connection, account, named, accepted, ids)
    if named:
        return Joined.OURS
    return None if any(what == "claimed" for what, *_ in rows) else Joined.NOT_OURS


async def _named(
    connection: AsyncConnection, account: uuid.UUID, ids: Sequence[str], correlation: str
) -> dict[str, uuid.UUID]:
    """Return the sends that are meant, by provider's id; the one that our own correlation names has the key ""."""
    given = {"account": account, "ids": ids, "correlation": _uuid(correlation)}
    rows = await (await connection.execute(NAMED, given)).fetchall()
    return {known: entry for entry, known in rows}


async def _note(
    connection: AsyncConnection,
    account: uuid.UUID,
    named: dict[str, uuid.UUID],
    receipt: ReceiptReceived,
    ids: Sequence[str],
) -> bool:
    """Write what the receipt says into the sends that it names and into their messages; False if it must wait."""
    if not named:
        return True
    async with connection.cursor(row_factory=class_row(Sibling)) as cursor:
        siblings = await (await cursor.execute(SIBLINGS, [list(set(named.values()))])).fetchall()
    entries = {one.entry for one in siblings if one.entry in named.values() and not _is_old(one, named, receipt, ids)}
    given: dict[str, Any] = {
        "ids": Jsonb(ids if "" in named else []),
        "provider_id": ids[0] if ids and "" in named else "",
        "code": "",
        "provider_code": "",
        "detail": "",
    }
    if receipt.status is ReceiptStatus.FAILED and entries:
        told = await _failed(connection, siblings, entries, receipt)
        if told is None:
            return False
        given |= told
        entries -= told["tried_again"]
    if "" in named:
        await connection.execute(REMEMBER, {"account": account, "entry": named[""], "ids": ids})
    for message, parts in groupby(siblings, attrgetter("message")):
        await _write(connection, given | {"message": message}, judge(list(parts), entries, receipt.status))
    return True


def _is_old(part: Sibling, named: dict[str, uuid.UUID], receipt: ReceiptReceived, ids: Sequence[str]) -> bool:
    """Whether a receipt is about an earlier attempt than the one that counts. Arrived is arrived, whichever it was."""
    if receipt.status in ARRIVED or not ids or set(ids) & set(part.ids):
        return False
    return bool(part.ids) or any(named.get(one) == part.entry for one in ids)


async def _failed(
    connection: AsyncConnection, siblings: Sequence[Sibling], entries: set[uuid.UUID], receipt: ReceiptReceived
) -> dict[str, Any] | None:
    """Do what a failure asks for, and return how it is to be shown; None while such a send is still under way."""
    failure = late_failures.failure_of(siblings[0].kind, receipt.error_code, receipt.error_detail)
    open_ = {part.entry for part in siblings if part.status not in (Status.DELIVERED, Status.READ)}
    told: dict[str, Any] = {"code": failure.code, "provider_code": failure.provider_code, "detail": failure.detail}
    again: set[uuid.UUID] = set()
    for send in await late_failures.failed(connection, entries & open_):
        if failure.retryable and send.state == State.CLAIMED:
            return None
        if failure.retryable and send.state in (State.ACCEPTED, State.UNCERTAIN):
            verdict = await late_failures.try_again(connection, send, failure)
            again |= {send.entry} if verdict is None else set()
            told["detail"] = told["detail"] if verdict is None else clean(verdict.detail, 500)
        elif send.state != State.DEAD:
            await late_failures.note_will(connection, send, failure)
    return told | {"tried_again": again}


async def _write(connection: AsyncConnection, given: dict[str, Any], finding: Finding) -> None:
    if finding.accepted:
        await connection.execute(ACCEPT, given | {"entries": finding.accepted})
    if finding.dead:
        await connection.execute(REFUSE, given | {"entries": finding.dead})
    if finding.abandoned:
        await connection.execute(ABANDON, [finding.abandoned])
    if finding.status is not None:
        await connection.execute(CLIMB, given | {"status": finding.status})


def judge(parts: Sequence[Sibling], named: Container[uuid.UUID], status: ReceiptStatus) -> Finding:
    """Return what a receipt about some parts of one message changes.

    The message is delivered or read when its last part is, and only if the messenger took all parts.
    """
    meant = [part for part in parts if part.entry in named]
    if not meant:
        return Finding()
    if status is ReceiptStatus.FAILED:
        if parts[0].status in (Status.DELIVERED, Status.READ):
            return Finding()
        return Finding(
            dead=[part.entry for part in meant if part.state != State.DEAD],
            abandoned=[part.entry for part in parts if part not in meant and part.state == State.PENDING],
            status=Status.FAILED,
        )
    lifted = [
        part.entry for part in meant if part.state in UNSETTLED or (part.state == State.DEAD and status in ARRIVED)
    ]
    if any(part.state != State.ACCEPTED and part.entry not in lifted for part in parts):
        return Finding(accepted=lifted)
    return Finding(accepted=lifted, status=Status(status) if parts[-1] in meant else Status.ACCEPTED)


async def _watermark(
    connection: AsyncConnection, conversation: uuid.UUID | None, status: ReceiptStatus, until: int
) -> Joined | None:
    """Lift everything that was sent up to the watermark; wait for what was being sent when it was made."""
    if conversation is None or status not in ARRIVED:
        return Joined.NOT_OURS
    lower = [Status.ACCEPTED] if status is ReceiptStatus.DELIVERED else [Status.ACCEPTED, Status.DELIVERED]
    given = {"conversation": conversation, "status": status, "until": until, "from": lower}
    # Asked before: what is written down between the two is lifted, too.
    waits = await (await connection.execute(BEING_SENT_SINCE, [conversation, until])).fetchone()
    await connection.execute(WATERMARK, given)
    return None if waits else Joined.OURS


def _kept(ids: Sequence[str]) -> list[str]:
    """Return the provider's ids as we keep them."""
    return [clean(one, 256) for one in ids]


def _uuid(correlation: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(correlation)
    except ValueError:  # none, or not one of ours
        return None
