"""Whether an account works, judged from what its messages left in the database: five stages, one state, and why.

1. Reachable: somebody called our address.
2. Signed: the secret is the right one.
3. Matched: it was meant for this account.
4. Bridged: Amazon Connect took it.
5. Delivered: the messenger took an answer.

Nothing here asks the provider or Amazon.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from django.utils import timezone

from channels_app.accounts.explanations import Explanation
from channels_app.accounts.provider_checks import Point, points_of
from channels_app.models import ChannelAccount
from connect_bridge.operations.account_evidence import Evidence, read_evidence
from connect_bridge.operations.account_reasons import notice_of, reason_of

#: A message that Connect has not taken for so long is no longer just on its way.
STUCK = timedelta(seconds=60)
#: An account is called quiet after twice its longest silence of late, and at least this.
LEAST_SILENCE = timedelta(hours=6)


class State(StrEnum):
    """The state of an account, as pages show it."""

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
class AccountStatus:
    """The status of one account. `why` explains a state that is not well; `notice` warns of what will not be well."""

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


def account_statuses(accounts: Iterable[ChannelAccount]) -> list[AccountStatus]:
    """Return the status of each account. A fixed number of queries, however many accounts."""
    return [status_of(evidence) for evidence in read_evidence(list(accounts))]


def status_of(evidence: Evidence) -> AccountStatus:
    """Return the status that follows from the evidence."""
    now = timezone.now()
    stages = (
        _reachable(evidence),
        _signed(evidence),
        _matched(evidence),
        _bridged(evidence, now),
        _delivered(evidence),
    )
    bad = {stage.name for stage in stages if stage.verdict is Verdict.BAD}
    points = tuple(points_of(evidence.health))
    return AccountStatus(
        account=evidence.account,
        state=_state(evidence, bad, points, now),
        stages=stages,
        points=points,
        webhook_at=evidence.webhook_at,
        sent_at=evidence.sent_at,
        failures=evidence.failures,
        by_hour=evidence.by_hour,
        why=reason_of(evidence, bad, points),
        notice=notice_of(evidence, now),
    )


def _reachable(evidence: Evidence) -> Stage:
    health = evidence.health
    calls = [at for at in (evidence.webhook_at, health and health.handshake_at, health and health.rejected_at) if at]
    if calls:
        return Stage("Reachable", Verdict.OK, "Our address is called.", max(calls))
    return Stage("Reachable", Verdict.UNSEEN, "Nobody has called our address yet.")


def _signed(evidence: Evidence) -> Stage:
    health, at = evidence.health, evidence.webhook_at
    if health and health.rejected_at and health.rejected_code != "bad_handshake":
        accepted_at = max(filter(None, (at, health.handshake_at)), default=None)
        if accepted_at is None or health.rejected_at > accepted_at:
            return Stage("Signed", Verdict.BAD, "What comes is not signed with our secret.", health.rejected_at)
    if at:
        return Stage("Signed", Verdict.OK, "What comes is signed with our secret.", at)
    return Stage("Signed", Verdict.UNSEEN, "No signed webhook yet.")


def _matched(evidence: Evidence) -> Stage:
    at = evidence.webhook_at
    if not at:
        return Stage("Matched", Verdict.UNSEEN, "No webhook for this account yet.")
    if evidence.webhook_state == "quarantined":
        return Stage("Matched", Verdict.BAD, f"The latest was set aside: {evidence.webhook_reason}.", at)
    return Stage("Matched", Verdict.OK, "What comes is for this account.", at)


def _bridged(evidence: Evidence, now: datetime) -> Stage:
    since = evidence.waiting_since
    if since and now - since > STUCK and evidence.account.paused_since is None:
        return Stage("Bridged", Verdict.BAD, "Amazon Connect has not taken a customer's message.", since)
    if evidence.bridged_at:
        return Stage("Bridged", Verdict.OK, "Amazon Connect takes customers' messages.", evidence.bridged_at)
    return Stage("Bridged", Verdict.UNSEEN, "No customer's message has reached Amazon Connect yet.")


def _delivered(evidence: Evidence) -> Stage:
    failed_at, sent_at = evidence.failed_at, evidence.sent_at
    if failed_at and (sent_at is None or failed_at > sent_at):
        return Stage("Delivered", Verdict.BAD, "The latest answer did not reach the customer.", failed_at)
    if sent_at:
        return Stage("Delivered", Verdict.OK, "The messenger takes agents' answers.", sent_at)
    return Stage("Delivered", Verdict.UNSEEN, "No answer has gone to a customer yet.")


def _state(evidence: Evidence, bad: Collection[str], points: Sequence[Point], now: datetime) -> State:
    """Return the first state that fits, the most urgent first."""
    failing = any(not point.ok for point in points)
    states = (
        (not evidence.account.enabled, State.OFF),
        (evidence.account.paused_since is not None, State.PAUSED),
        (_needs_reconnecting(evidence, points, bad, now), State.RECONNECT),
        (failing or "Signed" in bad or "Bridged" in bad or evidence.is_refused, State.BROKEN),
        (not evidence.last_inbound_at and not points and not evidence.was_called, State.NOT_SET_UP),
        (not evidence.last_inbound_at, State.WAITING),
        (bool(bad), State.DEGRADED),
        (_is_quiet(evidence, now), State.QUIET),
    )
    return next((state for fits, state in states if fits), State.LIVE)


def _needs_reconnecting(evidence: Evidence, points: Sequence[Point], bad: Collection[str], now: datetime) -> bool:
    """Say whether the credentials are what is wrong: expired, or refused when checked, sending or asking."""
    expires_at = evidence.health.expires_at if evidence.health else None
    expired = expires_at is not None and expires_at <= now
    failed_check = bool(points) and not points[0].ok
    failed_send = "Delivered" in bad and evidence.failure.code == "auth"
    return expired or failed_check or failed_send or (evidence.is_refused and evidence.check_error == "auth")


def _is_quiet(evidence: Evidence, now: datetime) -> bool:
    at = evidence.last_inbound_at
    if not at or (evidence.webhook_at and evidence.longest_silence is None):
        return False
    return now - at > max(2 * (evidence.longest_silence or LEAST_SILENCE), LEAST_SILENCE)
