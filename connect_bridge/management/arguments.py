"""Types of command-line arguments: times as people write them, and ids."""

from __future__ import annotations

import uuid
from argparse import ArgumentTypeError
from datetime import datetime

from connect_bridge.event_log.replay_log import parse_time


def time_argument(text: str) -> datetime:
    """Return the time that is meant by 90m, 2h, 3d (ago) or a date."""
    try:
        return parse_time(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no time: give 90m, 2h, 3d (ago) or 2026-11-23T14:00") from None


def uuid_argument(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no id: copy it from the admin") from None
