"""Which failed sends may go out again together, and which had better not: first the plan, then its execution.

What is left out has a reason in words. Single entries can be sent again from the admin whatever the reason.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from itertools import groupby
from operator import attrgetter

from django.db.models import Q, QuerySet
from django.utils import timezone

from channels_app.account import open_account
from channels_app.account_fields import ENCRYPTED
from channels_app.channel import HasReplyWindow
from channels_app.errors import AccountProblem, OptedOut
from channels_app.models import ChannelAccount
from connect_bridge.models import OutboxEntry
from connect_bridge.outbox.resend import REVIVABLE, send_again

State = OutboxEntry.State
#: Messages of one transaction.
BATCH = 200


class LeftOut(StrEnum):
    """Why a message is not sent again; the values are for people."""

    WINDOW = "its reply window is closed; --closed-windows tries it"
    UNCERTAIN = "it may have arrived; --may-arrive-twice sends it again"
    LOOKED_FOR = "the messenger is still being asked whether it has it"
    OPTED_OUT = "the customer said stop"
    DISABLED = "its account is disabled or cannot be used"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryRequest:
    """What somebody wants sent again: what failed in that time, or these entries alone."""

    states: Collection[str] = (State.DEAD,)
    since: datetime | None = None
    until: datetime | None = None
    account: uuid.UUID | None = None
    ids: Collection[uuid.UUID] = ()
    may_arrive_twice: bool = False
    closed_windows: bool = False


@dataclass(slots=True)
class Plan:
    """The messages that would go, by id, with their entries; how many of each account and error; what is left out."""

    going: dict[uuid.UUID, list[uuid.UUID]] = field(default_factory=dict)
    counts: Counter[tuple[uuid.UUID, str]] = field(default_factory=Counter)
    left_out: Counter[LeftOut] = field(default_factory=Counter)


def plan(request: RetryRequest) -> Plan:
    """Return what would be sent again. Reads only."""
    planned, windows = Plan(), _Windows()
    chosen = _chosen(request).values("message")
    rows = OutboxEntry.objects.filter(message__in=chosen, state__in=REVIVABLE)
    rows = rows.select_related("conversation").defer("text").order_by("message", "part")
    for message, group in groupby(rows.iterator(), attrgetter("message_id")):
        parts = list(group)
        reason = _reason(parts, request, windows)
        if reason is not None:
            planned.left_out[reason] += 1
            continue
        planned.going[message] = [part.pk for part in parts]
        planned.counts[parts[0].conversation.account_id, parts[0].error_code] += 1
    return planned


def carry_out(plan: Plan) -> Iterator[list[uuid.UUID]]:
    """Set the planned entries pending, batch by batch; yield the ids of each batch. What has changed since stays."""
    messages = list(plan.going)
    for start in range(0, len(messages), BATCH):
        entries = [entry for message in messages[start : start + BATCH] for entry in plan.going[message]]
        yield [entry.pk for entry in send_again(entries)]


def _chosen(request: RetryRequest) -> QuerySet[OutboxEntry]:
    chosen = Q(state__in=request.states)
    if request.since is not None:
        chosen &= Q(settled_at__gte=request.since)
    if request.until is not None:
        chosen &= Q(settled_at__lt=request.until)
    if request.account is not None:
        chosen &= Q(conversation__account=request.account)
    if request.ids:
        chosen &= Q(pk__in=request.ids)
    return OutboxEntry.objects.filter(chosen)


def _reason(parts: Sequence[OutboxEntry], request: RetryRequest, windows: _Windows) -> LeftOut | None:
    conversation = parts[0].conversation
    uncertain = [part for part in parts if part.state == State.UNCERTAIN]
    if not windows.usable(conversation.account_id):
        return LeftOut.DISABLED
    if any(part.error_code == OptedOut.code for part in parts):
        return LeftOut.OPTED_OUT
    if any(part.look_at is not None for part in uncertain):
        return LeftOut.LOOKED_FOR
    if uncertain and not request.may_arrive_twice:
        return LeftOut.UNCERTAIN
    if not request.closed_windows and windows.closed(conversation.account_id, conversation.last_inbound_at):
        return LeftOut.WINDOW
    return None


class _Windows:
    """The accounts' reply windows, as far as our clock can tell."""

    def __init__(self) -> None:
        self._now = timezone.now()
        self._channels: dict[uuid.UUID, object] = {}

    def usable(self, account: uuid.UUID) -> bool:
        return self._channel(account) is not None

    def closed(self, account: uuid.UUID, last_inbound_at: datetime | None) -> bool:
        channel = self._channel(account)
        if not isinstance(channel, HasReplyWindow):
            return False
        return last_inbound_at is None or channel.window_closes(last_inbound_at) <= self._now

    def _channel(self, account: uuid.UUID) -> object:
        if account not in self._channels:
            row = ChannelAccount.objects.defer(*ENCRYPTED).get(pk=account)
            try:
                self._channels[account] = open_account(row).channel if row.enabled else None
            except AccountProblem:
                self._channels[account] = None
        return self._channels[account]
