"""Numbers by e-mail, every day or week: tiles in words, each as CSV, and a link to the overview.

Which tiles a report has is declared with each of them: see tiles/registry.py.
"""

from __future__ import annotations

import io
import logging
from datetime import datetime

from django.conf import settings
from django.core.mail import EmailMessage
from django.http import QueryDict
from django.urls import reverse
from django.utils import timezone

from analytics import formatting
from analytics.dashboards.access import allowed, orphaned, reachable, redacted, visible
from analytics.dashboards.exports import tile_lines, written
from analytics.models import Export, Report
from analytics.queries.filters import parse
from analytics.rollups.time_buckets import local
from analytics.tiles import catalogue
from analytics.tiles.dashboard_data import DashboardData
from analytics.tiles.registry import REPORT
from analytics.tiles.tile import State, Tile
from people.privacy import Sight

log = logging.getLogger(__name__)


class NobodyLeft(Exception):
    """Everybody who was to get a report is deactivated."""


def due(report: Report, now: datetime) -> bool:
    """Return whether it is the report's hour, or was today, and it has not been sent since."""
    local_now = local(now)
    if report.weekday is not None and local_now.weekday() != report.weekday:
        return False
    if local_now.hour < report.hour:
        return False
    return report.sent_at is None or local(report.sent_at).date() < local_now.date()


def send_due() -> int:
    """Send what is due; return how many went out. A worker claims a report before it sends it, so it goes out once.

    Nothing goes out for an owner who is deactivated, or may not see the dashboards any more.
    """
    now, sent = timezone.now(), 0
    for report in Report.objects.select_related("owner"):
        before = report.sent_at
        if why := orphaned(report.owner):
            trouble = f"Not sent: {why}. Whoever opens it and saves it takes it over."
            Report.objects.filter(pk=report.pk).exclude(trouble=trouble).update(trouble=trouble)
        elif due(report, now) and Report.objects.filter(pk=report.pk, sent_at=before).update(sent_at=now):
            sent += _send(report, now, before)
    return sent


def _send(report: Report, now: datetime, before: datetime | None) -> bool:
    try:
        _post(mail_of(report, now))
    except Exception as failure:  # noqa: BLE001 - it says so, and is tried again
        log.warning("report %s was not sent: %s", report.pk, type(failure).__name__)
        trouble = {"sent_at": before, "trouble": f"{local(now):%Y-%m-%d %H:%M}: {type(failure).__name__}"}
        Report.objects.filter(pk=report.pk).update(**trouble)
        return False
    Report.objects.filter(pk=report.pk).update(trouble="")
    Export.objects.create(by=report.owner.get_username(), what=f"report {report.name}", query=report.query)
    return True


def _post(mail: EmailMessage) -> None:
    if not mail.to:
        raise NobodyLeft
    mail.send()


def mail_of(report: Report, now: datetime) -> EmailMessage:
    """Write a report, as its owner may see the numbers; without words of customers."""
    data = DashboardData(allowed(report.owner, parse(QueryDict(report.query).dict(), now)))
    tiles = [
        redacted(catalogue.make(key, data), Sight.NONE) for key in visible(report.owner, catalogue.keys_on(REPORT))
    ]
    address = f"{settings.PUBLIC_BASE_URL}{reverse('dashboards:overview')}?{report.query}"
    span = f"{formatting.hour(data.filter.start)} to {formatting.hour(min(data.filter.end, now))}"
    lines = [f"{report.name}: {span}, {formatting.zone_name(now)}", "", *(_line(tile) for tile in tiles), "", address]
    subject = " ".join(f"[Parley] {report.name}".split())[:100]
    mail = EmailMessage(subject, "\n".join(lines), to=reachable(report.emails.split()))
    for tile in tiles:
        content = io.StringIO()
        content.writelines(written(tile_lines(tile, data)))
        mail.attach(f"{tile.key}.csv", content.getvalue(), "text/csv")
    return mail


def _line(tile: Tile) -> str:
    if tile.state is not State.OK:
        return f"{tile.title}: {tile.state}"
    if tile.value is None:
        best = ", ".join(f"{row.label} {row.shown[0]}" for row in tile.rows[:5])
        return f"{tile.title}: {best or formatting.NOTHING}"
    change = f", {tile.change} {tile.verdict}".rstrip() if tile.change else ""
    small = ", small sample" if tile.small else ""
    return f"{tile.title}: {tile.shown}{change} (n {tile.n}{small})"
