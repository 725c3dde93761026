"""Whether an account works, from the traces that its messages left: five stages, one state in words, and why.

Reachable: somebody called our address. Signed: the secret is the right one. Matched: it was meant for this account.
Bridged: Amazon Connect took it. Delivered: the messenger took an answer. Nothing here asks anybody outside.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from django.db import connection
from django.utils import timezone

from channels_app.accounts.explanations import Explanation, explain
from channels_app.accounts.provider_checks import Point, points_of
from channels_app.models import AccountHealth, ChannelAccount, InboundCheck
from connect_bridge.operations.stuck_reasons import NEEDS_A_PERSON

#: A message that Connect has not taken for so long is no longer just on its way.
STUCK = timedelta(seconds=60)
#: An account is called quiet after twice its longest silence of late, and at least this.
LEAST_SILENCE = timedelta(hours=6)
#: How long before a token ends one hears of it.
WARNED = timedelta(days=7)
HOURS = 24

#: The latest webhook of each account, what it was, and the longest silence between its last hundred.
WEBHOOKS = """
SELECT a.id, d.received_at, d.state, d.reason, g.longest
  FROM unnest(%(ids)s::uuid[]) AS a (id)
  LEFT JOIN LATERAL (SELECT received_at, state, reason FROM channels_app_webhookdelivery
                      WHERE account_id = a.id ORDER BY received_at DESC LIMIT 1) d ON true
  LEFT JOIN LATERAL (SELECT max(gap) AS longest FROM (
        SELECT received_at - lag(received_at) OVER (ORDER BY received_at) AS gap FROM (
            SELECT received_at FROM channels_app_webhookdelivery
             WHERE account_id = a.id ORDER BY received_at DESC LIMIT 100) latest) gaps) g ON true
"""
#: What became of the latest messages of each account: ten of each of its twenty latest conversations.
MESSAGES = """
SELECT a.id,
       max(m.relayed_at) FILTER (WHERE m.direction = 'in') AS bridged_at,
       max(m.settled_at) FILTER (WHERE m.direction = 'out' AND m.status = ANY(%(sent)s)) AS sent_at,
       max(m.settled_at) FILTER (WHERE m.direction = 'out' AND m.status = 'failed') AS failed_at,
       count(*) FILTER (WHERE m.direction = 'out' AND m.status = 'failed') AS failures,
       (array_agg(m.id ORDER BY m.settled_at DESC NULLS LAST)
            FILTER (WHERE m.direction = 'out' AND m.status = 'failed'))[1] AS failed
  FROM unnest(%(ids)s::uuid[]) AS a (id)
 CROSS JOIN LATERAL (SELECT id FROM connect_bridge_conversation
                      WHERE account_id = a.id AND last_message_at IS NOT NULL
                      ORDER BY last_message_at DESC LIMIT 20) c
 CROSS JOIN LATERAL (SELECT * FROM connect_bridge_message WHERE conversation_id = c.id
                      ORDER BY sequence DESC LIMIT 10) m
 GROUP BY a.id
"""
#: What customers of each account wrote and Connect has not taken: since when, and why. Of a conversation the first
#: alone has been tried, and what only a person can mend is said before what passes. What the account itself holds back
#: is no trouble. By the partial index of the open rows alone.
WAITING = """
SELECT c.account_id, min(m.created_at) AS waiting_since,
       (array_agg(m.error_code ORDER BY m.error_code = ANY(%(person)s) DESC, m.created_at))[1] AS waits_for,
       (array_agg(m.error_detail ORDER BY m.error_code = ANY(%(person)s) DESC, m.created_at))[1] AS waits_words
  FROM (SELECT DISTINCT ON (conversation_id) * FROM connect_bridge_message
         WHERE direction = 'in' AND status = 'stored' ORDER BY conversation_id, sequence) m
  JOIN connect_bridge_conversation c ON c.id = m.conversation_id
 WHERE c.account_id = ANY(%(ids)s) AND m.error_code NOT IN ('paused', 'closed')
 GROUP BY c.account_id
"""
FAILURES = """
SELECT message_id, error_code, provider_code, error_detail FROM connect_bridge_outboxentry
 WHERE message_id = ANY(%(ids)s) AND state = 'dead' AND error_code <> 'earlier_part'
"""
BY_HOUR = """
SELECT account_id, GREATEST(floor(EXTRACT(EPOCH FROM now() - received_at) / 3600)::int, 0) AS ago, count(*)
  FROM channels_app_webhookdelivery
 WHERE account_id = ANY(%(ids)s) AND received_at > now() - interval '24 hours' GROUP BY 1, 2
"""


class State(StrEnum):
    """The state of an account, in words."""

    NOT_SET_UP = "Not set up"
    WAITING = "Waiting for first webhook"
    LIVE = "Live"
    QUIET = "Quiet"
    DEGRADED = "Degraded"
    BROKEN = "Broken"
    RECONNECT = "Needs reconnecting"
    PAUSED = "Paused"
    OFF = "Switched off"


class Verdict(StrEnum):
    OK = "ok"
    BAD = "bad"
    UNSEEN = "unseen"


@dataclass(frozen=True, slots=True)
class Stage:
    name: str
    verdict: Verdict
    words: str
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the tables tell of one account."""

    account: ChannelAccount
    health: AccountHealth | None = None
    check: InboundCheck | None = None
    webhook_at: datetime | None = None
    webhook_state: str = ""
    webhook_reason: str = ""
    longest_silence: timedelta | None = None
    bridged_at: datetime | None = None
    waiting_since: datetime | None = None
    waits_for: str = ""
    waits_words: str = ""
    sent_at: datetime | None = None
    failed_at: datetime | None = None
    failures: int = 0
    failure: tuple[str, str, str] = ("", "", "")
    by_hour: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountStatus:
    """One account's light. `why` explains a state that is not well; `notice` is of what will not be well."""

    account: ChannelAccount
    state: State
    stages: tuple[Stage, ...]
    points: tuple[Point, ...]
    webhook_at: datetime | None
    sent_at: datetime | None
    failures: int
    by_hour: tuple[int, ...]
    why: Explanation | None
    notice: str


def lights(accounts: Iterable[ChannelAccount]) -> list[AccountStatus]:
    """Return the light of each account. A fixed number of queries, however many accounts."""
    return [judge(one) for one in _evidence(list(accounts))]


def judge(seen: Evidence) -> AccountStatus:
    """Return the light that the evidence makes."""
    now = timezone.now()
    stages = (_reachable(seen), _signed(seen), _matched(seen), _bridged(seen, now), _delivered(seen))
    points = tuple(points_of(seen.health))
    why = _why(seen, stages, points)
    return AccountStatus(
        account=seen.account,
        state=_state(seen, stages, points, now),
        stages=stages,
        points=points,
        webhook_at=seen.webhook_at,
        sent_at=seen.sent_at,
        failures=seen.failures,
        by_hour=seen.by_hour,
        why=why,
        notice=_notice(seen, now),
    )


def _reachable(seen: Evidence) -> Stage:
    health = seen.health
    calls = [at for at in (seen.webhook_at, health and health.handshake_at, health and health.rejected_at) if at]
    if calls:
        return Stage("Reachable", Verdict.OK, "Our address is called.", max(calls))
    return Stage("Reachable", Verdict.UNSEEN, "Nobody has called our address yet.")


def _signed(seen: Evidence) -> Stage:
    health, at = seen.health, seen.webhook_at
    if health and health.rejected_at and health.rejected_code != "bad_handshake":
        fine = max(filter(None, (at, health.handshake_at)), default=None)
        if fine is None or health.rejected_at > fine:
            return Stage("Signed", Verdict.BAD, "What comes is not signed with our secret.", health.rejected_at)
    if at:
        return Stage("Signed", Verdict.OK, "What comes is signed with our secret.", at)
    return Stage("Signed", Verdict.UNSEEN, "No signed webhook yet.")


def _matched(seen: Evidence) -> Stage:
    if not seen.webhook_at:
        return Stage("Matched", Verdict.UNSEEN, "No webhook for this account yet.")
    if seen.webhook_state == "quarantined":
        return Stage("Matched", Verdict.BAD, f"The latest was set aside: {seen.webhook_reason}.", seen.webhook_at)
    return Stage("Matched", Verdict.OK, "What comes is for this account.", seen.webhook_at)


def _bridged(seen: Evidence, now: datetime) -> Stage:
    if seen.waiting_since and now - seen.waiting_since > STUCK and seen.account.paused_since is None:
        return Stage("Bridged", Verdict.BAD, "Amazon Connect has not taken a customer's message.", seen.waiting_since)
    if seen.bridged_at:
        return Stage("Bridged", Verdict.OK, "Amazon Connect takes customers' messages.", seen.bridged_at)
    return Stage("Bridged", Verdict.UNSEEN, "No customer's message has reached Amazon Connect yet.")


def _delivered(seen: Evidence) -> Stage:
    if seen.failed_at and (seen.sent_at is None or seen.failed_at > seen.sent_at):
        return Stage("Delivered", Verdict.BAD, "The latest answer did not reach the customer.", seen.failed_at)
    if seen.sent_at:
        return Stage("Delivered", Verdict.OK, "The messenger takes agents' answers.", seen.sent_at)
    return Stage("Delivered", Verdict.UNSEEN, "No answer has gone to a customer yet.")


def _state(seen: Evidence, stages: Sequence[Stage], points: Sequence[Point], now: datetime) -> State:
    bad = {stage.name for stage in stages if stage.verdict is Verdict.BAD}
    failing = [point for point in points if not point.ok]
    states = (
        (not seen.account.enabled, State.OFF),
        (seen.account.paused_since is not None, State.PAUSED),
        (_is_to_reconnect(seen, points, bad, now), State.RECONNECT),
        (bool(failing) or "Signed" in bad or "Bridged" in bad or _is_refused(seen), State.BROKEN),
        (not _heard_at(seen) and not points and not _was_called(seen), State.NOT_SET_UP),
        (not _heard_at(seen), State.WAITING),
        (bool(bad), State.DEGRADED),
        (_is_quiet(seen, now), State.QUIET),
    )
    return next((state for holds, state in states if holds), State.LIVE)


def _heard_at(seen: Evidence) -> datetime | None:
    """Return when a customer was last heard. Webhooks may have been let go when their days were over."""
    return seen.webhook_at or seen.bridged_at


def _was_called(seen: Evidence) -> bool:
    return bool(seen.health and (seen.health.handshake_at or seen.health.rejected_at))


def _is_to_reconnect(seen: Evidence, points: Sequence[Point], bad: Collection[str], now: datetime) -> bool:
    expired = seen.health is not None and seen.health.expires_at is not None and seen.health.expires_at <= now
    refused = bool(points) and not points[0].ok
    failed = "Delivered" in bad and seen.failure[0] == "auth"
    return expired or refused or failed or (_is_refused(seen) and _trouble(seen) == "auth")


def _is_refused(seen: Evidence) -> bool:
    return bool(seen.check and seen.check.refused)


def _trouble(seen: Evidence) -> str:
    """Return the class of what the provider last said when it was asked for messages, "" if it answered."""
    return seen.check.trouble.partition(":")[0] if seen.check else ""


def _is_quiet(seen: Evidence, now: datetime) -> bool:
    heard_at = _heard_at(seen)
    if not heard_at or (seen.webhook_at and seen.longest_silence is None):
        return False
    return now - heard_at > max(2 * (seen.longest_silence or LEAST_SILENCE), LEAST_SILENCE)


def _why(seen: Evidence, stages: Sequence[Stage], points: Sequence[Point]) -> Explanation | None:
    """Explain the first thing that is wrong, in the order in which a message meets it."""
    kind, bad = seen.account.kind, {stage.name for stage in stages if stage.verdict is Verdict.BAD}
    if failing := next((point for point in points if not point.ok), None):
        return Explanation(
            happened=f"{failing.name}: {failing.said}",
            cause=_difference(failing) or "The messenger's own words are above.",
            fix=failing.fix,
            again="Then run the checks again.",
            whose="yours",
            code=failing.code,
        )
    if "Signed" in bad and seen.health:
        return explain(seen.health.rejected_code, kind=kind)
    if "Bridged" in bad:
        return explain(seen.waits_for or "connect_unreachable", kind=kind, words=seen.waits_words)
    if "Delivered" in bad:
        code, provider_code, words = seen.failure
        return explain(code, kind=kind, provider_code=provider_code, words=words)
    return explain(_trouble(seen), kind=kind, words=seen.check.trouble) if seen.check and seen.check.refused else None


def _difference(point: Point) -> str:
    return f"Theirs: {point.theirs}. Ours: {point.ours}." if point.theirs else ""


def _notice(seen: Evidence, now: datetime) -> str:
    return " ".join(filter(None, (_ending(seen, now), _news(seen, now))))


def _news(seen: Evidence, now: datetime) -> str:
    """Return what the provider told of the account lately, and what it means if another app has its customers."""
    health = seen.health
    if health is None or not health.news or health.news_at is None or health.news_at < now - timedelta(hours=HOURS):
        return ""
    told = f"{health.news[:1].upper()}{health.news[1:]} ({timezone.localtime(health.news_at):%Y-%m-%d %H:%M})."
    if not any(words in health.news for words in ("another app answers", "took a customer over")):
        return told
    return (
        f"{told} Such customers reach no agent here: in the Page's settings, under conversation routing, choose which "
        "app answers."
    )


def _ending(seen: Evidence, now: datetime) -> str:
    ends = seen.health.expires_at if seen.health else None
    if ends is None or ends > now + WARNED:
        return ""
    when = timezone.localtime(ends)
    if ends <= now:
        return f"A token or permission ended on {when:%Y-%m-%d %H:%M}: replace the credentials."
    return f"A token or permission ends on {when:%Y-%m-%d %H:%M}: replace the credentials before."


def _evidence(accounts: Sequence[ChannelAccount]) -> list[Evidence]:
    ids = [account.pk for account in accounts]
    health = {one.account_id: one for one in AccountHealth.objects.filter(account__in=ids)}
    checks = {one.account_id: one for one in InboundCheck.objects.filter(account__in=ids)}
    webhooks = {row[0]: row[1:] for row in _rows(WEBHOOKS, ids)}
    messages = {row[0]: row[1:] for row in _rows(MESSAGES, ids)}
    waiting = {row[0]: row[1:] for row in _rows(WAITING, ids)}
    hours = _by_hour(ids)
    failed = _failures([row[-1] for row in messages.values() if row[-1]])
    return [
        Evidence(
            account=account,
            health=health.get(account.pk),
            check=checks.get(account.pk),
            by_hour=hours[account.pk],
            **_of_webhooks(webhooks.get(account.pk)),
            **_of_messages(messages.get(account.pk), failed),
            **_of_waiting(waiting.get(account.pk)),
        )
        for account in accounts
    ]


def _of_webhooks(row: Any) -> dict[str, Any]:
    at, state, reason, longest = row or (None, "", "", None)
    return {"webhook_at": at, "webhook_state": state or "", "webhook_reason": reason or "", "longest_silence": longest}


def _of_messages(row: Any, failed: Mapping[uuid.UUID, tuple[str, str, str]]) -> dict[str, Any]:
    if row is None:
        return {}
    names = ("bridged_at", "sent_at", "failed_at", "failures")
    return {**dict(zip(names, row, strict=False)), "failure": failed.get(row[-1], ("", "", ""))}


def _of_waiting(row: Any) -> dict[str, Any]:
    return dict(zip(("waiting_since", "waits_for", "waits_words"), row or (None, "", ""), strict=True))


def _by_hour(ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, tuple[int, ...]]:
    """Return for each account how many webhooks came in each of the last 24 hours, the oldest first."""
    counts = {one: [0] * HOURS for one in ids}
    for account, ago, count in _rows(BY_HOUR, ids):
        if ago < HOURS:
            counts[account][HOURS - 1 - ago] = count
    return {account: tuple(hours) for account, hours in counts.items()}


def _failures(messages: Sequence[uuid.UUID]) -> dict[uuid.UUID, tuple[str, str, str]]:
    return {row[0]: (row[1], row[2], row[3]) for row in _rows(FAILURES, messages)}


def _rows(query: str, ids: Sequence[uuid.UUID]) -> list[Any]:
    given: dict[str, Any] = {
        "ids": list(ids),
        "sent": ["accepted", "delivered", "read"],
        "person": sorted(NEEDS_A_PERSON),
    }
    with connection.cursor() as cursor:
        cursor.execute(query, given)
        return list(cursor.fetchall())
