"""What `manage.py doctor` finds, one thing at a time."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was checked. `fix` says what to do unless all is well. Nothing here is a secret."""

    check: str
    level: Level
    said: str
    fix: str = ""
