"""What a messenger reports of our messages afterwards: receipts and echoes, joined to what the outbox sent.

Runs in a transaction of the caller's. A status only rises; a receipt may come before our own commit, twice, or in any
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
from connect_bridge.inbound import receipt_queries as queries
from connect_bridge.models import Message, OutboxEntry
from connect_bridge.outbox import late_failures
from connect_bridge.outbox.queries import clean

State = OutboxEntry.State
Status = Message.Status

#: The last moment of the year 9999 in milliseconds: a watermark from further off is cut to it.
END_OF_TIME = 253_402_300_799_000
ARRIVED = frozenset({ReceiptStatus.DELIVERED, ReceiptStatus.READ})
UNSETTLED = frozenset({State.PENDING, State.CLAIMED, State.UNCERTAIN})


class Joined(StrEnum):
    """What became of a receipt or echo that need not wait; the value is the entry's outcome in the admin."""

    OURS = "joined to our message"
    NOT_OURS = "about a message that Parley did not send"


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One part of a message of which a receipt names this part or another. `status` is the message's.

    `ids` are the provider's for the attempt that counts; none of an attempt that has not been answered.
    """

    entry: uuid.UUID
    message: uuid.UUID
    state: str
    status: str
    ids: list[str] = []
    kind: str = ""


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """What a receipt changes in one message: its parts, and its status if that may rise."""

    accepted: list[uuid.UUID] = []
    dead: list[uuid.UUID] = []
    abandoned: list[uuid.UUID] = []
    status: Status | None = None


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """How a failure is shown, and the sends that are not shown as failed because they are tried again."""

    code: str
    provider_code: str
    detail: str
    tried_again: frozenset[uuid.UUID]

    def params(self) -> dict[str, str]:
        return {"code": self.code, "provider_code": self.provider_code, "detail": self.detail}


async def apply_receipt(
    connection: AsyncConnection, account: uuid.UUID, conversation: uuid.UUID | None, event: ReceiptReceived | Echoed
) -> Joined | None:
    """Write down what a messenger says of our messages; None if they are not known yet, so that it is tried again.

    Idempotent. What names a send whose outcome was unknown settles it: the messenger took it.
    """
    if isinstance(event, Echoed):
        return await _apply_echo(connection, account, conversation, event)
    ids = _cleaned(event.message_ids)
    named = await _named_sends(connection, account, ids, event.correlation)
    if not await _apply(connection, account, named, event, ids):
        return None
    if event.watermark is not None:
        return await _apply_watermark(connection, conversation, event.status, min(event.watermark, END_OF_TIME))
    return Joined.OURS if named and (event.correlation or named.keys() >= set(ids)) else None


async def _apply_echo(
    connection: AsyncConnection, account: uuid.UUID, conversation: uuid.UUID | None, echo: Echoed
) -> Joined | None:
    """Join an echo by correlation or id, else by text to an uncertain send; wait while anything is being sent."""
    ids = _cleaned([echo.message_id])
    accepted = ReceiptReceived(
        key=echo.key, sender=echo.sender, status=ReceiptStatus.ACCEPTED, correlation=echo.correlation
    )
    params = {"account": account, "ids": ids, "correlation": _uuid(echo.correlation), "conversation": conversation}
    rows = await (await connection.execute(queries.SENDS_OF_ECHO, params)).fetchall()
    named = {message_id: entry for sort, entry, message_id in rows if sort == "named"}
    if not named and (words := words_of(echo.text)):
        unsure = ((text, entry) for sort, entry, text in rows if sort == "unsure")
        named = next(({"": entry} for text, entry in unsure if words_of(text) == words), {})
    await _apply(connection, account, named, accepted, ids)
    if named:
        return Joined.OURS
    return None if any(sort == "claimed" for sort, *_ in rows) else Joined.NOT_OURS


async def _named_sends(
    connection: AsyncConnection, account: uuid.UUID, ids: Sequence[str], correlation: str
) -> dict[str, uuid.UUID]:
    """Return the sends that are meant, by provider's id; the one that our own correlation names has the key ""."""
    params = {"account": account, "ids": ids, "correlation": _uuid(correlation)}
    rows = await (await connection.execute(queries.NAMED_SENDS, params)).fetchall()
    return {message_id: entry for entry, message_id in rows}


async def _apply(
    connection: AsyncConnection,
    account: uuid.UUID,
    named: dict[str, uuid.UUID],
    receipt: ReceiptReceived,
    ids: Sequence[str],
) -> bool:
    """Write what the receipt says into the sends that it names and into their messages; False if it must wait."""
    if not named:
        return True
    async with connection.cursor(row_factory=class_row(Part)) as cursor:
        parts = await (await cursor.execute(queries.ALL_PARTS, [list(set(named.values()))])).fetchall()
    entries = {part.entry for part in parts if part.entry in named.values() and not _is_old(part, named, receipt, ids)}
    params: dict[str, Any] = {
        "ids": Jsonb(ids if "" in named else []),
        "provider_id": ids[0] if ids and "" in named else "",
        "code": "",
        "provider_code": "",
        "detail": "",
    }
    if receipt.status is ReceiptStatus.FAILED and entries:
        failure = await _apply_failure(connection, parts, entries, receipt)
        if failure is None:
            return False
        params |= failure.params()
        entries -= failure.tried_again
    if "" in named:
        await connection.execute(queries.STORE_IDS, {"account": account, "entry": named[""], "ids": ids})
    for message, group in groupby(parts, attrgetter("message")):
        await _write(connection, params | {"message": message}, judge(list(group), entries, receipt.status))
    return True


def _is_old(part: Part, named: dict[str, uuid.UUID], receipt: ReceiptReceived, ids: Sequence[str]) -> bool:
    """Whether a receipt is about an earlier attempt than the one that counts. One that says "arrived" never is."""
    if receipt.status in ARRIVED or not ids or set(ids) & set(part.ids):
        return False
    return bool(part.ids) or any(named.get(message_id) == part.entry for message_id in ids)


async def _apply_failure(
    connection: AsyncConnection, parts: Sequence[Part], entries: set[uuid.UUID], receipt: ReceiptReceived
) -> Failure | None:
    """Do what a failure asks for, and return how it is to be shown; None while such a send is still under way."""
    failure = late_failures.failure_of(parts[0].kind, receipt.error_code, receipt.error_detail)
    not_arrived = {part.entry for part in parts if part.status not in (Status.DELIVERED, Status.READ)}
    detail, tried_again = failure.detail, set()
    for send in await late_failures.failed(connection, entries & not_arrived):
        if failure.retryable and send.state == State.CLAIMED:
            return None
        if failure.retryable and send.state in (State.ACCEPTED, State.UNCERTAIN):
            verdict = await late_failures.try_again(connection, send, failure)
            if verdict is None:
                tried_again.add(send.entry)
            else:
                detail = clean(verdict.detail, 500)
        elif send.state != State.DEAD:
            await late_failures.note_consent(connection, send, failure)
    return Failure(
        code=failure.code, provider_code=failure.provider_code, detail=detail, tried_again=frozenset(tried_again)
    )


async def _write(connection: AsyncConnection, params: dict[str, Any], changes: Changes) -> None:
    if changes.accepted:
        await connection.execute(queries.ACCEPT, params | {"entries": changes.accepted})
    if changes.dead:
        await connection.execute(queries.FAIL, params | {"entries": changes.dead})
    if changes.abandoned:
        await connection.execute(queries.ABANDON, [changes.abandoned])
    if changes.status is not None:
        await connection.execute(queries.RAISE_STATUS, params | {"status": changes.status})


def judge(parts: Sequence[Part], named: Container[uuid.UUID], status: ReceiptStatus) -> Changes:
    """Return what a receipt about some parts of one message changes.

    The message is delivered or read when its last part is, and only if the messenger took all parts.
    """
    meant = [part for part in parts if part.entry in named]
    if not meant:
        return Changes()
    if status is ReceiptStatus.FAILED:
        if parts[0].status in (Status.DELIVERED, Status.READ):
            return Changes()
        return Changes(
            dead=[part.entry for part in meant if part.state != State.DEAD],
            abandoned=[part.entry for part in parts if part not in meant and part.state == State.PENDING],
            status=Status.FAILED,
        )
    accepted = [
        part.entry for part in meant if part.state in UNSETTLED or (part.state == State.DEAD and status in ARRIVED)
    ]
    if any(part.state != State.ACCEPTED and part.entry not in accepted for part in parts):
        return Changes(accepted=accepted)
    return Changes(accepted=accepted, status=Status(status) if parts[-1] in meant else Status.ACCEPTED)


async def _apply_watermark(
    connection: AsyncConnection, conversation: uuid.UUID | None, status: ReceiptStatus, until: int
) -> Joined | None:
    """Raise the status of all that was sent up to the watermark; wait for what was being sent when it was made."""
    if conversation is None or status not in ARRIVED:
        return Joined.NOT_OURS
    lower = [Status.ACCEPTED] if status is ReceiptStatus.DELIVERED else [Status.ACCEPTED, Status.DELIVERED]
    params = {"conversation": conversation, "status": status, "until": until, "from": lower}
    # Asked before: what is written down between the two is raised, too.
    waits = await (await connection.execute(queries.BEING_SENT_SINCE, [conversation, until])).fetchone()
    await connection.execute(queries.RAISE_UP_TO_WATERMARK, params)
    return None if waits else Joined.OURS


def _cleaned(ids: Sequence[str]) -> list[str]:
    """Return the provider's ids as we keep them."""
    return [clean(message_id, 256) for message_id in ids]


def _uuid(correlation: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(correlation)
    except ValueError:  # none, or not Parley's
        return None
