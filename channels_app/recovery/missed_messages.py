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

from django.conf import settings
from django.db import DataError, transaction
from django.db.models import F, Q
from django.utils import timezone

from channels_app.account import Account, open_account
from channels_app.accounts.call_log import log_calls
from channels_app.channel import ChecksSubscription, Reconciles
from channels_app.errors import AccountProblem, AuthFailed, SendFailed
from channels_app.infrastructure.backoff import spread
from channels_app.models import ChannelAccount, InboundCheck, InboundEntry, WebhookDelivery
from channels_app.registry import channels
from channels_app.toolkit.http import HttpTrace
from channels_app.toolkit.json_body import storable
from channels_app.types import Listed, VerifiedWebhook
from channels_app.webhooks.intake import ParsedDelivery, parse_webhook
from channels_app.webhooks.store import store

log = logging.getLogger(__name__)

#: What is younger than this is left to its webhook: Twilio alone takes up to 15 s for one attempt.
SETTLED = timedelta(seconds=60)
#: How much of what was compared already is compared again: providers' lists may lag, and clocks differ.
OVERLAP = timedelta(minutes=10)
#: How far a look reaches back at most, after a long outage or for the first time.
FURTHEST = timedelta(hours=24)
#: When a provider that refuses our credentials is asked again, unless they are saved anew before.
REFUSED_WAIT = timedelta(hours=6)
#: Accounts that one sweep names, and by how much their turns differ so that they do not all come at once.
MOST_PER_SWEEP = 50
JITTER = 0.1
_LONGEST_TROUBLE = 500


@dataclass(frozen=True, slots=True)
class Found:
    """What a look found: messages that only it brought, and what is wrong, in words."""

    account: ChannelAccount
    messages: int
    trouble: str


@dataclass(frozen=True, slots=True)
class Compared:
    """What a provider lists and the intake does not have. `complete`: the list reaches back as far as was asked."""

    unknown: Sequence[Listed]
    complete: bool


def able_kinds() -> list[str]:
    """Return the channels whose provider can be asked."""
    return [kind for kind, one in channels().items() if issubclass(one, (Reconciles, ChecksSubscription))]


def due(most: int = MOST_PER_SWEEP) -> Sequence[uuid.UUID]:
    """Return accounts whose turn it is; none if INBOUND_POLL_SECONDS is 0."""
    if settings.INBOUND_POLL_SECONDS <= 0:
        return []
    rows = ChannelAccount.objects.filter(_turn_has_come(), enabled=True, kind__in=able_kinds())
    return list(rows.order_by("check_up__due_at").values_list("pk", flat=True)[:most])


def look(account: uuid.UUID, *, now: bool = False, subscribe: bool = False) -> Found | None:
    """Ask one account's provider; return what that found, or None if it is not the account's turn.

    Safe from any number of workers: who takes the turn sets the next one. `now` does not wait for the turn. With
    `subscribe` the provider is also told to send what it does not send any more.
    """
    check = _take_turn(account, now=now)
    if check is None:
        return None
    calls: list[HttpTrace] = []
    found, trouble = 0, ""
    try:
        ready = open_account(check.account, calls.append)
        trouble = _subscription(ready, subscribe=subscribe)
        for gap in _missing(ready, check):
            found += _stored(gap)
        check.refused = False
    except SendFailed as failure:
        trouble = f"{failure.code}: {failure.detail}"
        check.refused = isinstance(failure, (AuthFailed, AccountProblem))
        _put_off(check, failure.retry_at)
    except Exception as bug:  # noqa: BLE001 - a bug in one channel must not keep the others from being asked
        trouble = f"Parley failed while it asked: {type(bug).__name__}"
        log.error("account %s: %s", account, trouble)  # noqa: TRY400 - a trace may quote a message
    _note(check, found, trouble, calls if found else ())
    return Found(check.account, found, trouble)


def compare(ready: Account, since: datetime) -> Compared | None:
    """Return what the provider lists since then and the intake lacks, and take nothing in. Raises SendFailed.

    None if the provider lists nothing at all.
    """
    channel = ready.channel
    return _compare(ready, channel, since, timezone.now() - SETTLED) if isinstance(channel, Reconciles) else None


def _turn_has_come() -> Q:
    fixed = Q(check_up__refused=True, updated_at__gt=F("check_up__checked_at"))
    return Q(check_up=None) | Q(check_up__due_at__lte=timezone.now()) | fixed


@transaction.atomic
def _take_turn(account: uuid.UUID, *, now: bool) -> InboundCheck | None:
    rows = ChannelAccount.objects.filter(pk=account, enabled=True, kind__in=able_kinds())
    row = rows.defer("credentials", "former_credentials").select_for_update(no_key=True).first()
    if row is None or not (now or rows.filter(_turn_has_come()).exists()):
        return None
    wait = spread(settings.INBOUND_POLL_SECONDS or 300, JITTER)
    due_at = timezone.now() + timedelta(seconds=wait)
    check, _ = InboundCheck.objects.update_or_create(account=row, defaults={"due_at": due_at})
    check.account = row
    return check


def _subscription(ready: Account, *, subscribe: bool) -> str:
    channel = ready.channel
    if not isinstance(channel, ChecksSubscription):
        return ""
    lacking = channel.unsubscribed()
    if not lacking or not subscribe:
        return lacking
    channel.subscribe()
    log.warning("account %s: subscribed again, as asked. Before: %s", ready.id, lacking)
    return channel.unsubscribed()


def _missing(ready: Account, check: InboundCheck) -> Iterator[ParsedDelivery]:
    """Yield, the oldest first, what the provider lists and the intake does not have; then note how far that reaches.

    One message that cannot be had does not keep the others back; the look has failed all the same, and is repeated.
    """
    channel = ready.channel
    if not isinstance(channel, Reconciles):
        return
    until = timezone.now() - SETTLED
    since = _begin(check, until)
    compared = _compare(ready, channel, since, until)
    if not compared.complete:
        log.warning("account %s: the provider's list is too long to reach back to %s", ready.id, since)
    lost: SendFailed | None = None
    for one in sorted(compared.unknown, key=lambda one: one.at):
        try:
            webhook = _fetched(channel, one)
        except SendFailed as failure:
            if failure.retryable:
                raise
            lost = failure
        else:
            yield parse_webhook(ready, webhook, f"poll-{uuid.uuid4().hex}")
    if lost is not None:
        raise lost
    check.complete_until = until


def _compare(ready: Account, channel: Reconciles, since: datetime, until: datetime) -> Compared:
    listed = channel.list_inbound(since)
    return Compared(_unknown(ready, listed.messages, until), listed.complete)


def _fetched(channel: Reconciles, listed: Listed) -> VerifiedWebhook:
    try:
        return channel.as_webhook(listed)
    except SendFailed:
        raise
    except Exception as bug:  # noqa: BLE001 - see look()
        raise SendFailed(f"a listed message cannot be read ({type(bug).__name__})") from None


def _begin(check: InboundCheck, until: datetime) -> datetime:
    """Return where to begin: before the end of the last look, never before the account was set up."""
    last = check.complete_until - OVERLAP if check.complete_until else check.account.created_at
    return max(last, until - FURTHEST, check.account.created_at)


def _unknown(ready: Account, listed: Sequence[Listed], until: datetime) -> list[Listed]:
    old = [one for one in listed if one.at <= until]
    keys = [storable(one.key) for one in old]
    here = set(InboundEntry.objects.filter(account=ready.id, key__in=keys).values_list("key", flat=True))
    return [one for one, key in zip(old, keys, strict=True) if key not in here]


def _stored(parsed: ParsedDelivery) -> bool:
    """Store what was missing, marked; return False if its webhook came first after all."""
    try:
        state = _marked(parsed)
    except DataError as problem:
        state = _marked(parsed.set_aside(f"could not be stored: {type(problem).__name__}"))
    return state != WebhookDelivery.State.DUPLICATE


@transaction.atomic
def _marked(parsed: ParsedDelivery) -> str:
    state = store(parsed)
    WebhookDelivery.objects.filter(pk=parsed.id).update(polled=True)
    return state


def _put_off(check: InboundCheck, retry_at: datetime | None) -> None:
    if check.refused:
        retry_at = timezone.now() + REFUSED_WAIT
    check.due_at = max(check.due_at, retry_at or check.due_at)


def _note(check: InboundCheck, found: int, trouble: str, calls: Sequence[HttpTrace]) -> None:
    """Write down what a look came to. Its calls are kept only if they brought something: there are 288 looks a day."""
    trouble = storable(trouble)[:_LONGEST_TROUBLE]
    if found:
        log.warning("account %s: %d messages came only because we asked for them", check.account_id, found)
    if trouble != check.trouble:
        log.warning("account %s: %s", check.account_id, trouble or "in order again")
    InboundCheck.objects.filter(pk=check.pk).update(
        checked_at=timezone.now(),
        due_at=check.due_at,
        complete_until=check.complete_until,
        found=F("found") + found,
        trouble=trouble,
        refused=check.refused,
    )
    log_calls(check.account_id, calls)
