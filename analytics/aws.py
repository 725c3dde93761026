"""AWS clients for the rare calls: one for each service and process, one attempt for each call."""

from __future__ import annotations

import threading
from typing import Any

from botocore.config import Config

from connect_bridge.aws import aws_client

SETTINGS = Config(connect_timeout=4, read_timeout=15, retries={"total_max_attempts": 1}, max_pool_connections=4)
_made: dict[str, Any] = {}
_making = threading.Lock()


def client(service: str) -> Any:
    """Return the client of a service, made on first use: loading its model is slow."""
    with _making:
        if service not in _made:
            _made[service] = aws_client(service, SETTINGS)
        return _made[service]


def forget() -> None:
    """Make clients anew, as after a change of the environment."""
    with _making:
        _made.clear()
