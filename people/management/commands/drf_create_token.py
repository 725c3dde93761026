"""The name that `createtoken` had before: scripts go on working."""

from __future__ import annotations

from people.management.commands.createtoken import Command

__all__ = ["Command"]
