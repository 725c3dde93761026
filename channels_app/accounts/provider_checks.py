"""Ask an account's provider how it is set up for us, point by point, and remember what it said."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import msgspec
from django.db import transaction
from django.utils import timezone

from channels_app.account import make_channel, open_account
from channels_app.accounts.explanations import explain
from channels_app.channel import ReadsBackConfiguration, RegistersWebhook
from channels_app.errors import SendFailed
from channels_app.models import AccountHealth, ChannelAccount
from channels_app.registry import channels
from channels_app.toolkit.msgspec_tools import convert
from channels_app.types import Checked

log = logging.getLogger(__name__)

#: How long what a provider said is taken as true before it is asked again by itself.
FRESH = timedelta(hours=6)
#: Seconds between two sweeps, each of which asks about the accounts that are due.
SWEEP_EVERY = 600.0
#: Accounts that one sweep asks about.
MOST_PER_SWEEP = 20
_LONGEST = 500


class Point(msgspec.Struct, kw_only=True):
    """One point as it is remembered and shown."""

    name: str
    ok: bool
    said: str
    at: str
    fix: str = ""
    ours: str = ""
    theirs: str = ""
    code: str = ""


def names_of(kind: str, account: ChannelAccount) -> list[str]:
    """Return the points that can be asked about; none for a channel that cannot be asked."""
    if kind not in channels():
        return []
    channel = open_account(account).channel
    return list(channel.points()) if isinstance(channel, ReadsBackConfiguration) else []


def ask(account: ChannelAccount, name: str) -> Point:
    """Ask about one point and remember the answer. Raises KeyError for a point that the channel does not have.

    Calls the provider; never in a transaction.
    """
    channel = open_account(account).channel
    assert isinstance(channel, ReadsBackConfiguration), "a channel without points is not asked"
    checked = _checked(account.kind, channel.points()[name])
    point = _point(name, checked)
    _remember(account.pk, point, checked.expires_at)
    return point


def ask_all(account: ChannelAccount) -> list[Point]:
    """Ask about every point, in order. Calls the provider."""
    return [ask(account, name) for name in names_of(account.kind, account)]


def try_credentials(kind: str, account: uuid.UUID, credentials: Mapping[str, str]) -> Checked | None:
    """Ask the provider whether it knows these credentials, before they are stored; None if it cannot be asked."""
    channel = make_channel(kind, account, credentials)
    if not isinstance(channel, ReadsBackConfiguration):
        return None
    return _checked(kind, next(iter(channel.points().values())))


def register(account: ChannelAccount) -> Checked:
    """Have the provider take our address. Calls the provider, which calls us meanwhile."""
    channel = open_account(account).channel
    assert isinstance(channel, RegistersWebhook), "a channel that takes no address is not asked to"
    return _checked(account.kind, lambda: Checked(ok=True, said=channel.register_webhook()))


def due() -> list[ChannelAccount]:
    """Return enabled accounts whose provider was not asked for long, or never."""
    old = timezone.now() - FRESH
    kinds = [kind for kind, channel in channels().items() if issubclass(channel, ReadsBackConfiguration)]
    rows = ChannelAccount.objects.filter(enabled=True, kind__in=kinds).exclude(health__points_at__gt=old)
    return list(rows.order_by("health__points_at")[:MOST_PER_SWEEP])


def points_of(health: AccountHealth | None) -> list[Point]:
    """Return what was said, as far as it can still be read."""
    try:
        return convert(health.points if health else [], list[Point])
    except msgspec.ValidationError:
        return []


def _checked(kind: str, question: Callable[[], Checked]) -> Checked:
    """Ask; a refusal, or a bug of ours, is an answer too."""
    try:
        return question()
    except SendFailed as failure:
        explanation = explain(failure.code, kind=kind, provider_code=failure.provider_code)
        said = f"{failure.detail}." if failure.detail[-1:].isalnum() else failure.detail
        return Checked(ok=False, said=said, fix=f"{explanation.cause} {explanation.fix}", code=failure.provider_code)
    except Exception as bug:  # noqa: BLE001 - one point's bug must not keep the others from being asked
        log.error("%s: a check failed by itself (%s)", kind, type(bug).__name__)  # noqa: TRY400 - a trace may quote a secret
        return Checked(ok=False, said=f"Parley failed while it asked ({type(bug).__name__}).", fix="Report this.")


def _point(name: str, checked: Checked) -> Point:
    return Point(
        name=name,
        ok=checked.ok,
        said=checked.said[:_LONGEST],
        at=timezone.now().isoformat(),
        fix=checked.fix[:_LONGEST],
        ours=checked.ours[:_LONGEST],
        theirs=checked.theirs[:_LONGEST],
        code=checked.code[:64],
    )


@transaction.atomic
def _remember(account: uuid.UUID, point: Point, expires_at: datetime | None) -> None:
    AccountHealth.objects.get_or_create(account_id=account)
    health = AccountHealth.objects.select_for_update().get(account_id=account)
    others = [other for other in points_of(health) if other.name != point.name]
    health.points = msgspec.to_builtins([*others, point])
    health.points_at = timezone.now()
    if expires_at is not None:
        health.expires_at = expires_at
    elif point.ok and not others:
        health.expires_at = None
    health.save(update_fields=["points", "points_at", "expires_at"])
