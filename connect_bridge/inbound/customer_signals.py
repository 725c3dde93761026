"""What a customer's words say about the customer: a code that proves who they are, a STOP, a number that they type.

Looked for in the router's transaction, once for each message. Most messages hold nothing of the kind: they cost no
query.
"""

from __future__ import annotations

import logging
import uuid
from typing import Any

from channels_app.infrastructure.db import AsyncConnection
from channels_app.types import AccountLinked, ConsentChanged, InboundEvent, MessageReceived, Referred
from connect_bridge.inbound.link_replies import send_notices
from customers import claims, code_format, codes, consent
from customers.claims import Notification
from customers.codes import Outcome
from customers.hints import hints_in
from customers.identify import Erased, identify, recognise
from customers.identity_sql import ADD_HINTS
from customers.merging import Method
from customers.person import Person
from customers.sql_steps import take

log = logging.getLogger(__name__)

#: Codes of one message that are tried, the first ones.
MOST_CODES = 3
#: Messengers' words that are about every message. Any other, such as a follower gained or lost, is about offers.
ABOUT_EVERYTHING = frozenset(("stop", "start", "block", "unblock"))

#: A STOP holds until the customer says START or writes: that they no longer block us is neither.
STOPPED = "SELECT 1 FROM customers_identity WHERE id = %s AND suppressed_at IS NOT NULL AND suppressed_by <> 'block'"


async def read_customer_signals(
    connection: AsyncConnection, identity: uuid.UUID, event: InboundEvent, text: str, entry: int
) -> list[Notification]:
    """Act on what the message says about its sender; return whom to notify once the message is stored.

    `text` is what the agent reads, `entry` where it came in.
    """
    if not isinstance(event, MessageReceived):
        return []
    evidence: dict[str, Any] = {"entry": entry}
    notices = await _codes(connection, identity, event, text, evidence)
    await _words(connection, identity, event.text, evidence)
    if hints := hints_in(event.text):
        types, values = zip(*hints, strict=True)
        await connection.execute(ADD_HINTS, {"id": identity, "types": list(types), "values": list(values)})
    return notices


async def note_consent(connection: AsyncConnection, person: Person, event: ConsentChanged, entry: int) -> str:
    """Write down what a messenger says a customer allowed or forbade; return what became of it, for the log."""
    identity = await recognise(connection, person)
    if identity is None:
        return "consent of somebody who never wrote: nothing is ever sent there"
    word, topic = (
        consent.ConsentSource(source="messenger", topic=event.topic, evidence={"entry": entry}),
        event.topic.casefold(),
    )
    if event.offers or topic not in ABOUT_EVERYTHING:
        await take(connection, consent.record(identity, [consent.Purpose.MARKETING], word, granted=event.granted))
        return "offers allowed" if event.granted else "no more offers"
    if topic == "unblock" and await (await connection.execute(STOPPED, [identity])).fetchone():
        return "no longer blocked; their STOP holds"
    decide = consent.allow_answers if event.granted else consent.withdraw_all
    await take(connection, decide(identity, word))
    return "messages allowed again" if event.granted else "no more messages: suppressed"


async def note_linking(connection: AsyncConnection, person: Person, event: AccountLinked, entry: int) -> str:
    """Take a link code that came by the messenger's own account linking; return what became of it, for the log.

    A business's sign-in page that knows the customer asks the API for a link code, and sends them back with it.
    """
    if not event.linked:
        return "account unlinked: merges stay until a person undoes them"
    link_codes = code_format.link_codes_in(event.code)
    if not link_codes:
        return "account linked, with a code that is not ours"
    try:
        identity = await recognise(connection, person) or await identify(connection, person, event.occurred_at)
    except Erased:
        return "its sender was erased"
    redeemed = await take(connection, codes.redeem(identity, link_codes[0], {"entry": entry}, Method.PLATFORM))
    if redeemed.outcome == Outcome.MERGED:
        await send_notices(connection, claims.joined(identity, redeemed.source))
    return f"account linked: {redeemed.outcome}"


async def note_referral(connection: AsyncConnection, person: Person, event: Referred) -> list[Notification]:
    """Take a link code that came with a link into a chat that there is; return whom to notify.

    Whoever has not written here cannot be asked, so the code stays unused. It lifts no STOP. Raises Erased.
    """
    identity = await recognise(connection, person)
    if identity is None:
        return []
    for code in code_format.link_codes_in(event.referral)[:MOST_CODES]:
        outcome, notices = await take(connection, claims.claim(identity, code))
        log.info("identity %s came with a link code: %s", identity, outcome)
        if notices:
            return notices
    return []


async def _codes(
    connection: AsyncConnection, identity: uuid.UUID, event: MessageReceived, text: str, evidence: dict[str, Any]
) -> list[Notification]:
    for code in code_format.link_codes_in(text)[:MOST_CODES]:
        outcome, notices = await take(connection, claims.claim(identity, code))
        log.info("identity %s sent a link code: %s", identity, outcome)
        if outcome in (Outcome.ASKED, Outcome.ONE_ALREADY):
            return notices
    if (reply := claims.reply_in(event.text)) is not None:
        return await take(connection, claims.answer(identity, reply, evidence))
    if digits := code_format.one_time_code_in(event.text):
        redeemed = await take(connection, codes.redeem_digits(identity, digits, evidence))
        if redeemed.outcome != Outcome.UNKNOWN:
            log.info("identity %s typed a one-time code: %s", identity, redeemed.outcome)
        if redeemed.outcome == Outcome.MERGED:
            return claims.joined(identity, redeemed.source)
    return []


async def _words(connection: AsyncConnection, identity: uuid.UUID, text: str, evidence: dict[str, Any]) -> None:
    wants_messages = consent.word_of(text)
    if wants_messages is False:
        word = consent.ConsentSource(source="customer", topic="STOP", evidence=evidence)
        await take(connection, consent.withdraw_all(identity, word))
    elif wants_messages:
        word = consent.ConsentSource(source="customer", topic="START", evidence=evidence)
        await take(connection, consent.allow_answers(identity, word))
    elif consent.only_offers(text):
        word = consent.ConsentSource(source="customer", topic=text.strip()[:16], evidence=evidence)
        offers = [consent.Purpose.MARKETING, consent.Purpose.INVITATION]
        await take(connection, consent.record(identity, offers, word, granted=False))
