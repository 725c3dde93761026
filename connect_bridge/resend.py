"""Give dead sends another life, because a person said so."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from connect_bridge.models import Message, OutboxEntry


@transaction.atomic
def send_again(entries: Collection[UUID]) -> list[OutboxEntry]:
    """Set dead outbox entries pending, due now, and return those; idempotent, others stay as they are.

    With an entry go the other dead parts of its message, because half a message helps nobody. This is the one step
    down on the ladder of a message's status: a person takes back its failure. The log of calls keeps what the provider
    answered before. The next sweep of the outbox sends.
    """
    dead = OutboxEntry.objects.filter(state=OutboxEntry.State.DEAD)
    messages = dead.filter(pk__in=entries).values("message")
    revived = list(dead.filter(message__in=messages).select_for_update().order_by("message", "part"))
    ids = [entry.pk for entry in revived]
    OutboxEntry.objects.filter(pk__in=ids).update(
        state=OutboxEntry.State.PENDING,
        attempts=0,
        due_at=timezone.now(),
        settled_at=None,
        claimed_by="",
        claimed_until=None,
        provider_message_ids=[],
        error_code="",
        provider_code="",
        error_detail="",
    )
    Message.objects.filter(outbox__in=ids, status=Message.Status.FAILED).update(
        status=Message.Status.STORED, settled_at=None, error_code="", error_detail="", provider_message_id=""
    )
    return revived
