"""The pause of an account: nothing goes either way, all of it is kept, and goes on in order afterwards."""

from __future__ import annotations

from django.db import connection, transaction
from django.utils import timezone

from channels_app.models import ChannelAccount
from channels_app.webhooks.entries import INTAKE_CHANNEL
from people.history import because

#: What waits for the end of the pause is due at once when it ends, both ways.
DUE_NOW = """
UPDATE connect_bridge_message m SET due_at = now() FROM connect_bridge_conversation c
 WHERE m.conversation_id = c.id AND c.account_id = %(account)s AND m.direction = 'in' AND m.status = 'stored'
"""


@transaction.atomic
def set_paused(account: ChannelAccount, *, paused: bool, reason: str = "") -> None:
    """Pause the account or let it go on; idempotent. Bridges and workers see it within a second or two."""
    if paused == (account.paused_since is not None):
        return
    account.paused_since = timezone.now() if paused else None
    because(account, reason)
    account.save()
    if not paused:
        with connection.cursor() as cursor:
            cursor.execute(DUE_NOW, {"account": account.pk})
            cursor.execute("SELECT pg_notify(%s, '')", [INTAKE_CHANNEL])
