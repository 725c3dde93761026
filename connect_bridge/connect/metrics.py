"""Counters of what Amazon Connect sends, for Prometheus."""

from __future__ import annotations

from prometheus_client import Counter

#: `where` is what brought the item: a chat's "websocket" or its "transcript".
UNREADABLE_ITEMS = Counter("parley_unreadable_items", "Items of Connect's that could not be read.", ["where"])
