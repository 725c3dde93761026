"""What follows when a messenger reports later that it could not deliver: the same as from an answer that says so.

A refusal that may pass is tried again by the outbox's own rules (retry_policy.py), where that is safe; one that says
what the customer wants is written down. Runs in the transaction of the receipt.

Tried again is only what surely did not arrive (a provider's "failed" is final), and only while no later message of the
conversation has gone out: order matters more to the customer than a message that comes after its own follow-up. What
cannot be tried again is a dead letter in the provider's words, and the agent is told. The ids of the attempt that
failed are forgotten, so that a receipt which still names them is known to be old.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection

import msgspec
from psycopg.rows import class_row

from channels_app.errors import SendFailed
from channels_app.infrastructure.db import AsyncConnection
from channels_app.registry import channels
from channels_app.toolkit.http_errors import shown
from connect_bridge.models import OutboxEntry
from connect_bridge.outbox import retry_policy
from connect_bridge.outbox.queries import CLAIM_SECONDS, Verdict, clean
from connect_bridge.outbox.suppression import OF_THE_CUSTOMER, withdrawn
from customers.sql_steps import take

State = OutboxEntry.State
NO_WORDS = "The messenger reported that it could not deliver it."
TOO_LATE = "Not tried again: a later message has gone out. {}"


class Failed(msgspec.Struct, frozen=True, kw_only=True):
    """A send of which a receipt says that it failed. `age` is in seconds; `wrote_since`: the customer, after it."""

    entry: uuid.UUID
    state: str
    attempts: int
    age: float
    conversation: uuid.UUID
    account: uuid.UUID
    identity: uuid.UUID
    sequence: int
    part: int
    wrote_since: bool


FAILED = f"""
SELECT o.id AS entry, o.state, o.attempts, EXTRACT(EPOCH FROM now() - o.created_at)::float8 AS age,
       c.id AS conversation, c.account_id AS account, c.identity_id AS identity, o.sequence, o.part,
       COALESCE(c.last_inbound_at > o.claimed_until - interval '{CLAIM_SECONDS} seconds', false) AS wrote_since
  FROM connect_bridge_outboxentry o JOIN connect_bridge_conversation c ON c.id = o.conversation_id
 WHERE o.id = ANY(%s) ORDER BY o.sequence, o.part
"""  # noqa: S608 - a constant
#: Nobody adds to the conversation until we are through.
LOCK_CONVERSATION = "SELECT 1 FROM connect_bridge_conversation WHERE id = %(conversation)s FOR NO KEY UPDATE"
#: What has not gone out waits too. A worker that is about to claim it waits for this row, then finds it not due.
HOLD_LATER = """
UPDATE connect_bridge_outboxentry SET due_at = GREATEST(due_at, now() + make_interval(secs => %(delay)s))
 WHERE conversation_id = %(conversation)s AND (sequence, part) > (%(sequence)s, %(part)s) AND state = 'pending'
"""
TRY_AGAIN = """
WITH again AS (
    UPDATE connect_bridge_outboxentry o
       SET state = 'pending', due_at = now() + make_interval(secs => %(delay)s), settled_at = NULL, look_at = NULL,
           provider_message_ids = '[]', error_code = %(code)s, provider_code = %(provider_code)s,
           error_detail = %(detail)s
     WHERE o.id = %(entry)s AND o.state IN ('accepted', 'uncertain') AND NOT EXISTS (
           SELECT 1 FROM connect_bridge_outboxentry b
            WHERE b.conversation_id = o.conversation_id AND (b.sequence, b.part) > (o.sequence, o.part)
              AND b.state IN ('claimed', 'accepted', 'uncertain'))
    RETURNING o.message_id
)
UPDATE connect_bridge_message m
   SET status = 'stored', settled_at = NULL, error_code = '', error_detail = '', provider_message_id = ''
  FROM again WHERE m.id = again.message_id RETURNING m.id
"""
PAUSE = """
INSERT INTO connect_bridge_accountpause AS p (account_id, since, until)
SELECT %(account)s, now(), now() + make_interval(secs => %(pause)s) WHERE %(pause)s > 0
    ON CONFLICT (account_id) DO UPDATE
   SET since = CASE WHEN p.until > now() THEN p.since ELSE now() END, until = GREATEST(p.until, EXCLUDED.until)
"""


def failure_of(kind: str, code: str, words: str) -> SendFailed:
    """Return what a channel's error code means, as an error of the vocabulary, as if it had been the answer."""
    channel = channels().get(kind)
    failure = channel.meaning(code) if channel else SendFailed
    return failure(clean(shown(words), 500) or NO_WORDS, provider_code=clean(code, 64))


async def failed(connection: AsyncConnection, entries: Collection[uuid.UUID]) -> list[Failed]:
    """Return the sends with what it takes to decide about them, in order."""
    async with connection.cursor(row_factory=class_row(Failed)) as cursor:
        return await (await cursor.execute(FAILED, [list(entries)])).fetchall()


async def try_again(connection: AsyncConnection, send: Failed, failure: SendFailed) -> Verdict | None:
    """Give the send back to the outbox and return None, or return why it is not tried again."""
    verdict = retry_policy.judge(failure, send.attempts, send.age)
    if verdict.state != State.PENDING:
        return verdict
    params = {**msgspec.structs.asdict(verdict), **msgspec.structs.asdict(send)}
    await connection.execute(LOCK_CONVERSATION, params)
    await connection.execute(HOLD_LATER, params)
    if not await (await connection.execute(TRY_AGAIN, params)).fetchone():
        return msgspec.structs.replace(verdict, detail=TOO_LATE.format(failure.detail))
    await connection.execute(PAUSE, params)
    return None


async def note_consent(connection: AsyncConnection, send: Failed, failure: SendFailed) -> None:
    """Write down what the customer does not take, unless they have written since: then their word is the newer."""
    if isinstance(failure, OF_THE_CUSTOMER) and not send.wrote_since:
        await take(connection, withdrawn(send.identity, send.entry, type(failure), failure.provider_code))
