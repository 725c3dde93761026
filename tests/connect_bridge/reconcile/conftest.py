"""Fixtures for tests of reconcile."""

from __future__ import annotations

from tests.connect_bridge.reconcile.kit import silent, world

__all__ = ["silent", "world"]
