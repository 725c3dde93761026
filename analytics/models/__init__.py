"""What was computed from conversations. Most of it can be computed again from the messages."""

from __future__ import annotations

from analytics.models.alerts import AlertEvent, AlertRule, Report
from analytics.models.connect_events import ContactDetail, QueueNow
from analytics.models.dashboards import Export, SavedView
from analytics.models.rollups import Change, ChatFact, Rollup, RollupBin, RollupState
from analytics.models.sentiment import Phrase, Sentiment, Spending

__all__ = [
    "AlertEvent",
    "AlertRule",
    "Change",
    "ChatFact",
    "ContactDetail",
    "Export",
    "Phrase",
    "QueueNow",
    "Report",
    "Rollup",
    "RollupBin",
    "RollupState",
    "SavedView",
    "Sentiment",
    "Spending",
]
