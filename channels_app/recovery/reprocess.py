"""Read stored webhooks again with today's code: what could not be read, was not known, or broke the router.

Uses the intake's own core. An event that is stored already is left alone by its key, so reading again may be repeated.
The one exception is an event that was set aside: nothing ever came of it, so it becomes pending again.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db import DataError, connection, transaction
from django.db.models import Q, QuerySet

from channels_app.account import Account, open_account
from channels_app.account_fields import ENCRYPTED
from channels_app.errors import AccountProblem
from channels_app.models import ChannelAccount, InboundEntry, WebhookDelivery
from channels_app.toolkit.placeholders import describe
from channels_app.types import VerifiedWebhook, WebhookRequest
from channels_app.webhooks.codec import decode_event
from channels_app.webhooks.intake import EntryRow, ParsedDelivery, parse_webhook
from channels_app.webhooks.store import store

Delivery = WebhookDelivery.State
Entry = InboundEntry.State

#: Makes events that were set aside pending again, as they are read now.
REVIVE = """
UPDATE channels_app_inboundentry e
   SET event = n.event::jsonb, type = n.type, sender = n.sender, shard = n.shard, state = 'pending', outcome = '',
       attempts = 0, due_at = now(), done_at = NULL
  FROM unnest(%(keys)s::text[], %(types)s::text[], %(senders)s::text[], %(shards)s::smallint[], %(events)s::text[])
       AS n (key, type, sender, shard, event)
 WHERE e.account_id = %(account)s AND e.key = n.key AND e.state = 'quarantined'
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The result of reading one delivery again.

    `fresh` events are new, `revived` ones had been set aside, `known` ones are left alone. `messages` of the first two
    are for agents. `problem` says why nothing could be read.
    """

    delivery: uuid.UUID
    account: uuid.UUID
    fresh: int = 0
    revived: int = 0
    known: int = 0
    messages: int = 0
    problem: str = ""

    @property
    def helps(self) -> bool:
        return bool(self.fresh or self.revived)


def choose(
    states: Collection[str],
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    account: uuid.UUID | None = None,
    ids: Collection[uuid.UUID] = (),
) -> QuerySet[WebhookDelivery]:
    """Return the chosen deliveries, the oldest first; one with a quarantined event counts as quarantined."""
    chosen = Q(state__in=states)
    if Delivery.QUARANTINED in states:
        chosen |= Q(pk__in=InboundEntry.objects.filter(state=Entry.QUARANTINED).values("delivery"))
    if ids:
        chosen &= Q(pk__in=ids)
    if since is not None:
        chosen &= Q(received_at__gte=since)
    if until is not None:
        chosen &= Q(received_at__lt=until)
    if account is not None:
        chosen &= Q(account=account)
    return WebhookDelivery.objects.filter(chosen).order_by("received_at", "pk")


def read_again(deliveries: QuerySet[WebhookDelivery], *, act: bool) -> Iterator[Reading]:
    """Yield what becomes of each delivery; store it only with `act`, one transaction for each."""
    reader = _Reader(act=act)
    for pk in list(deliveries.values_list("pk", flat=True)):
        yield reader.read(pk)


@dataclass(frozen=True, slots=True)
class _Sorted:
    """The events of one delivery: not here yet, here and set aside, and how many are here otherwise."""

    fresh: tuple[EntryRow, ...]
    set_aside: tuple[EntryRow, ...]
    known: int


class _Reader:
    """Remembers accounts and, as long as nothing is stored, which events it has counted."""

    def __init__(self, *, act: bool) -> None:
        self._act = act
        self._accounts: dict[uuid.UUID, Account | str] = {}
        self._counted: dict[tuple[uuid.UUID, str], str] = {}

    @transaction.atomic
    def read(self, pk: uuid.UUID) -> Reading:
        rows = WebhookDelivery.objects.filter(pk=pk)
        delivery = (rows.select_for_update() if self._act else rows).get()
        account = self._account(delivery.account_id)
        if isinstance(account, str):
            return Reading(delivery=pk, account=delivery.account_id, problem=account)
        parsed = replace(parse_webhook(account, _webhook(account, delivery), delivery.request_id), id=pk)
        events = self._sort(parsed)
        problem = _store(delivery, parsed, events) if self._act else _unreadable(parsed)
        return Reading(
            delivery=pk,
            account=delivery.account_id,
            fresh=len(events.fresh),
            revived=len(events.set_aside),
            known=events.known,
            messages=sum(map(_is_for_agents, (*events.fresh, *events.set_aside))),
            problem=problem,
        )

    def _account(self, pk: uuid.UUID) -> Account | str:
        """Return the account, or why it cannot be used."""
        if pk not in self._accounts:
            row = ChannelAccount.objects.defer(*ENCRYPTED).get(pk=pk)
            try:
                self._accounts[pk] = open_account(row) if row.enabled else "the account is disabled"
            except AccountProblem as problem:
                self._accounts[pk] = problem.detail
        return self._accounts[pk]

    def _sort(self, parsed: ParsedDelivery) -> _Sorted:
        entries = {entry.key: entry for entry in reversed(parsed.entries)}
        stored = InboundEntry.objects.filter(account=parsed.account, key__in=entries).values_list("key", "state")
        states = dict(stored) | {
            key: self._counted[event] for key in entries if (event := (parsed.account, key)) in self._counted
        }
        fresh = tuple(entry for key, entry in entries.items() if key not in states)
        revived = tuple(
            entry
            for key, entry in entries.items()
            if entry.state == Entry.PENDING and states.get(key) == Entry.QUARANTINED
        )
        self._counted |= {(parsed.account, entry.key): str(entry.state) for entry in (*fresh, *revived)}
        return _Sorted(fresh[::-1], revived[::-1], len(entries) - len(fresh) - len(revived))


def _webhook(account: Account, delivery: WebhookDelivery) -> VerifiedWebhook:
    """Return a stored request. Only what was verified is ever stored."""
    return VerifiedWebhook(
        WebhookRequest(
            method="POST",
            url=account.channel.webhook_url,
            headers=delivery.headers,
            body=bytes(delivery.body),
            query=delivery.query,
        )
    )


def _unreadable(parsed: ParsedDelivery) -> str:
    return parsed.reason if parsed.state == Delivery.QUARANTINED and not parsed.entries else ""


def _is_for_agents(entry: EntryRow) -> bool:
    return entry.state == Entry.PENDING and describe(decode_event(entry.event)) is not None


def _store(delivery: WebhookDelivery, parsed: ParsedDelivery, events: _Sorted) -> str:
    """Store new events, revive those that were set aside, set the delivery's state anew; return why not, "" if done."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            store(parsed)
            cursor.execute(REVIVE, _revived(parsed.account, events.set_aside))
    except DataError as problem:
        return f"could not be stored: {type(problem).__name__}"
    if events.fresh or events.set_aside or not parsed.entries:
        delivery.state, delivery.reason = parsed.state, parsed.reason
    elif delivery.state == Delivery.QUARANTINED and not delivery.entries.exists():
        delivery.state, delivery.reason = Delivery.DUPLICATE, ""  # another delivery brought the same events
    delivery.save(update_fields=["state", "reason"])
    return _unreadable(parsed)


def _revived(account: uuid.UUID, entries: Collection[EntryRow]) -> dict[str, Any]:
    return {
        "account": account,
        "keys": [entry.key for entry in entries],
        "types": [entry.type for entry in entries],
        "senders": [entry.sender for entry in entries],
        "shards": [entry.shard for entry in entries],
        "events": [entry.event for entry in entries],
    }
