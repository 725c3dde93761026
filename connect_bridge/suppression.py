"""Keep what a messenger's refusal says of the customer: they opted out there, or blocked us, without telling us."""

from __future__ import annotations

import logging

import psycopg

from channels_app.errors import OptedOut, SendFailed
from connect_bridge import worker_pool
from connect_bridge.claims import Claim
from customers.consent import Purpose, Word, record, withdraw_all
from customers.steps import Steps, take_with

log = logging.getLogger(__name__)


def note_refusal(held: Claim, failure: SendFailed) -> None:
    """Write down what the customer does not take. If the database is away, the next refusal tells.

    A messenger's "blocked" may mean "not reachable", so that withdraws what we would begin, and leaves answers to it.
    """
    evidence = {"outbox": str(held.entry), "provider_code": failure.provider_code}
    word = Word(source="messenger", topic=failure.code, evidence=evidence)
    try:
        with worker_pool.connection() as connection, connection.cursor() as cursor:
            take_with(cursor, _withdrawn(held, failure, word))
    except psycopg.Error as trouble:
        log.warning("identity %s: a refusal was not noted: %s", held.identity, type(trouble).__name__)


def _withdrawn(held: Claim, failure: SendFailed, word: Word) -> Steps[None]:
    if isinstance(failure, OptedOut):
        return withdraw_all(held.identity, word)
    ours = [purpose for purpose in Purpose if purpose != Purpose.REPLY]
    return record(held.identity, ours, word, granted=False)
