"""All that one page needs to know of the rollups, asked for once and shared by its tiles."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

import msgspec
from django.urls import reverse

from analytics import formatting
from analytics.measures import DIGESTS, MEASURES, percentile
from analytics.models import RollupState
from analytics.queries import rollups
from analytics.queries.filters import FACETS, Filter
from analytics.queries.question import Bins, Question, Sums
from analytics.rollups.time_buckets import days_between, hour_of, hours_between
from analytics.tiles.tile import Point
from channels_app.models import ChannelAccount


class Account(msgspec.Struct, frozen=True):
    id: uuid.UUID
    name: str
    kind: str


class OpenChats(msgspec.Struct, frozen=True, kw_only=True):
    """How many chats are with the bot, in a queue, with an agent; and since when the longest waits."""

    bot: int = 0
    queue: int = 0
    agent: int = 0
    oldest: datetime | None = None


class DashboardData:
    """The rollups as one filter sees them. Everything is read on first use."""

    def __init__(self, chosen: Filter) -> None:
        self.filter = chosen
        self.now = chosen.now
        self.open_chats: OpenChats | None = None
        """Asked for by live_queries.open_chats, once for all tiles of a page."""

    @cached_property
    def all_accounts(self) -> list[Account]:
        rows = ChannelAccount.objects.order_by("kind", "name").values_list("id", "name", "kind")
        return [Account(*row) for row in rows]

    @cached_property
    def accounts_by_id(self) -> dict[uuid.UUID, Account]:
        return {account.id: account for account in self.all_accounts}

    @cached_property
    def accounts(self) -> list[Account]:
        """Return the accounts that the filter means."""
        return [
            account
            for account in self.all_accounts
            if self.filter.channel in ("", account.kind) and self.filter.account in (None, account.id)
        ]

    def question(self, start: datetime, end: datetime, **more: Any) -> Question:
        narrowed = self.filter.channel or self.filter.account
        chosen = tuple(account.id for account in self.accounts) if narrowed else None
        return Question(start=start, end=end, accounts=chosen, facets=self.filter.facets, **more)

    @property
    def filter_params(self) -> dict[str, Any]:
        """Return the parameters that queries of chats need of the filter: see queries.chat_selection.MATCHES_FILTER."""
        question = self.question(self.filter.start, self.filter.end)
        return {
            "now": self.now,
            "start": question.start,
            "end": question.end,
            "accounts": None if question.accounts is None else list(question.accounts),
            **{name: question.facets.get(name) for name in FACETS},
        }

    # ── the range ──

    @cached_property
    def by_bucket(self) -> dict[tuple[datetime, uuid.UUID], Sums]:
        """Return all sums of the range by bucket and account."""
        question = self.question(self.filter.start, self.filter.end, by=("at", "account"), hourly=self.filter.hourly)
        return {(at, account): sums for (at, account), sums in rollups.sums(question).items()}

    @cached_property
    def total(self) -> Sums:
        return added(self.by_bucket.values())

    @cached_property
    def done(self) -> Sums:
        """Return the sums of the hours that are over: what is compared."""
        if self.filter.done == self.filter.end:
            return self.total
        unfinished = rollups.sums(self.question(self.filter.done, self.filter.end))[()]
        return {name: number - unfinished[name] for name, number in self.total.items()}

    @cached_property
    def before(self) -> Sums | None:
        """Return the sums of the same hours of the comparison; None without one, or if nothing was counted then."""
        if self.filter.shift is None:
            return None
        sums = rollups.sums(self.question(*self.span_before))[()]
        return sums if _anything(sums) else None

    @property
    def span_before(self) -> tuple[datetime, datetime]:
        return self.filter.before(self.filter.start), self.filter.before(self.filter.done)

    @cached_property
    def digests(self) -> Bins:
        """Return all digests of the range."""
        return rollups.bins(self.question(self.filter.start, self.filter.end), self._known_digests).get((), {})

    @cached_property
    def digests_done(self) -> Bins:
        if self.filter.done == self.filter.end:
            return self.digests
        return rollups.bins(self.question(self.filter.start, self.filter.done), self._known_digests).get((), {})

    @cached_property
    def digests_before(self) -> Bins:
        if self.before is None:
            return {}
        return rollups.bins(self.question(*self.span_before), self._known_digests).get((), {})

    @property
    def _known_digests(self) -> Sequence[str]:
        """Return the digests of people alone where a facet is asked for: the bridge's own belong to no queue."""
        return DIGESTS[:6] if self.filter.facets else DIGESTS

    def percentile(self, digest: str, share: float) -> float | None:
        return percentile(self.digests.get(digest, {}), share)

    def size(self, digest: str) -> int:
        return sum(self.digests.get(digest, {}).values())

    # ── buckets ──

    @cached_property
    def buckets(self) -> list[datetime]:
        """Return the beginnings of all buckets up to now: hours of short ranges, else days."""
        between = hours_between if self.filter.hourly else days_between
        return [at for at in between(self.filter.start, self.filter.end) if at <= self.now]

    def point(self, at: datetime, values: Sequence[float | None], n: int = 0) -> Point:
        label = formatting.hour(at) if self.filter.hourly else formatting.day(at)
        return Point(at=at, label=label, values=tuple(values), n=n, partial=self.is_partial(at))

    def is_partial(self, at: datetime) -> bool:
        """Whether a bucket is not over yet."""
        return at == self.buckets[-1] and self.filter.end > hour_of(self.now)

    def bucket_sums(self, at: datetime) -> Sums:
        return added(sums for (when, _), sums in self.by_bucket.items() if when == at)

    @cached_property
    def sums_by_bucket(self) -> dict[datetime, Sums]:
        return {at: self.bucket_sums(at) for at in self.buckets}

    # ── the state ──

    @cached_property
    def state(self) -> RollupState | None:
        return RollupState.objects.filter(pk=1).first()

    @cached_property
    def anything(self) -> bool:
        """Whether anything happened in the range, whatever the filters say."""
        return _anything(rollups.sums(Question(start=self.filter.start, end=self.filter.end))[()])

    def drill(self, page: str, **changed: str) -> str:
        """Return the address of another page with the same filters, some changed."""
        return f"{reverse('dashboards:page', args=[page])}?{self.filter.query(**changed)}"


def _anything(sums: Sums) -> bool:
    return bool(sums["received"] or sums["chats"] or sums["settled"])


def added(several: Iterable[Sums]) -> Sums:
    """Return the sums of sums; of nothing, noughts."""
    whole = dict.fromkeys(MEASURES, 0)
    for sums in several:
        for name, number in sums.items():
            whole[name] += number
    return whole
