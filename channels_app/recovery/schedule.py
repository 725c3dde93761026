"""When each account's provider is asked for missed messages, and what came of it: one row of InboundCheck each."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from channels_app.account_fields import ENCRYPTED
from channels_app.accounts.call_log import log_calls
from channels_app.channel import ChecksSubscription, Reconciles
from channels_app.infrastructure.backoff import spread
from channels_app.models import ChannelAccount, InboundCheck
from channels_app.registry import channels
from channels_app.toolkit.http import HttpTrace
from channels_app.toolkit.json_body import storable

log = logging.getLogger(__name__)

#: When a provider that refuses our credentials is asked again, unless they are saved anew before.
REFUSED_WAIT = timedelta(hours=6)
#: Accounts that one sweep names, and by how much their times differ so that they do not all come at once.
MOST_PER_SWEEP = 50
JITTER = 0.1
_LONGEST_TROUBLE = 500


def able_kinds() -> list[str]:
    """Return the channels whose provider can be asked."""
    return [kind for kind, channel in channels().items() if issubclass(channel, (Reconciles, ChecksSubscription))]


def due(most: int = MOST_PER_SWEEP) -> Sequence[uuid.UUID]:
    """Return accounts that are due; none if INBOUND_POLL_SECONDS is 0."""
    if settings.INBOUND_POLL_SECONDS <= 0:
        return []
    rows = ChannelAccount.objects.filter(_is_due(), enabled=True, kind__in=able_kinds())
    return list(rows.order_by("check_up__due_at").values_list("pk", flat=True)[:most])


def _is_due() -> Q:
    saved_anew = Q(check_up__refused=True, updated_at__gt=F("check_up__checked_at"))
    return Q(check_up=None) | Q(check_up__due_at__lte=timezone.now()) | saved_anew


@transaction.atomic
def claim(account: uuid.UUID, *, now: bool) -> InboundCheck | None:
    """Return the account's check and set its next time, None if it is not due. `now`: whether it is due or not."""
    rows = ChannelAccount.objects.filter(pk=account, enabled=True, kind__in=able_kinds())
    row = rows.defer(*ENCRYPTED).select_for_update(no_key=True).first()
    if row is None or not (now or rows.filter(_is_due()).exists()):
        return None
    wait = spread(settings.INBOUND_POLL_SECONDS or 300, JITTER)
    due_at = timezone.now() + timedelta(seconds=wait)
    check, _ = InboundCheck.objects.update_or_create(account=row, defaults={"due_at": due_at})
    check.account = row
    return check


def postpone(check: InboundCheck, retry_at: datetime | None) -> None:
    """Ask no earlier than the provider wants, and far less often while it refuses our credentials."""
    if check.refused:
        retry_at = timezone.now() + REFUSED_WAIT
    check.due_at = max(check.due_at, retry_at or check.due_at)


def record(check: InboundCheck, count: int, trouble: str, calls: Sequence[HttpTrace]) -> None:
    """Store what a check found. Its calls are kept only if they brought something: there are 288 checks a day."""
    trouble = storable(trouble)[:_LONGEST_TROUBLE]
    if count:
        log.warning("account %s: %d messages came only because we asked for them", check.account_id, count)
    if trouble != check.trouble:
        log.warning("account %s: %s", check.account_id, trouble or "in order again")
    InboundCheck.objects.filter(pk=check.pk).update(
        checked_at=timezone.now(),
        due_at=check.due_at,
        complete_until=check.complete_until,
        found=F("found") + count,
        trouble=trouble,
        refused=check.refused,
    )
    log_calls(check.account_id, calls)
