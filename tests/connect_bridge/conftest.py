"""Fixtures for tests of the bridge's apps."""

from __future__ import annotations

from tests.connect_bridge.outbox_kit import messenger

__all__ = ["messenger"]
