"""Write down what a messenger's refusal says of the customer: they opted out there, or blocked us, without telling us.

Only the classes OptedOut and Blocked say that, and a provider's code or words that name the recipient make them; a
status alone never does. It counts the same whether it came as an answer or as a receipt.
"""

from __future__ import annotations

import logging
import uuid

import psycopg

from channels_app.errors import Blocked, OptedOut, SendFailed
from connect_bridge.outbox import db_pool
from connect_bridge.outbox.queries import Claim
from customers.consent import ConsentSource, Purpose, record, withdraw_all
from customers.sql_steps import Steps, take_with

log = logging.getLogger(__name__)

#: The classes that say what the customer wants.
OF_THE_CUSTOMER = (OptedOut, Blocked)


def note_refusal(claim: Claim, failure: SendFailed) -> None:
    """Write down what the customer does not take. If the database is away, the next refusal says it again."""
    try:
        with db_pool.connection() as connection, connection.cursor() as cursor:
            take_with(cursor, withdrawn(claim.identity, claim.entry, type(failure), failure.provider_code))
    except psycopg.Error as trouble:
        log.warning("identity %s: a refusal was not noted: %s", claim.identity, type(trouble).__name__)


def withdrawn(identity: uuid.UUID, entry: uuid.UUID, kind: type[SendFailed], provider_code: str) -> Steps[None]:
    """Withdraw what a refusal of this kind withdraws; `kind` is one of OF_THE_CUSTOMER.

    A messenger's "blocked" may mean "not reachable", so that withdraws what we would begin, and leaves answers to it.
    """
    word = ConsentSource(
        source="messenger", topic=kind.code, evidence={"outbox": str(entry), "provider_code": provider_code}
    )
    if issubclass(kind, OptedOut):
        return withdraw_all(identity, word)
    ours = [purpose for purpose in Purpose if purpose != Purpose.REPLY]
    return record(identity, ours, word, granted=False)
