from __future__ import annotations

import pytest

from connect_bridge.operations import status
from tests.factories import (
    BridgeFactory,
)


@pytest.fixture
def processes() -> None:
    """Let a bridge and a worker run."""
    BridgeFactory()
    status.record_pulse()
