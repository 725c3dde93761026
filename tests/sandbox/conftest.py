"""Fixtures for tests of the simulator."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.world.settings import Settings
from tests.sandbox.kit import RunningWorld, running


@pytest.fixture
def aws() -> Iterator[RunningWorld]:
    """Give a simulator without rate limits, and with short waits."""
    with running(Settings(quotas=False, closing_grace=0.2)) as world:
        yield world


@pytest.fixture
def strict() -> Iterator[RunningWorld]:
    """Give a simulator that keeps Amazon's rate limits."""
    with running(Settings()) as world:
        yield world
