"""What Prometheus reads: the installation's state from the database at every scrape, and this process's counters."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from django.db.models import Count, Max
from prometheus_client import REGISTRY, CollectorRegistry, Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector

from channels_app.models import ChannelAccount, InboundCheck, WebhookDelivery
from connect_bridge.models import OPEN_STATES, Contact, Message
from connect_bridge.operations import stuck
from connect_bridge.operations.status import SystemStatus, read_status


def exposition() -> bytes:
    """Return all metrics in Prometheus' text format. Raises django.db.Error if the database does not answer."""
    registry = CollectorRegistry()
    registry.register(_Product())
    return generate_latest(registry) + generate_latest(REGISTRY)


class _Product(Collector):
    def collect(self) -> Iterator[Metric]:
        status = read_status()
        yield from _queues(status)
        yield from _processes(status)
        yield _open_contacts()
        yield _last_webhooks()
        yield from _inbound_checks()
        yield _refusals()
        yield _stuck()
        yield InfoMetricFamily("parley_build", "The running version.", {"version": _version()})

    def describe(self) -> list[Metric]:
        """Register without collecting: the names are ours alone."""
        return []


def alias(account: uuid.UUID) -> str:
    """Return what tells accounts apart here: the start of the id, with which the way to its webhooks cannot be made."""
    return str(account)[:8]


def _queues(status: SystemStatus) -> Iterator[Metric]:
    age = GaugeMetricFamily("parley_queue_oldest_age_seconds", "Age of the oldest open row.", labels=["queue"])
    rows = GaugeMetricFamily("parley_queue_rows", "Open rows.", labels=["queue"])
    age.add_metric(["intake"], status.intake_age)
    age.add_metric(["relay"], status.relay_age)
    age.add_metric(["outbox"], status.outbox_age)
    rows.add_metric(["intake"], status.intake_rows)
    rows.add_metric(["relay"], status.relay_rows)
    rows.add_metric(["outbox"], status.outbox_rows)
    yield from (age, rows)


def _processes(status: SystemStatus) -> Iterator[Metric]:
    silence = GaugeMetricFamily("parley_heartbeat_age_seconds", "Since it was last heard of.", labels=["process"])
    for process, age in (("bridge", status.bridge_age), ("worker", status.worker_age)):
        silence.add_metric([process], float("inf") if age is None else age)
    yield silence


def _open_contacts() -> Metric:
    gauge = GaugeMetricFamily("parley_contacts_open", "Chats that are open at Amazon Connect.", labels=["channel"])
    counted = (
        Contact.objects.filter(state__in=OPEN_STATES).values_list("conversation__account__kind").annotate(Count("id"))
    )
    for kind, count in counted.order_by():
        gauge.add_metric([kind], count)
    return gauge


def _last_webhooks() -> Metric:
    name = "parley_last_webhook_timestamp_seconds"
    gauge = GaugeMetricFamily(name, "When the account's last webhook came.", labels=["channel", "account"])
    for account in ChannelAccount.objects.only("id", "kind"):  # one index look-up each; there are few accounts
        last = WebhookDelivery.objects.filter(account=account).aggregate(last=Max("received_at"))["last"]
        if last is not None:
            gauge.add_metric([account.kind, alias(account.id)], last.timestamp())
    return gauge


def _inbound_checks() -> Iterator[Metric]:
    """Read what workers counted in the database, so that all processes answer alike, whichever asked."""
    gaps = CounterMetricFamily("parley_inbound_gaps", "Messages that came only because we asked.", labels=["channel"])
    name = "parley_inbound_trouble"
    about = "1 if the provider or our credentials lack something, see the admin."
    trouble = GaugeMetricFamily(name, about, labels=["channel", "account"])
    missed: dict[str, int] = {}
    for check in InboundCheck.objects.select_related("account").only("account__kind", "found", "trouble"):
        missed[check.account.kind] = missed.get(check.account.kind, 0) + check.found
        trouble.add_metric([check.account.kind, alias(check.account_id)], bool(check.trouble))
    for kind, count in sorted(missed.items()):
        gaps.add_metric([kind], count)
    yield from (gaps, trouble)


def _refusals() -> Metric:
    """Count by code what Amazon Connect has refused: `connect_set_up` is for a person to mend."""
    about = "Customers' messages that Amazon Connect was asked to take and has not, by why."
    gauge = GaugeMetricFamily("parley_connect_refused_rows", about, labels=["code"])
    waiting = Message.objects.filter(direction="in", status="stored").exclude(error_code="")
    for code, count in waiting.values_list("error_code").annotate(Count("id")).order_by("error_code"):
        gauge.add_metric([code], count)
    return gauge


def _stuck() -> Metric:
    gauge = GaugeMetricFamily("parley_stuck_rows", "Rows that have been open for over a minute.", labels=["kind"])
    for kind, count in stuck.counts().items():
        gauge.add_metric([kind], count)
    return gauge


def _version() -> str:
    try:
        return version("parley")
    except PackageNotFoundError:  # run from a clone, as `make demo` does
        return "clone"
