"""Compare Connect's transcripts, the database and what messengers list, and name every gap between them.

Nothing here stores or sends anything: what is missing comes in by the ways that exist, which each gap names.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from channels_app.account_fields import ENCRYPTED
from channels_app.models import ChannelAccount
from connect_bridge.reconcile import chats, provider_lists, rows
from connect_bridge.reconcile.findings import Finding, Remark

#: Conversations that are looked at together: so many queries for each page, however many messages there are.
PAGE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """What to look at: what happened since then, of one account or conversation or of all."""

    since: datetime
    account: uuid.UUID | None = None
    conversation: uuid.UUID | None = None


@dataclass(slots=True)
class Tally:
    """What was compared so far. `names`: our accounts, as people call them."""

    conversations: int = 0
    open_chats: int = 0
    lists: int = 0
    names: dict[uuid.UUID, str] = field(default_factory=dict)


def reconcile(span: Span, tally: Tally) -> Iterator[Finding]:
    """Yield what is missing, what could not be compared and, at the end, what else is worth knowing; fill the tally.

    A fixed number of queries for each page of conversations, one call and more for each open chat and each account.
    Raises django.db.Error.
    """
    remarks: Counter[str] = Counter()
    for finding in _findings(span, tally):
        if isinstance(finding, Remark):
            remarks[finding.text] += finding.count
        else:
            yield finding
    for text, count in remarks.items():
        yield Remark(text, count)


def _findings(span: Span, tally: Tally) -> Iterator[Finding]:
    accounts = list(_accounts(span))
    tally.names = {account.pk: str(account) for account in accounts}
    of = {"account": span.account, "conversation": span.conversation, "since": span.since}
    for page in rows.pages(of, PAGE):
        tally.conversations += len(page)
        yield from rows.check(page, span.since)
        opened = rows.open_chats(page)
        tally.open_chats += len(opened)
        yield from chats.compare(opened, page)
    yield from rows.stuck_rows(span.account, span.conversation)
    if span.conversation is None:
        for account in accounts:
            tally.lists += 1
            yield from provider_lists.compare(account, span.since)


def _accounts(span: Span) -> Iterator[ChannelAccount]:
    accounts = ChannelAccount.objects.filter(enabled=True).order_by("kind", "name").defer(*ENCRYPTED)
    return (accounts if span.account is None else accounts.filter(pk=span.account)).iterator()
