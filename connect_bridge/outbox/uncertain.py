"""Sends of which nobody knows whether they arrived: the messenger is asked for them, then the account's policy decides.

A receipt or echo may settle one at any moment, so the first question waits a little. What the messenger lists was
accepted. What it does not list, though its list is complete, did not arrive: it is sent once more, or a person is told,
as the account says. A messenger that lists nothing leaves the question open.
"""

from __future__ import annotations

import logging
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
from connect_bridge.outbox import uncertain_queries as queries
from connect_bridge.outbox.channel_cache import channel_of, recorded_calls
from connect_bridge.outbox.db_pool import Connection
from connect_bridge.outbox.metrics import MESSAGES
from connect_bridge.outbox.queries import ACCEPTED, CLAIM_SECONDS, LOCK_PARTS, Settled, clean
from connect_bridge.outbox.uncertain_queries import DeliveryProbe
from connect_bridge.signals import message_settled

log = logging.getLogger(__name__)

#: Seconds from each question to the next one. The first is FIRST_LOOK after the send became uncertain, the last after
#: some ten minutes. X answers 15 such questions in 15 minutes (docs.x.com, "Rate limits").
WAITS = (10.0, 30.0, 60.0, 180.0, 300.0)
MOST_LOOKS = len(WAITS) + 1
#: Seconds after which the messenger's list is believed when it does not name a message: a request that we gave up may
#: have been on its way still, and a list may lag behind.
BELIEVED_AFTER = 40.0
#: How far the provider's clock may be behind ours.
CLOCKS_DIFFER = timedelta(seconds=30)
#: Sends that one task asks for, how many of them at once, and for how many seconds nobody else asks for the same.
MOST_PER_TASK = 50
PROBERS = 8
LEASE = 120.0
NOT_THERE = "The messenger does not list it: most likely it did not arrive. Send it again if the customer needs it."
NO_TELLING = "Nobody can tell whether it arrived. If it is sent again, the customer may get it twice."


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the messenger said. `search` is None if it did not answer, or if it has no such list: then not `listed`.

    `wait` is how many seconds it asked us to wait.
    """

    search: FoundSent | None = None
    listed: bool = True
    wait: float = 0.0


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What to do about a send that was not found: ask again after `wait` seconds, or `send_again`, or neither."""

    wait: float | None = None
    send_again: bool = False
    detail: str = ""


def any_due() -> bool:
    """Return whether there is something to ask for now."""
    with db_pool.connection() as connection:
        return bool(connection.execute(queries.ANY_DUE).fetchone()[0])  # type: ignore[index] # EXISTS always gives a row


def probe_due(most: int = MOST_PER_TASK) -> int:
    """Ask the messengers for uncertain sends that are due; return how many. Safe from any number of workers."""
    params = {"most": most, "lease": LEASE, "claim": CLAIM_SECONDS}
    with db_pool.connection() as connection, connection.cursor(row_factory=class_row(DeliveryProbe)) as cursor:
        probes = cursor.execute(queries.CLAIM, params).fetchall()
    if probes:
        with ThreadPoolExecutor(min(PROBERS, len(probes)), "prober") as probers:
            list(probers.map(_probe, probes))
    return len(probes)


def decide(probe: DeliveryProbe, answer: Answer) -> Decision:
    """Return what to do about a send that was not found."""
    absent = answer.search is not None and answer.search.complete
    certain = probe.age >= BELIEVED_AFTER and (absent or not answer.listed)
    if not certain and probe.looks < MOST_LOOKS:
        return Decision(wait=max(WAITS[probe.looks - 1], answer.wait))
    if probe.when_uncertain == ChannelAccount.WhenUncertain.RESEND and not probe.possible_duplicate:
        return Decision(send_again=True)
    if absent:
        return Decision(detail=NOT_THERE)
    return Decision(detail=f"{probe.detail.removesuffix(NO_TELLING).strip()} {NO_TELLING}")


def _probe(probe: DeliveryProbe) -> None:
    with recorded_calls() as calls:
        answer = _ask(probe)
        if answer.search is None or not _settle_accepted(probe, answer.search.message_ids, calls):
            _carry_out(probe, decide(probe, answer), calls)
    connections.close_all()  # those that receivers of our signals opened in this thread


def _ask(probe: DeliveryProbe) -> Answer:
    """Ask the messenger for the send. Raises nothing."""
    try:
        channel = channel_of(probe.account, probe.kind, probe.version)
        if not isinstance(channel, FindsSent):
            return Answer(listed=False)
        message = OutboundMessage(recipient=probe.recipient, text=probe.text, correlation=str(probe.entry))
        return Answer(search=channel.find_sent(message, probe.sent_at - CLOCKS_DIFFER))
    except SendFailed as failure:
        log.info("entry %s: question %d failed: %s", probe.entry, probe.looks, failure.code)
        if failure.retry_at is None:
            return Answer()
        return Answer(wait=(failure.retry_at - datetime.now(UTC)).total_seconds())
    except Exception as bug:  # noqa: BLE001 - a bug in one channel must not keep the others from being asked
        log.error("entry %s: %s in %r.find_sent", probe.entry, type(bug).__name__, probe.kind)  # noqa: TRY400 - no text
        return Answer()


def _settle_accepted(probe: DeliveryProbe, ids: Sequence[str], calls: Sequence[HttpTrace]) -> bool:
    """Settle the send with the first id that belongs to no other; return False if there is none."""
    with db_pool.connection() as connection, connection.transaction():
        connection.execute(LOCK_PARTS, [probe.message])
        message_id = _claim_id(connection, probe, ids)
        if message_id is None:
            return False
        params = {**call_params(probe.account, probe.entry, calls), "ids": [message_id], "json": Jsonb([message_id])}
        with connection.cursor(row_factory=class_row(Settled)) as cursor:
            settled = cursor.execute(ACCEPTED, params).fetchone()
    log.info("entry %s: the messenger has it", probe.entry)
    if settled is not None:
        MESSAGES.labels(probe.kind, "out", settled.status).inc()
        message_settled.send_robust(
            type(probe), conversation_id=settled.conversation, message_id=settled.message, status=settled.status
        )
    return True


def _claim_id(connection: Connection, probe: DeliveryProbe, ids: Sequence[str]) -> str | None:
    """Return the first of the provider's ids that belongs to no other send; None while it may be the next one's."""
    params = {"entry": probe.entry, "account": probe.account, "conversation": probe.conversation, "text": probe.text}
    if connection.execute(queries.SAME_TEXT_BEING_SENT, params).fetchone():
        return None
    for message_id in (clean(listed, 256) for listed in ids):
        owner = connection.execute(queries.CLAIM_ID, {**params, "id": message_id}).fetchone()
        if owner is not None and owner[0] == probe.entry:
            return message_id
    return None


def _carry_out(probe: DeliveryProbe, decision: Decision, calls: Sequence[HttpTrace]) -> None:
    params = {"entry": probe.entry, "wait": decision.wait, "detail": clean(decision.detail, 500)}
    if decision.wait is not None:
        statement = queries.PROBE_LATER
    else:
        statement = queries.SEND_AGAIN if decision.send_again else queries.LEAVE_UNCERTAIN
    with db_pool.connection() as connection:
        connection.execute(LOG_CALLS, call_params(probe.account, probe.entry, calls))
        connection.execute(statement, params)
    if decision.wait is None:
        log.warning("entry %s: %s", probe.entry, "sent again" if decision.send_again else "stays uncertain")
