"""The pause of an account: nothing goes either way, all of it is kept, and goes on in order afterwards."""

from __future__ import annotations

from django.db import connection, transaction
from django.db.models.functions import Now
from django.utils import timezone

from channels_app.models import ChannelAccount
from channels_app.webhooks.entries import INTAKE_CHANNEL
from connect_bridge.models import Conversation, Message
from people.history import because


@transaction.atomic
def set_paused(account: ChannelAccount, *, paused: bool, reason: str = "") -> None:
    """Pause the account or let it go on; idempotent. Bridges and workers notice within a second or two.

    What waited for the end of the pause is due at once when it ends, both ways.
    """
    if paused == (account.paused_since is not None):
        return
    account.paused_since = timezone.now() if paused else None
    because(account, reason)
    account.save()
    if not paused:
        waiting = Message.objects.filter(direction=Message.Direction.INBOUND, status=Message.Status.STORED)
        waiting.filter(conversation__in=Conversation.objects.filter(account=account)).update(due_at=Now())
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify(%s, '')", [INTAKE_CHANNEL])
