"""Queue metrics: what deflection asks before it offers a messenger instead of a wait on the phone."""

from __future__ import annotations

import time
from typing import Any

from sandbox.world.amazon import Amazon
from sandbox.world.aws_errors import AwsError
from sandbox.world.aws_front import Call

#: How long one agent is taken to need for one chat, in seconds.
HANDLE_TIME = 180.0


class Metrics:
    """Real-time metrics from the queue as it is, unless the world was told other values."""

    def __init__(self, amazon: Amazon) -> None:
        self.amazon = amazon

    def current(self, call: Call) -> dict[str, Any]:
        """Answer GetCurrentMetricData: one result, or one for each queue asked for when grouped by QUEUE.

        OLDEST_CONTACT_AGE is in milliseconds when ungrouped and in seconds when grouped, as in Amazon's documents.
        """
        groupings = call.params.get("Groupings") or []
        filters, asked = call.params["Filters"], call.params["CurrentMetrics"]
        self._check(asked, filters, groupings)
        queues = filters.get("Queues") or [""]
        results = []
        for queue in queues if "QUEUE" in groupings else [""]:
            values = self._values(queue, grouped=bool(groupings))
            collections = [{"Metric": metric, "Value": values.get(metric.get("Name", ""))} for metric in asked]
            result: dict[str, Any] = {"Collections": collections}
            if groupings:
                result["Dimensions"] = _dimensions(queue, groupings)
            results.append(result)
        return {"MetricResults": results, "DataSnapshotTime": time.time(), "ApproximateTotalCount": len(results)}

    def historical(self, call: Call) -> dict[str, Any]:
        """Answer GetMetricDataV2 with the values the world was told, else with none: this world has no history."""
        metrics = [
            {"Metric": {"Name": metric.get("Name")}, "Value": self.amazon.metrics.get(metric.get("Name", ""))}
            for metric in call.params["Metrics"]
        ]
        return {"MetricResults": [{"Dimensions": {}, "Collections": metrics}]}

    def _check(self, asked: list[dict[str, str]], filters: dict[str, Any], groupings: list[str]) -> None:
        wait = any(metric.get("Name") == "ESTIMATED_WAIT_TIME" for metric in asked)
        if wait and (
            set(groupings) != {"QUEUE", "CHANNEL"} or not filters.get("Queues") or not filters.get("Channels")
        ):
            raise AwsError(
                "InvalidRequestException",
                "ESTIMATED_WAIT_TIME needs the filters Queues and Channels, grouped by QUEUE and CHANNEL",
            )

    def _values(self, queue: str, *, grouped: bool) -> dict[str, float | None]:
        desk, settings = self.amazon.desk, self.amazon.world.settings
        waiting = [chat for chat in desk.queue() if queue in ("", chat.contact.queue)]
        agents = list(desk.agents.values())
        slots = sum(max(0, settings.chats_per_agent - len(agent.chats)) for agent in agents)
        age = max((time.time() - chat.contact.queued_at for chat in waiting), default=0.0)
        values: dict[str, float | None] = {
            "CONTACTS_IN_QUEUE": len(waiting),
            "OLDEST_CONTACT_AGE": round(age) if grouped else round(age * 1000),
            "ESTIMATED_WAIT_TIME": round(len(waiting) * HANDLE_TIME / slots) if slots else None,
            "AGENTS_ONLINE": len(agents),
            "AGENTS_STAFFED": len(agents),
            "AGENTS_AVAILABLE": sum(desk.has_room(agent) for agent in agents),
            "SLOTS_ACTIVE": sum(len(agent.chats) for agent in agents),
            "SLOTS_AVAILABLE": slots,
        }
        return values | self.amazon.metrics


def _dimensions(queue: str, groupings: list[str]) -> dict[str, Any]:
    dimensions: dict[str, Any] = {}
    if "QUEUE" in groupings:
        dimensions["Queue"] = {
            "Id": queue,
            "Arn": f"arn:aws:connect:us-east-1:000000000000:instance/sandbox/queue/{queue}",
        }
    if "CHANNEL" in groupings:
        dimensions["Channel"] = "CHAT"
    return dimensions
