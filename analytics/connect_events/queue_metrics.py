"""How Connect's queues are right now, by GetCurrentMetricData: what a chat's own events cannot tell."""

from __future__ import annotations

import logging

from django.conf import settings
from django.utils import timezone

from analytics.models import QueueNow
from connect_bridge.aws import AwsError, aws_errors, shared_client

log = logging.getLogger(__name__)

#: Metric → field and unit. Grouped by queue, ages are in seconds (Amazon Connect API Reference, GetCurrentMetricData).
METRICS = {
    "CONTACTS_IN_QUEUE": ("waiting", "COUNT"),
    "OLDEST_CONTACT_AGE": ("oldest_seconds", "SECONDS"),
    "AGENTS_AVAILABLE": ("agents_available", "COUNT"),
    "SLOTS_AVAILABLE": ("slots_available", "COUNT"),
}
#: Queues of one call.
MOST = 100


def fetch() -> int:
    """Ask for the configured queues and write down the answers; return how many queues answered."""
    queues = settings.CONNECT_QUEUES[:MOST]
    try:
        connect = shared_client("connect")
        with aws_errors("GetCurrentMetricData"):
            answer = connect.get_current_metric_data(
                InstanceId=settings.CONNECT_INSTANCE_ID,
                Filters={"Queues": queues, "Channels": ["CHAT"]},
                Groupings=["QUEUE", "CHANNEL"],
                CurrentMetrics=[{"Name": name, "Unit": unit} for name, (_, unit) in METRICS.items()],
            )
    except AwsError as failure:
        log.warning("Connect does not tell how its queues are: %s", failure.kind)
        return 0
    results = answer.get("MetricResults", [])
    for result in results:
        queue = result["Dimensions"]["Queue"]["Id"]
        values = {METRICS[metric["Metric"]["Name"]][0]: metric.get("Value") for metric in result["Collections"]}
        QueueNow.objects.update_or_create(
            instance_id=settings.CONNECT_INSTANCE_ID, queue_id=queue, defaults={**values, "at": timezone.now()}
        )
    return len(results)
