"""What commands are given on the command line, read: times as people write them, ids."""

from __future__ import annotations

import uuid
from argparse import ArgumentTypeError
from datetime import datetime

from connect_bridge.event_log.replay_log import moment


def since_when(text: str) -> datetime:
    """Return the time that is meant by 90m, 2h, 3d (ago) or a date."""
    try:
        return moment(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no time: give 90m, 2h, 3d (ago) or 2026-11-23T14:00") from None


def an_id(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no id: copy it from the admin") from None
