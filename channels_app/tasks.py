"""What the workers run for the intake: hints that name accounts. Whose turn it is says the database."""

from __future__ import annotations

import uuid

from celery import shared_task

from channels_app import gaps

#: Seconds between two sweeps, and after which a task of one is dropped: the next sweep names the account again.
SWEEP_EVERY = 30.0


@shared_task  # type: ignore[untyped-decorator] # celery is not typed
def look_for_missed() -> None:
    """Name the accounts whose provider is to be asked now for what it did not deliver."""
    for account in gaps.due():
        ask_provider.apply_async(args=[str(account)], expires=SWEEP_EVERY)


@shared_task  # type: ignore[untyped-decorator] # celery is not typed
def ask_provider(account: str) -> None:
    """Ask one account's provider, if it is the account's turn."""
    gaps.look(uuid.UUID(account))
