"""What `manage.py doctor` says about the channel accounts: routing, credentials, and what their providers answered."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from uuid import UUID

import msgspec
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from channels_app.account_fields import ENCRYPTED, encrypted_at
from channels_app.accounts.provider_checks import ask_all, points_of
from channels_app.errors import AccountProblem
from channels_app.models import AccountHealth, ChannelAccount, InboundCheck
from channels_app.registry import channels
from connect_bridge.operations.account_reasons import WARN_BEFORE
from connect_bridge.operations.findings import Finding, Level

#: Columns that are not loaded: nothing here needs an account's secrets.
UNLOADED = encrypted_at("account")


def routing() -> Finding:
    """Say whether each account's chats have an instance and a flow to go to."""
    if settings.CONNECT_INSTANCE_ID and settings.CONNECT_CONTACT_FLOW_ID:
        return Finding("Connect routing", Level.OK, "instance and contact flow are set")
    accounts = ChannelAccount.objects.filter(enabled=True).defer(*ENCRYPTED)
    unrouted = [
        account.name
        for account in accounts
        if not (account.connect_instance_id or settings.CONNECT_INSTANCE_ID)
        or not (account.connect_contact_flow_id or settings.CONNECT_CONTACT_FLOW_ID)
    ]
    if accounts and not unrouted:
        return Finding("Connect routing", Level.OK, "every account names its instance and contact flow")
    detail = (
        f"no instance or contact flow for {', '.join(unrouted)}" if unrouted else "no default instance and contact flow"
    )
    fix = "set CONNECT_INSTANCE_ID and CONNECT_CONTACT_FLOW_ID, or both on the account"
    return Finding("Connect routing", Level.FAILURE if unrouted else Level.WARNING, detail, fix)


def credentials() -> Iterator[Finding]:
    """Yield for each account whether its credentials can be read."""
    names = list(ChannelAccount.objects.order_by("kind", "name").values_list("id", "kind", "name"))
    if not names:
        yield Finding("accounts", Level.WARNING, "none yet", "manage.py addaccount, or Channel accounts in the admin")
    for key, kind, name in names:
        problem = _problem_with(key, kind)
        fix = "open the account in the admin and enter its credentials again" if problem else ""
        yield Finding(name, Level.FAILURE if problem else Level.OK, problem or f"{kind}, credentials readable", fix)


def inbound_checks() -> Iterator[Finding]:
    """Yield the errors of the last time that providers were asked for messages which they had not delivered."""
    for check in InboundCheck.objects.exclude(trouble="").select_related("account").defer(*UNLOADED):
        fix = "manage.py missed asks again; with --subscribe it also subscribes our app again"
        yield Finding(f"{check.account.name} inbound", Level.WARNING, check.trouble, fix)


def provider_points(*, online: bool) -> Iterator[Finding]:
    """Yield what is wrong with accounts at their providers, by what these said last, or say now if `online`."""
    accounts = ChannelAccount.objects.filter(enabled=True).order_by("kind", "name")
    if online:
        for account in accounts:
            with suppress(AccountProblem):  # is said among the accounts
                ask_all(account)
    for health in AccountHealth.objects.filter(account__in=accounts).select_related("account").defer(*UNLOADED):
        name = health.account.name
        for point in points_of(health):
            if not point.ok:
                differ = f" Ours: {point.ours}. Theirs: {point.theirs}." if point.theirs else ""
                fix = point.fix or "press Check again on the account's page"
                yield Finding(f"{name}: {point.name}", Level.FAILURE, point.said + differ, fix)
        yield from _expiry(name, health)


def _expiry(name: str, health: AccountHealth) -> Iterator[Finding]:
    ends, now = health.expires_at, timezone.now()
    if ends is None or ends - now > WARN_BEFORE:
        return
    over = ends <= now
    detail = f"{'ended' if over else 'ends'} on {ends:%d %B %Y, %H:%M} UTC"
    fix = "get a new token from the provider and put it in: Channels → the account → Credentials"
    yield Finding(f"{name}: token", Level.FAILURE if over else Level.WARNING, detail, fix)


def _problem_with(key: UUID, kind: str) -> str:
    """Return why the account's credentials cannot be used, empty if they can. Never their text."""
    if kind not in channels():
        return f"no channel {kind!r} is installed"
    try:
        channels()[kind].read_config(ChannelAccount.objects.get(pk=key).credentials)
    except ImproperlyConfigured as problem:
        return str(problem)
    except msgspec.ValidationError as problem:
        return f"credentials are not complete: {problem}"
    return ""
