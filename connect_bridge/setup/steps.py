"""The set-up of an account, step by step: what is done, what is next, and the draft that is kept in between."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.db import transaction
from django.http import Http404
from django.urls import reverse

from channels_app.accounts.provider_checks import points_of
from channels_app.accounts.service import remember_secrets, set_credentials
from channels_app.channel import Channel
from channels_app.declarations import Guide
from channels_app.models import AccountHealth, ChannelAccount, SetupDraft
from channels_app.registry import channels
from connect_bridge.setup.round_trip import read_round_trip
from people.history import because

#: The steps in order: name and title.
STEPS = {
    "ready": "Have ready",
    "credentials": "Credentials",
    "webhook": "Webhook",
    "verify": "Verify",
    "route": "Route",
    "hours": "Hours and replies",
    "test": "Test",
    "live": "Live",
}
#: The steps that need no account yet.
BEFORE = ("ready", "credentials")


@dataclass(frozen=True, slots=True)
class Step:
    name: str
    title: str
    number: int
    address: str
    done: bool
    here: bool
    open: bool


@dataclass(slots=True)
class AccountSetup:
    """One account that is set up, or the draft of one. Both have the same id."""

    id: uuid.UUID
    kind: str
    account: ChannelAccount | None = None
    draft: SetupDraft | None = None
    health: AccountHealth | None = None
    channel: type[Channel[Any]] = field(init=False)
    #: The row that there is, or the one, not yet saved, that the draft becomes.
    row: ChannelAccount = field(init=False)

    def __post_init__(self) -> None:
        self.channel = channels()[self.kind]
        name = self.draft.name if self.draft else ""
        self.row = self.account or ChannelAccount(id=self.id, kind=self.kind, name=name, credentials={})

    @property
    def label(self) -> str:
        return self.channel.label

    @property
    def guide(self) -> Guide:
        return self.channel.guide

    @property
    def name(self) -> str:
        source = self.account or self.draft
        return (source.name if source else "") or f"New {self.channel.label} account"

    @property
    def stored(self) -> dict[str, str]:
        """Return the credentials that were entered so far."""
        source = self.account or self.draft
        return dict(source.credentials or {}) if source else {}

    def steps(self, here: str) -> list[Step]:
        """Return all steps as the page shows them."""
        done = self._done()
        return [
            Step(
                name=name,
                title=title,
                number=number,
                address=reverse("channel-step", args=[self.id, name]),
                done=done[name],
                here=name == here,
                open=self.account is not None or name in BEFORE,
            )
            for number, (name, title) in enumerate(STEPS.items(), start=2)
        ]

    def _done(self) -> dict[str, bool]:
        account, points = self.account, points_of(self.health)
        called = self.health is not None and self.health.handshake_at is not None
        routed = account is not None and all(routing_of(account))
        live = account is not None and self._is_live(account)
        return {
            "ready": bool(self.stored) or account is not None,
            "credentials": account is not None,
            "webhook": called or any(point.ok and "ebhook" in point.name for point in points) or live,
            "verify": bool(points) and all(point.ok for point in points),
            "route": routed,
            "hours": live,
            "test": live,
            "live": live,
        }

    def _is_live(self, account: ChannelAccount) -> bool:
        """Say whether a test message went all the way round, even if that is not written down yet."""
        if account.live_since is not None:
            return True
        round_trip = read_round_trip(account, self.health)
        return round_trip is not None and round_trip.complete


def step_after(step: str) -> str:
    """Return the step that follows; the last follows itself."""
    names = list(STEPS)
    return names[min(names.index(step) + 1, len(names) - 1)]


def find_setup(key: uuid.UUID) -> AccountSetup:
    """Return the account's set-up, or the draft's; raise Http404 if there is neither, or no such channel any more."""
    account = ChannelAccount.objects.filter(pk=key).first()
    draft = None if account else SetupDraft.objects.filter(pk=key).first()
    row = account or draft
    if row is None or row.kind not in channels():
        raise Http404
    return AccountSetup(key, row.kind, account, draft, AccountHealth.objects.filter(account=key).first())


def begin_draft(kind: str, by: str) -> AccountSetup:
    """Return a new draft."""
    draft = SetupDraft.objects.create(kind=kind, by=by[:150])
    return AccountSetup(draft.pk, kind, None, draft)


def keep_draft(setup: AccountSetup, name: str, credentials: dict[str, str]) -> None:
    """Keep what was typed so far, encrypted, however incomplete."""
    if setup.draft is not None:
        setup.draft.name, setup.draft.credentials = name[:100], credentials
        setup.draft.save()


@transaction.atomic
def save_account(setup: AccountSetup, name: str, credentials: dict[str, str], by: str, reason: str) -> ChannelAccount:
    """Store checked credentials: the draft becomes an account, or the account gets them.

    The form that checked them has put the account's address into the row.
    """
    account = setup.row
    account.name = name
    because(account, reason)
    changed = set_credentials(account, credentials)
    account.save()
    remember_secrets(account, changed, by)
    if setup.draft is not None:
        setup.draft.delete()
    setup.account, setup.draft = account, None
    return account


def routing_of(account: ChannelAccount) -> tuple[str, str]:
    """Return the instance and flow that the account's chats go to: its own, else the settings'."""
    instance = account.connect_instance_id or settings.CONNECT_INSTANCE_ID
    return instance, account.connect_contact_flow_id or settings.CONNECT_CONTACT_FLOW_ID
