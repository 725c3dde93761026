"""Sends of which nobody knows whether they arrived: the messenger is asked for them, then the account's policy decides.

A receipt or echo may settle one at any moment; the first look leaves them time. What is found was accepted. What the
messenger lists completely, and not it, did not arrive; so a person can tell, or it is sent once more. Messengers that
list nothing leave the question open.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import msgspec
from django.db import connections
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from channels_app.accounts.call_log import LOG_CALLS, call_params
from channels_app.channel import FindsSent
from channels_app.errors import SendFailed
from channels_app.models import ChannelAccount
from channels_app.toolkit.http import HttpTrace
from channels_app.types import FoundSent, OutboundMessage
from connect_bridge.outbox import db_pool
from connect_bridge.outbox.channel_cache import channel_of, recorded_calls
from connect_bridge.outbox.metrics import MESSAGES
from connect_bridge.outbox.queries import ACCEPTED, CLAIM_SECONDS, LOCK_PARTS, Settled, clean
from connect_bridge.signals import message_settled

log = logging.getLogger(__name__)

#: Seconds from each look to the next one. The first is FIRST_LOOK after the send became uncertain, the last after some
#: ten minutes. X answers 15 such questions in 15 minutes (docs.x.com, "Rate limits").
WAITS = (10.0, 30.0, 60.0, 180.0, 300.0)
MOST_LOOKS = len(WAITS) + 1
#: Seconds after which the messenger's list is believed when it does not name a message: a request that we gave up may
#: have been on its way still, and a list may lag behind.
BELIEVED_AFTER = 40.0
#: How far the provider's clock may be behind ours.
CLOCKS_DIFFER = timedelta(seconds=30)
#: Looks that one task takes, how many of them at once, and for how many seconds nobody else takes the same.
MOST_PER_TASK = 50
LOOKERS = 8
LEASE = 120.0
NOT_THERE = "The messenger does not list it: most likely it did not arrive. Send it again if the customer needs it."
NO_TELLING = "Nobody can tell whether it arrived. If it is sent again, the customer may get it twice."


class DeliveryProbe(msgspec.Struct, frozen=True, kw_only=True):
    """An uncertain send that this worker looks for now. `age` is how many seconds it has been uncertain."""

    entry: uuid.UUID
    message: uuid.UUID
    conversation: uuid.UUID
    text: str
    looks: int
    age: float
    sent_at: datetime
    possible_duplicate: bool
    detail: str
    recipient: str
    account: uuid.UUID
    kind: str
    version: datetime
    when_uncertain: str


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What comes of a look that found nothing: another one after `wait` seconds, or `send_again`, or neither."""

    wait: float | None = None
    send_again: bool = False
    detail: str = ""


ANY_DUE = "SELECT EXISTS (SELECT 1 FROM connect_bridge_outboxentry WHERE state = 'uncertain' AND look_at <= now())"
#: While something of the same conversation is being sent, the list may show it already and we do not know its id yet.
TAKE = """
WITH due AS (
    SELECT o.id FROM connect_bridge_outboxentry o JOIN connect_bridge_conversation c ON c.id = o.conversation_id
      JOIN channels_app_channelaccount a ON a.id = c.account_id
     WHERE o.state = 'uncertain' AND o.look_at <= now() AND a.enabled
       AND NOT EXISTS (SELECT 1 FROM connect_bridge_outboxentry b
                        WHERE b.conversation_id = o.conversation_id AND b.state = 'claimed')
     ORDER BY o.look_at LIMIT %(most)s FOR UPDATE OF o SKIP LOCKED
)
UPDATE connect_bridge_outboxentry o
   SET looks = o.looks + 1, look_at = now() + make_interval(secs => %(lease)s)
  FROM due, connect_bridge_conversation c, channels_app_channelaccount a
 WHERE o.id = due.id AND c.id = o.conversation_id AND a.id = c.account_id
RETURNING o.id AS entry, o.message_id AS message, o.conversation_id AS conversation, o.text, o.looks,
          EXTRACT(EPOCH FROM now() - o.settled_at)::float8 AS age, o.possible_duplicate, o.error_detail AS detail,
          o.claimed_until - make_interval(secs => %(claim)s) AS sent_at, c.recipient, a.id AS account, a.kind,
          a.updated_at AS version, a.when_uncertain
"""
#: Ids are taken one by one: of two sends of the same text each gets its own.
TAKE_ID = """
INSERT INTO connect_bridge_sentid AS s (account_id, provider_message_id, entry_id)
VALUES (%(account)s, %(id)s, %(entry)s)
ON CONFLICT (account_id, provider_message_id) DO UPDATE SET entry_id = s.entry_id RETURNING s.entry_id
"""
SAME_IN_FLIGHT = """
SELECT 1 FROM connect_bridge_outboxentry
 WHERE conversation_id = %(conversation)s AND state = 'claimed' AND text = %(text)s AND id <> %(entry)s
"""
AGAIN = """
UPDATE connect_bridge_outboxentry SET look_at = now() + make_interval(secs => %(wait)s)
 WHERE id = %(entry)s AND state = 'uncertain'
"""
SEND_AGAIN = """
UPDATE connect_bridge_outboxentry
   SET state = 'pending', due_at = now(), settled_at = NULL, look_at = NULL, possible_duplicate = true
 WHERE id = %(entry)s AND state = 'uncertain'
"""
LEAVE = """
WITH left_open AS (
    UPDATE connect_bridge_outboxentry SET look_at = NULL, error_detail = %(detail)s
     WHERE id = %(entry)s AND state = 'uncertain' RETURNING message_id
)
UPDATE connect_bridge_message m SET error_detail = %(detail)s
  FROM left_open l WHERE m.id = l.message_id AND m.status = 'uncertain'
"""


def any_due() -> bool:
    """Return whether there is something to look for now."""
    with db_pool.connection() as connection:
        return bool(connection.execute(ANY_DUE).fetchone()[0])  # type: ignore[index] # EXISTS always gives a row


def look_into(most: int = MOST_PER_TASK) -> int:
    """Ask the messengers for uncertain sends that are due; return how many. Safe from any number of workers."""
    with db_pool.connection() as connection, connection.cursor(row_factory=class_row(DeliveryProbe)) as cursor:
        taken = cursor.execute(TAKE, {"most": most, "lease": LEASE, "claim": CLAIM_SECONDS}).fetchall()
    if taken:
        with ThreadPoolExecutor(min(LOOKERS, len(taken)), "looker") as lookers:
            list(lookers.map(_look, taken))
    return len(taken)


def rule(look: DeliveryProbe, seen: FoundSent | None, *, listed: bool, asked_to_wait: float = 0.0) -> Decision:
    """Return what to do about a send that was not found.

    `seen` is None if the messenger did not answer, or if it has no such list: then it is not `listed`.
    """
    absent = seen is not None and seen.complete
    certain = look.age >= BELIEVED_AFTER and (absent or not listed)
    if not certain and look.looks < MOST_LOOKS:
        return Decision(wait=max(WAITS[look.looks - 1], asked_to_wait))
    if look.when_uncertain == ChannelAccount.WhenUncertain.RESEND and not look.possible_duplicate:
        return Decision(send_again=True)
    if absent:
        return Decision(detail=NOT_THERE)
    return Decision(detail=f"{look.detail.removesuffix(NO_TELLING).strip()} {NO_TELLING}")


def _look(look: DeliveryProbe) -> None:
    seen: FoundSent | None = None
    listed, asked = True, 0.0
    with recorded_calls() as calls:
        try:
            channel = channel_of(look.account, look.kind, look.version)
            listed = isinstance(channel, FindsSent)
            if isinstance(channel, FindsSent):
                message = OutboundMessage(recipient=look.recipient, text=look.text, correlation=str(look.entry))
                seen = channel.find_sent(message, look.sent_at - CLOCKS_DIFFER)
        except SendFailed as failure:
            log.info("entry %s: look %d failed: %s", look.entry, look.looks, failure.code)
            if failure.retry_at is not None:
                asked = (failure.retry_at - datetime.now(UTC)).total_seconds()
        except Exception as bug:  # noqa: BLE001 - a bug in one channel must not keep the others from being looked for
            log.error("entry %s: %s in %r.find_sent", look.entry, type(bug).__name__, look.kind)  # noqa: TRY400 - no text
        if seen is None or not _accepted(look, seen.message_ids, calls):
            _rest(look, rule(look, seen, listed=listed, asked_to_wait=asked), calls)
    connections.close_all()  # those that receivers of our news opened in this thread


def _accepted(look: DeliveryProbe, ids: Sequence[str], calls: Sequence[HttpTrace]) -> bool:
    """Settle the send with the first id that belongs to no other; return False if there is none."""
    with db_pool.connection() as connection, connection.transaction():
        connection.execute(LOCK_PARTS, [look.message])
        given = {"entry": look.entry, "account": look.account, "conversation": look.conversation, "text": look.text}
        if connection.execute(SAME_IN_FLIGHT, given).fetchone():
            return False
        for found in (clean(one, 256) for one in ids):
            owner = connection.execute(TAKE_ID, {**given, "id": found}).fetchone()
            if owner is not None and owner[0] == look.entry:
                break
        else:
            return False
        settled = {**call_params(look.account, look.entry, calls), "ids": [found], "json": Jsonb([found])}
        with connection.cursor(row_factory=class_row(Settled)) as cursor:
            news = cursor.execute(ACCEPTED, settled).fetchone()
    log.info("entry %s: the messenger has it", look.entry)
    if news is not None:
        MESSAGES.labels(look.kind, "out", news.status).inc()
        message_settled.send_robust(
            type(look), conversation_id=news.conversation, message_id=news.message, status=news.status
        )
    return True


def _rest(look: DeliveryProbe, ruling: Decision, calls: Sequence[HttpTrace]) -> None:
    given = {"entry": look.entry, "wait": ruling.wait, "detail": clean(ruling.detail, 500)}
    statement = AGAIN if ruling.wait is not None else SEND_AGAIN if ruling.send_again else LEAVE
    with db_pool.connection() as connection:
        connection.execute(LOG_CALLS, call_params(look.account, look.entry, calls))
        connection.execute(statement, given)
    if ruling.wait is None:
        log.warning("entry %s: %s", look.entry, "sent again" if ruling.send_again else "stays uncertain")
