"""Explains an account's status in words: what is wrong now, and what will be wrong soon."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from django.utils import timezone

from channels_app.accounts.explanations import Explanation, explain
from channels_app.accounts.provider_checks import Point
from connect_bridge.operations.account_evidence import Evidence

#: How long before a token expires the page warns of it.
WARN_BEFORE = timedelta(days=7)
#: How long the page shows what the provider announced about the account.
NEWS_SHOWN = timedelta(hours=24)
#: Words in a provider's news that mean: another app has some of the Page's customers now.
_OTHER_APP = ("another app answers", "took a customer over")


def reason_of(evidence: Evidence, bad: Collection[str], points: Sequence[Point]) -> Explanation | None:
    """Explain the first thing that is wrong, in the order in which a message meets it; None if nothing is.

    `bad` are the names of the stages that are not well.
    """
    kind = evidence.account.kind
    if failing := next((point for point in points if not point.ok), None):
        return _of_point(failing)
    if "Signed" in bad and evidence.health:
        return explain(evidence.health.rejected_code, kind=kind)
    if "Bridged" in bad:
        return explain(evidence.waiting_code or "connect_unreachable", kind=kind, words=evidence.waiting_words)
    if "Delivered" in bad:
        failure = evidence.failure
        return explain(failure.code, kind=kind, provider_code=failure.provider_code, words=failure.words)
    if evidence.check and evidence.is_refused:
        return explain(evidence.check_error, kind=kind, words=evidence.check.trouble)
    return None


def _of_point(point: Point) -> Explanation:
    difference = f"Theirs: {point.theirs}. Ours: {point.ours}." if point.theirs else ""
    return Explanation(
        happened=f"{point.name}: {point.said}",
        cause=difference or "The messenger's own words are above.",
        fix=point.fix,
        again="Then run the checks again.",
        whose="yours",
        code=point.code,
    )


def notice_of(evidence: Evidence, now: datetime) -> str:
    """Return what is worth knowing although the account works: a token that ends soon, news from the provider."""
    return " ".join(filter(None, (_expiry(evidence, now), _news(evidence, now))))


def _news(evidence: Evidence, now: datetime) -> str:
    health = evidence.health
    if health is None or not health.news or health.news_at is None or health.news_at < now - NEWS_SHOWN:
        return ""
    news = f"{health.news[:1].upper()}{health.news[1:]} ({timezone.localtime(health.news_at):%Y-%m-%d %H:%M})."
    if not any(words in health.news for words in _OTHER_APP):
        return news
    return (
        f"{news} Such customers reach no agent here: in the Page's settings, under conversation routing, choose which "
        "app answers."
    )


def _expiry(evidence: Evidence, now: datetime) -> str:
    ends = evidence.health.expires_at if evidence.health else None
    if ends is None or ends > now + WARN_BEFORE:
        return ""
    when = timezone.localtime(ends)
    if ends <= now:
        return f"A token or permission ended on {when:%Y-%m-%d %H:%M}: replace the credentials."
    return f"A token or permission ends on {when:%Y-%m-%d %H:%M}: replace the credentials before."
