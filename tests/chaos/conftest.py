"""Fixtures for tests of the checker."""

from __future__ import annotations

import pytest

from tests.chaos.checker_kit import Story


@pytest.fixture
def story() -> Story:
    return Story()
