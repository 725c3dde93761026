"""Ask messengers for what they did not deliver, and whether they deliver at all.

What a provider lists is compared with the intake by key; only what is missing goes in, through the intake's own core. A
webhook that comes in the same moment finds the key taken, or takes it first: the message is stored once.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import DataError, transaction
from django.utils import timezone

from channels_app.account import Account, open_account
from channels_app.channel import ChecksSubscription, Reconciles
from channels_app.errors import AccountProblem, AuthFailed, SendFailed
from channels_app.models import ChannelAccount, InboundCheck, InboundEntry, WebhookDelivery
from channels_app.recovery.schedule import claim, postpone, record
from channels_app.toolkit.http import HttpTrace
from channels_app.toolkit.json_body import storable
from channels_app.types import Listed, VerifiedWebhook
from channels_app.webhooks.intake import ParsedDelivery, parse_webhook
from channels_app.webhooks.store import store

log = logging.getLogger(__name__)

#: Messages younger than this are left to their webhooks: Twilio alone takes up to 15 s for one attempt.
SETTLED = timedelta(seconds=60)
#: How much of the time that was compared already is compared again: providers' lists may lag, and clocks differ.
OVERLAP = timedelta(minutes=10)
#: How far a check reaches back at most, after a long outage or for the first time.
FURTHEST = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What asking a provider brought: the number of messages that were missing, and what is wrong, in words."""

    account: ChannelAccount
    messages: int
    trouble: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a provider lists and the intake does not have. `complete`: the list reaches back as far as was asked."""

    unknown: Sequence[Listed]
    complete: bool


def ask_provider(account: uuid.UUID, *, now: bool = False, subscribe: bool = False) -> CheckResult | None:
    """Ask one account's provider for missed messages and store them; return the result, None if it is not due.

    1. Claim the check: its next time is set, so that any number of workers may call. `now` claims it before its time.
    2. Check whether the provider still delivers webhooks; with `subscribe`, subscribe again where it does not.
    3. Compare the provider's list with the intake, and store what is missing.
    4. Record what was found, and postpone the next check where the provider asks for that.
    """
    check = claim(account, now=now)
    if check is None:
        return None
    calls: list[HttpTrace] = []
    missing, trouble = 0, ""
    try:
        opened = open_account(check.account, calls.append)
        trouble = _subscription(opened, subscribe=subscribe)
        for delivery in _missing(opened, check):
            missing += _store_missing(delivery)
        check.refused = False
    except SendFailed as failure:
        trouble = f"{failure.code}: {failure.detail}"
        check.refused = isinstance(failure, (AuthFailed, AccountProblem))
        postpone(check, failure.retry_at)
    except Exception as bug:  # noqa: BLE001 - a bug in one channel must not keep the others from being asked
        trouble = f"Parley failed while it asked: {type(bug).__name__}"
        log.error("account %s: %s", account, trouble)  # noqa: TRY400 - a trace may quote a message
    record(check, missing, trouble, calls if missing else ())
    return CheckResult(check.account, missing, trouble)


def compare(account: Account, since: datetime) -> Comparison | None:
    """Return what the provider lists since then and the intake lacks, and take nothing in. Raises SendFailed.

    None if the provider lists nothing at all.
    """
    channel = account.channel
    return _compare(account, channel, since, timezone.now() - SETTLED) if isinstance(channel, Reconciles) else None


def _subscription(account: Account, *, subscribe: bool) -> str:
    channel = account.channel
    if not isinstance(channel, ChecksSubscription):
        return ""
    missing_events = channel.unsubscribed()
    if not missing_events or not subscribe:
        return missing_events
    channel.subscribe()
    log.warning("account %s: subscribed again, as asked. Before: %s", account.id, missing_events)
    return channel.unsubscribed()


def _missing(account: Account, check: InboundCheck) -> Iterator[ParsedDelivery]:
    """Yield, the oldest first, what the provider lists and the intake does not have; then note how far that reaches.

    One message that cannot be fetched does not keep the others back; the check has failed all the same, and is
    repeated.
    """
    channel = account.channel
    if not isinstance(channel, Reconciles):
        return
    until = timezone.now() - SETTLED
    since = _start_of_range(check, until)
    comparison = _compare(account, channel, since, until)
    if not comparison.complete:
        log.warning("account %s: the provider's list is too long to reach back to %s", account.id, since)
    failed: SendFailed | None = None
    for listed in sorted(comparison.unknown, key=lambda listed: listed.at):
        try:
            webhook = _fetch(channel, listed)
        except SendFailed as failure:
            if failure.retryable:
                raise
            failed = failure
        else:
            yield parse_webhook(account, webhook, f"poll-{uuid.uuid4().hex}")
    if failed is not None:
        raise failed
    check.complete_until = until


def _compare(account: Account, channel: Reconciles, since: datetime, until: datetime) -> Comparison:
    listed = channel.list_inbound(since)
    return Comparison(_unknown(account, listed.messages, until), listed.complete)


def _fetch(channel: Reconciles, listed: Listed) -> VerifiedWebhook:
    try:
        return channel.as_webhook(listed)
    except SendFailed:
        raise
    except Exception as bug:  # noqa: BLE001 - see ask_provider()
        raise SendFailed(f"a listed message cannot be read ({type(bug).__name__})") from None


def _start_of_range(check: InboundCheck, until: datetime) -> datetime:
    """Return where to begin: before the end of the last check, never before the account was set up."""
    last = check.complete_until - OVERLAP if check.complete_until else check.account.created_at
    return max(last, until - FURTHEST, check.account.created_at)


def _unknown(account: Account, listed: Sequence[Listed], until: datetime) -> list[Listed]:
    settled = [message for message in listed if message.at <= until]
    keys = [storable(message.key) for message in settled]
    known = set(InboundEntry.objects.filter(account=account.id, key__in=keys).values_list("key", flat=True))
    return [message for message, key in zip(settled, keys, strict=True) if key not in known]


def _store_missing(parsed: ParsedDelivery) -> bool:
    """Store what was missing, marked as polled; return False if its webhook came first after all."""
    try:
        state = _store_marked(parsed)
    except DataError as problem:
        state = _store_marked(parsed.set_aside(f"could not be stored: {type(problem).__name__}"))
    return state != WebhookDelivery.State.DUPLICATE


@transaction.atomic
def _store_marked(parsed: ParsedDelivery) -> str:
    state = store(parsed)
    WebhookDelivery.objects.filter(pk=parsed.id).update(polled=True)
    return state
