"""Send dead or uncertain messages again, because a person asked for it."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from connect_bridge.models import ERASED, EXPIRED, Message, Notice, OutboxEntry

#: What a person may send again. Of the uncertain ones the customer may have a first copy already.
REVIVABLE = (OutboxEntry.State.DEAD, OutboxEntry.State.UNCERTAIN)
#: What stands in the place of words that are not there any more: nobody is to get that.
GONE = (ERASED, EXPIRED)


@transaction.atomic
def send_again(entries: Collection[UUID]) -> list[OutboxEntry]:
    """Set dead and uncertain outbox entries pending, due now, and return those; idempotent, others stay as they are.

    The other such parts of its message are sent with an entry, because half a message helps nobody. What was uncertain
    is marked as a possible duplicate. A person takes the failure back, so the message's status goes back to STORED. The
    log of calls keeps what the provider answered before. The next sweep of the outbox sends. What was erased or has
    expired stays as it is.
    """
    revivable = OutboxEntry.objects.filter(state__in=REVIVABLE).exclude(text__in=GONE)
    messages = revivable.filter(pk__in=entries).values("message")
    revived = list(revivable.filter(message__in=messages).select_for_update().order_by("message", "part"))
    ids = [entry.pk for entry in revived]
    OutboxEntry.objects.filter(pk__in=ids).update(
        possible_duplicate=Q(possible_duplicate=True) | Q(state=OutboxEntry.State.UNCERTAIN),
        state=OutboxEntry.State.PENDING,
        attempts=0,
        due_at=timezone.now(),
        settled_at=None,
        claimed_by="",
        claimed_until=None,
        look_at=None,
        provider_message_ids=[],
        error_code="",
        provider_code="",
        error_detail="",
    )
    Notice.objects.filter(message__outbox__in=ids).delete()  # if it fails again, the agent hears of it again
    taken_back = (Message.Status.FAILED, Message.Status.UNCERTAIN)
    Message.objects.filter(outbox__in=ids, status__in=taken_back).update(
        status=Message.Status.STORED, settled_at=None, error_code="", error_detail="", provider_message_id=""
    )
    return revived
