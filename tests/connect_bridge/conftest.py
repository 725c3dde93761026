"""Fixtures for tests of the bridge's apps."""

from __future__ import annotations

from tests.connect_bridge.outbox.kit import heard, messenger

__all__ = ["heard", "messenger"]
