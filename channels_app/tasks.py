"""What the workers run for the intake: hints that name accounts. Whose turn it is says the database."""

from __future__ import annotations

import uuid
from contextlib import suppress

from celery import shared_task

from channels_app.accounts import provider_checks
from channels_app.errors import AccountProblem
from channels_app.models import ChannelAccount
from channels_app.recovery import missed_messages, schedule

#: Seconds between two sweeps, and after which a task of one is dropped: the next sweep names the account again.
SWEEP_EVERY = 30.0


@shared_task  # type: ignore[untyped-decorator] # celery is not typed
def look_for_missed() -> None:
    """Name the accounts whose provider is to be asked now for what it did not deliver."""
    for account in schedule.due():
        ask_provider.apply_async(args=[str(account)], expires=SWEEP_EVERY)


@shared_task  # type: ignore[untyped-decorator] # celery is not typed
def ask_provider(account: str) -> None:
    """Ask one account's provider, if it is the account's turn."""
    missed_messages.ask_provider(uuid.UUID(account))


@shared_task  # type: ignore[untyped-decorator] # celery is not typed
def look_at_accounts() -> None:
    """Name the accounts whose provider was not asked for long how they are set up there."""
    for account in provider_checks.due():
        ask_how_it_is_set_up.apply_async(args=[str(account.pk)], expires=provider_checks.SWEEP_EVERY)


@shared_task  # type: ignore[untyped-decorator] # celery is not typed
def ask_how_it_is_set_up(account: str) -> None:
    """Ask one account's provider point by point. What it says is in the account's status, and in `doctor`."""
    row = ChannelAccount.objects.filter(pk=account, enabled=True).first()
    if row is not None:
        with suppress(AccountProblem):  # the account's status says so by itself
            provider_checks.ask_all(row)
