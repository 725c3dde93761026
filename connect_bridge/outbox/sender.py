"""From the store to the messenger: claim a conversation's next send, call the messenger, write down what became of it.

Entries of one conversation go out one after the other, in order; conversations are independent of each other. Nothing
is sent inside a transaction. Whether the customer wrote too long ago is for the provider to say: it knows windows that
ads and tags extend, our clock does not; its refusal is a dead letter in its own words. A customer who said STOP, or
blocked us, is sent nothing, whatever the provider would say.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import psycopg
from django.db import connections

from channels_app.channel import Channel
from channels_app.errors import OptedOut, SendFailed, Unavailable, UnknownOutcome
from channels_app.infrastructure.failpoints import failpoint
from channels_app.infrastructure.metrics import STAGE_SECONDS
from channels_app.toolkit.http import CONNECT_TIMEOUT, READ_TIMEOUT, HttpTrace
from channels_app.types import OutboundMessage, SendReceipt
from connect_bridge.models import OutboxEntry
from connect_bridge.outbox import db_pool, queries, suppression
from connect_bridge.outbox.channel_cache import channel_of, recorded_calls
from connect_bridge.outbox.metrics import DELIVERY_FAILURES, MESSAGES
from connect_bridge.outbox.queries import CLAIM_SECONDS, Claim, Settled
from connect_bridge.outbox.retry_policy import PATIENCE, judge
from connect_bridge.signals import message_settled

log = logging.getLogger(__name__)
T = TypeVar("T")

#: Seconds that may pass between claim and call, so that the call ends before the claim does.
FRESH = CLAIM_SECONDS - CONNECT_TIMEOUT - READ_TIMEOUT - 1.0
#: Seconds for which a result is kept and offered again to a database that does not answer, and between two offers.
SETTLE_PATIENCE = 60.0
SETTLE_AGAIN = 0.5
#: Seconds of one drain; what is left waits for the next. Far below the broker's visibility timeout.
DRAIN_SECONDS = 60.0
#: Conversations that one task sends for at once.
SENDERS = 16
#: Rows that one sweep looks after, of each sort.
SWEEP_MOST = 500
#: Seconds after which a message that no task has tried is picked up by the sweep.
FORGOTTEN_AFTER = 2.0
HELD_UP = "Gave up: the messenger takes nothing from this account for %s min."
SUPPRESSED = "Not sent: the customer asked for no messages ({}). Their next message lifts that."
WORKER_DIED = "The worker stopped while it was sending: the messenger may have taken the message or not."


def drain_all(conversations: Sequence[uuid.UUID]) -> None:
    """Drain several conversations side by side. Raises the first psycopg.Error once all have ended."""
    if len(conversations) == 1:
        drain(conversations[0])
        return
    with ThreadPoolExecutor(min(SENDERS, len(conversations) or 1), "sender") as senders:
        list(senders.map(_drain_in_thread, conversations))


def drain(conversation: uuid.UUID) -> int:
    """Send what is due in one conversation, in order; return how many attempts were made.

    1. Claim the conversation's first unsent entry for CLAIM_SECONDS, by one conditional UPDATE. There is none if it is
       not due, if another worker is sending in this conversation, or if the account is disabled, paused or throttled.
    2. Refuse to send if the customer wants no messages, or if the claim may end before the call does.
    3. Call the messenger. No transaction is open and no connection is held meanwhile.
    4. Write down what became of it, in one statement with the record of the calls: accepted; pending again, after a
       wait; dead; or uncertain. While the database is away, the result is kept and offered again for SETTLE_PATIENCE.
    5. Signal the message's new status, and begin again, for DRAIN_SECONDS at most.

    Safe to call at any time, from any number of workers: only the holder of a claim sends. Raises psycopg.Error if the
    database fails; a result that could not be written down leaves its entry to expire as uncertain. Not promised: that
    a message is sent once only. Of what is uncertain the customer may get two.
    """
    ends = time.monotonic() + DRAIN_SECONDS
    attempts = 0
    while (asked_at := time.monotonic()) < ends and (claim := queries.claim(conversation, _worker())):
        failpoint("O6")
        _deliver(claim, send_before=asked_at + FRESH)
        attempts += 1
    return attempts


def sweep() -> Sequence[uuid.UUID]:
    """Settle what dead workers left, and return conversations in which something is due that nobody is sending."""
    for settled in queries.expire(SWEEP_MOST, WORKER_DIED):
        log.warning("message %s is uncertain: its worker stopped while it was sending", settled.message)
        _signal(settled)
    for settled in queries.give_up(SWEEP_MOST, PATIENCE, HELD_UP):
        log.warning("message %s is given up: the messenger takes nothing from its account", settled.message)
        _signal(settled)
    return list(dict.fromkeys(queries.due(SWEEP_MOST, FORGOTTEN_AFTER)))


def _deliver(claim: Claim, send_before: float) -> None:
    """Make one attempt and settle it."""
    with recorded_calls() as calls:
        try:
            with STAGE_SECONDS.labels("send").time():
                ids = _send(claim, send_before, calls).message_ids
            failpoint("O7", UnknownOutcome)
        except SendFailed as failure:
            failpoint("O8")
            DELIVERY_FAILURES.labels(claim.kind, failure.code).inc()
            verdict = judge(failure, claim.attempts, claim.age)
            log.info("entry %s: %s at attempt %d, now %s", claim.entry, failure.code, claim.attempts, verdict.state)
            settled = _settle_patiently(lambda: queries.settle_failed(claim, verdict, calls))
            if isinstance(failure, suppression.OF_THE_CUSTOMER) and not claim.suppressed_by:
                suppression.note_refusal(claim, failure)
        else:
            settled = _settle_patiently(lambda: queries.settle_accepted(claim, ids, calls))
    if settled is not None:
        MESSAGES.labels(claim.kind, "out", settled.status).inc()
        _signal(settled)


def _send(claim: Claim, send_before: float, calls: Sequence[HttpTrace]) -> SendReceipt:
    """Hand the text to the messenger. Raises nothing but SendFailed: a bug must not stop the conversation."""
    message = OutboundMessage(recipient=claim.recipient, text=claim.text, correlation=str(claim.entry))
    try:
        channel = _channel(claim, send_before)
        failpoint("O12")
        return channel.send(message)
    except SendFailed:
        raise
    except Exception as bug:  # noqa: BLE001 - see above
        what = f"{type(bug).__name__} in the channel {claim.kind!r}"
        log.error("entry %s: %s", claim.entry, what)  # noqa: TRY400 - a traceback may hold the text
        if calls:
            raise UnknownOutcome(f"Parley failed after it called the messenger: {what}") from None
        raise Unavailable(f"Parley failed before it called the messenger: {what}") from None


def _channel(claim: Claim, send_before: float) -> Channel[Any]:
    if claim.suppressed_by:
        raise OptedOut(SUPPRESSED.format(claim.suppressed_by))
    failpoint("O5")
    channel = channel_of(claim.account, claim.kind, claim.version)
    if time.monotonic() > send_before:  # suspended, perhaps: the claim could end before the call does
        raise Unavailable("the worker was held up before it could send")
    return channel


def _settle_patiently(settle: Callable[[], T]) -> T:
    """Settle, through a database's short absence: the result of a send must not be lost."""
    ends = time.monotonic() + SETTLE_PATIENCE
    while True:
        try:
            return settle()
        except psycopg.OperationalError as failure:
            if time.monotonic() > ends:
                raise
            failpoint("O11")
            log.warning("the database did not take a result (%s): offering it again", type(failure).__name__)
            time.sleep(SETTLE_AGAIN)
            db_pool.check()


def _signal(settled: Settled) -> None:
    message_settled.send_robust(
        OutboxEntry, conversation_id=settled.conversation, message_id=settled.message, status=settled.status
    )


def _drain_in_thread(conversation: uuid.UUID) -> None:
    try:
        drain(conversation)
    finally:
        connections.close_all()  # those that receivers of our signals opened in this thread, which ends


def _worker() -> str:
    return f"{socket.gethostname()[:60]}:{os.getpid()}:{threading.get_native_id()}"
