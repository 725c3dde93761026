"""Tells people that an alert fires or has stopped: by e-mail, webhook and SNS.

Each of these channels is tried until it works, or for some hours; one that worked is not used again for the same event.
A rule whose owner is deactivated, or may not see dashboards any more, sends nothing: somebody who left may have chosen
where it goes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.mail import send_mail
from django.urls import reverse
from django.utils import timezone

from analytics import formatting
from analytics.alerts import metrics
from analytics.alerts.metrics import METRICS
from analytics.alerts.outgoing_addresses import Forbidden, NotTaken, post_json
from analytics.alerts.rules import filter_of
from analytics.dashboards.access import orphaned, reachable
from analytics.models import AlertEvent, AlertRule
from analytics.rollups.time_buckets import HOUR, hour_of
from analytics.tiles import chat_queries
from analytics.tiles.dashboard_data import DashboardData
from connect_bridge.aws import AwsError, aws_errors, shared_client

log = logging.getLogger(__name__)

MOST_ATTEMPTS = 10
#: Seconds before the second attempt; doubled each time.
FIRST_WAIT = 15
#: Hours of the little chart in a message, and its steps.
CHART_HOURS = 24
BLOCKS = "▁▂▃▄▅▆▇█"
WORST = 3


def deliver_due() -> int:
    """Send what is due; return how many events are settled."""
    settled = 0
    for event in AlertEvent.objects.filter(due_at__lte=timezone.now()).select_related("rule__owner")[:100]:
        settled += deliver(event)
    return settled


def deliver(event: AlertEvent) -> bool:
    """Try every channel that has not worked yet; return whether nothing is left to do."""
    same_event = AlertEvent.objects.filter(pk=event.pk, due_at=event.due_at)
    wait = timedelta(seconds=FIRST_WAIT * 2**event.attempts)
    if not same_event.update(due_at=timezone.now() + wait, attempts=event.attempts + 1):
        return False  # another worker has it
    if why := orphaned(event.rule.owner):
        AlertEvent.objects.filter(pk=event.pk).update(due_at=None, trouble=f"{why}: take the alert over")
        return True
    delivered, errors = list(event.told), []
    for channel, send in channels(event.rule):
        if channel not in delivered:
            try:
                send(message_of(event))
                delivered.append(channel)
            except Exception as failure:  # noqa: BLE001 - the other channels are tried, this one again later
                log.warning("alert %s was not told by %s: %s", event.rule_id, channel, type(failure).__name__)
                errors.append(f"{channel}: {_error_text(failure)}")
    over = not errors or event.attempts + 1 >= MOST_ATTEMPTS
    changes: dict[str, Any] = {"told": delivered, "trouble": "; ".join(errors)[:300]}
    AlertEvent.objects.filter(pk=event.pk).update(**changes, **({"due_at": None} if over else {}))
    return over


def _error_text(failure: Exception) -> str:
    """Return why a channel failed, for people: our own message, or just the type of any other error."""
    if isinstance(failure, NotTaken):
        return f"answered {failure}"
    if isinstance(failure, AwsError):
        return failure.kind
    return str(failure) if isinstance(failure, Forbidden) else type(failure).__name__


def channels(rule: AlertRule) -> Iterator[tuple[str, Callable[[Mapping[str, Any]], None]]]:
    """Yield the channels of a rule, each with the function that sends."""
    if rule.emails.split():
        yield "e-mail", lambda message: _mail(rule, message)
    if rule.webhook_url:
        yield "webhook", lambda message: _post(rule, message)
    if rule.sns_topic:
        yield "SNS", lambda message: _publish(rule, message)


def message_of(event: AlertEvent) -> dict[str, Any]:
    """Return what is sent: the number, its bound, the last day as a line of blocks, and links. No customer's words."""
    rule, metric = event.rule, METRICS[event.rule.metric]
    chosen = filter_of(rule, event.at)
    base = settings.PUBLIC_BASE_URL
    worst = chat_queries.worst(DashboardData(chosen), WORST)
    return {
        "rule": rule.name,
        "state": event.state,
        "at": event.at.isoformat(),
        "metric": rule.metric,
        "title": metric.title,
        "value": event.value,
        "shown": formatting.written(event.value, metric.unit),
        "unit": metric.unit,
        "n": event.n,
        "of": metric.of,
        "hours": rule.hours,
        "side": rule.get_side_display(),
        "threshold": rule.threshold,
        "threshold_shown": formatting.written(rule.threshold, metric.unit),
        "chart": _chart(rule, event.at),
        "filters": rule.query,
        "dashboard": f"{base}{reverse('dashboards:overview')}?{rule.query}",
        "worst": [f"{base}{reverse('dashboards:chat', args=[chat.contact])}#lowest" for chat in worst],
        "mute": f"{base}{reverse('dashboards:alert', args=[rule.pk])}#mute",
    }


def text_of(message: Mapping[str, Any]) -> str:
    """Write the message for people."""
    lines = [
        f"{message['rule']}: {message['state'].replace('_', ' ')}",
        "",
        f"{message['title']} is {message['shown']} over {message['hours']} h, from {message['n']} {message['of']}.",
        f"It fires {message['side']} {message['threshold_shown']}.",
        f"Last {CHART_HOURS} hours: {message['chart']}",
        "",
        f"Dashboard: {message['dashboard']}",
        *(f"Most negative: {address}" for address in message["worst"]),
        f"Mute: {message['mute']}",
    ]
    return "\n".join(lines)


def _chart(rule: AlertRule, now: datetime) -> str:
    start = hour_of(now) - CHART_HOURS * HOUR
    history = metrics.history(METRICS[rule.metric], filter_of(rule, now), rule.hours, start)
    values = [history[at][0] for at in sorted(history)]
    real = [value for value in values if value is not None]
    if not real:
        return "no values"
    low, spread = min(real), (max(real) - min(real)) or 1
    return "".join(
        "·" if value is None else BLOCKS[int((value - low) / spread * (len(BLOCKS) - 1))] for value in values
    )


def _subject(message: Mapping[str, Any]) -> str:
    """Return the subject in one line: a line break would end the header."""
    return " ".join(f"[Parley] {message['rule']}: {message['state']}".replace("_", " ").split())[:100]


def _mail(rule: AlertRule, message: Mapping[str, Any]) -> None:
    addresses = reachable(rule.emails.split())
    if not addresses:
        raise Forbidden("nobody gets it: all who were to be told are deactivated")
    send_mail(_subject(message), text_of(message), None, addresses)


def _post(rule: AlertRule, message: Mapping[str, Any]) -> None:
    post_json(rule.webhook_url, message)


def _publish(rule: AlertRule, message: Mapping[str, Any]) -> None:
    subject = _subject(message).encode("ascii", "replace").decode()  # SNS takes no other letters in a subject
    with aws_errors("Publish"):
        shared_client("sns").publish(TopicArn=rule.sns_topic, Subject=subject, Message=text_of(message))
