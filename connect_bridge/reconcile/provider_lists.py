"""What messengers list, against the intake and against what the outbox sent."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from django.db import DatabaseError
from django.utils import timezone

from channels_app.account import Account, open_account
from channels_app.channel import ListsSent
from channels_app.errors import SendFailed
from channels_app.infrastructure.rows import read_tuples
from channels_app.models import ChannelAccount
from channels_app.recovery import missed_messages
from channels_app.toolkit.payloads import key_of
from channels_app.types import ListedSend
from connect_bridge.outbox.queries import clean
from connect_bridge.reconcile.findings import Finding, Gap, Kind, Remark, Trouble

log = logging.getLogger(__name__)

#: How far a provider's clock may differ from ours, and how long a list may lag behind.
CLOCKS_DIFFER = timedelta(minutes=5)

#: Ids that are those of our sends, or of an echo that told us of what was sent past us.
KNOWN = """
SELECT provider_message_id FROM connect_bridge_sentid
 WHERE account_id = %(account)s AND provider_message_id = ANY(%(ids)s)
UNION ALL
SELECT event ->> 'message_id' FROM channels_app_inboundentry WHERE account_id = %(account)s AND key = ANY(%(keys)s)
"""
#: Sends that the provider took in the span, with the ids that it gave them.
TAKEN = """
SELECT o.id, o.conversation_id, o.settled_at, s.provider_message_id
  FROM connect_bridge_outboxentry o JOIN connect_bridge_conversation c ON c.id = o.conversation_id
  JOIN connect_bridge_sentid s ON s.entry_id = o.id AND s.account_id = c.account_id
 WHERE c.account_id = %(account)s AND o.state = 'accepted' AND o.created_at >= %(since)s
   AND o.settled_at BETWEEN %(since)s AND %(until)s
 ORDER BY o.settled_at
"""


def compare(account: ChannelAccount, since: datetime) -> Iterator[Finding]:
    """Ask one account's provider; yield what only one side has. Three queries and a call or two."""
    since = max(since, account.created_at)
    try:
        yield from list(_compared(open_account(account), since))
    except SendFailed as failure:
        yield Trouble(str(account), f"{failure.code}: {failure.detail}")
    except DatabaseError:
        raise
    except Exception as bug:  # noqa: BLE001 - a bug in one channel must not keep the others from being compared
        log.error("account %s: %s while its lists were compared", account.pk, type(bug).__name__)  # noqa: TRY400 - a trace may quote a message
        yield Trouble(str(account), f"Parley failed while it asked: {type(bug).__name__}")


def _compared(ready: Account, since: datetime) -> Iterator[Finding]:
    inbound, channel = missed_messages.compare(ready, since), ready.channel
    if inbound is not None:
        yield from _reach(ready, "came in", complete=inbound.complete)
        for entry in inbound.unknown:
            yield Gap(kind=Kind.NOT_TAKEN_IN, id=entry.key.partition(":")[2], account=ready.id, at=entry.at)
    if isinstance(channel, ListsSent):
        until = timezone.now() - missed_messages.SETTLED
        listed = channel.list_sent(since - CLOCKS_DIFFER)
        yield from _reach(ready, "went out", complete=listed.complete)
        yield from _unknown(ready, [sent for sent in listed.messages if since <= sent.at <= until])
        if listed.complete:
            yield from _unlisted(ready, {clean(sent.message_id, 256) for sent in listed.messages}, since, until)
    elif inbound is None:
        yield Remark(f"{channel.label} lists nothing: what it did not bring, or did not deliver, cannot be compared")


def _reach(ready: Account, what: str, *, complete: bool) -> Iterator[Trouble]:
    if not complete:
        yield Trouble(f"account {ready.id}", f"the list of what {what} is too long to read back so far: --since less")


def _unknown(ready: Account, listed: Sequence[ListedSend]) -> Iterator[Gap]:
    """Yield what was sent and is not known here, neither as our send nor by an echo as one past us."""
    ids = [clean(sent.message_id, 256) for sent in listed]
    params = {"account": ready.id, "ids": ids, "keys": [key_of("m", message_id) for message_id in ids]}
    known = {row[0] for row in read_tuples(KNOWN, params)}
    for sent, message_id in zip(listed, ids, strict=True):
        if message_id not in known:
            yield Gap(kind=Kind.SENT_UNKNOWN, id=message_id, account=ready.id, at=sent.at)


def _unlisted(ready: Account, listed: set[str], since: datetime, until: datetime) -> Iterator[Gap]:
    """Yield the sends of which the provider lists not one of the ids that it gave them."""
    accepted: dict[uuid.UUID, tuple[uuid.UUID, datetime, set[str]]] = {}
    for entry, conversation, at, name in read_tuples(TAKEN, {"account": ready.id, "since": since, "until": until}):
        accepted.setdefault(entry, (conversation, at, set()))[2].add(name)
    for entry, (conversation, at, names) in accepted.items():
        if not names & listed:
            yield Gap(kind=Kind.NOT_LISTED, id=str(entry), account=ready.id, conversation=conversation, at=at)
