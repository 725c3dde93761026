"""Named places at which a test may kill, stall or break a process; in production they do nothing at all.

The names are those of the failure model in docs/reliability.md: I for inbound, O for outbound, D for the copy in
DynamoDB. A process obeys PARLEY_FAILPOINTS, a list such as "I6:exit:2,O5:sleep:1:25": exit at once at the second pass
of I6; sleep for 25 seconds at the first pass of O5. `error` raises the exception that the place is prepared for.
Settings refuse the variable unless Parley runs for this machine alone.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

log = logging.getLogger(__name__)

#: Where each one is.
PLACES: Mapping[str, str] = {
    "I1": "a webhook is read, and not committed",
    "I2": "a webhook is committed, and not answered",
    "I3": "the intake is about to open a database connection",
    "I4": "an entry is being turned into a message",
    "I5": "a bridge is told that something came in",
    "I6": "Connect has started a chat, and we have not written it down",
    "I7": "a chat's tokens are written down, and nobody has connected",
    "I8": "Connect has taken a message, and we have not written it down",
    "I9": "Connect has said that we are too fast",
    "I10": "Connect has refused our connection's token",
    "I11": "a part of a message is with Connect, the rest is not",
    "I12": "a placeholder takes the place of what cannot be shown",
    "O1": "a chat's websocket is lost",
    "O2": "a chat's transcript is about to be compared",
    "O3": "a new websocket is open, and an old one too if there was one",
    "O4": "a conversation is claimed, and nothing of it is loaded",
    "O4b": "what an agent said is committed, and no worker has been told",
    "O5": "a send is claimed, and its channel is not ready",
    "O6": "a send is claimed and ready, and has not begun",
    "O7": "the messenger has taken a message, and we have not written it down",
    "O8": "the messenger has refused a message, and we have not written it down",
    "O9": "a receipt is about to be parked",
    "O10": "a chat has ended, and we have not written it down",
    "O11": "the database did not take the result of a send",
    "O12": "a channel works on a message",
    "D1": "DynamoDB has taken copies of messages, and we have not written it down",
}
#: The exit code of `kill -9`.
KILLED = 137
#: Seconds to sleep by default: longer than a bridge's lease and a claim.
SLEEP_SECONDS = 25.0


class FailpointReached(Exception):
    """Raised by the action `error` where the place names nothing better."""


@dataclass(frozen=True, slots=True)
class Action:
    """What to do at one pass of one place."""

    name: str
    verb: str
    passage: int = 1
    seconds: float = SLEEP_SECONDS


def parse(text: str) -> list[Action]:
    """Read PARLEY_FAILPOINTS. Raises ImproperlyConfigured, naming what is wrong."""
    return [_action(item.strip()) for item in text.split(",") if item.strip()]


def _action(text: str) -> Action:
    name, _, rest = text.partition(":")
    verb, *numbers = rest.split(":")
    if name not in PLACES or verb not in ("exit", "sleep", "error"):
        raise ImproperlyConfigured(f"PARLEY_FAILPOINTS: {text!r} is not NAME:exit|sleep|error[:PASS[:SECONDS]]")
    try:
        return Action(name, verb, *(kind(number) for kind, number in zip((int, float), numbers, strict=False)))
    except ValueError:
        raise ImproperlyConfigured(f"PARLEY_FAILPOINTS: {text!r} has a pass or seconds that are no number") from None


class Failpoints:
    """Counts the passes of every place and acts when it is time. Any thread may call."""

    def __init__(self, actions: list[Action]) -> None:
        self._actions = actions
        self._passes: dict[str, int] = {}
        self._lock = threading.Lock()

    def __call__(self, name: str, error: Callable[[str], Exception] = FailpointReached) -> None:
        with self._lock:
            passage = self._passes[name] = self._passes.get(name, 0) + 1
        for action in self._actions:
            if (action.name, action.passage) == (name, passage):
                self._act(action, error)

    def _act(self, action: Action, error: Callable[[str], Exception]) -> None:
        log.warning("failpoint %s: %s at pass %d", action.name, action.verb, action.passage)
        if action.verb == "exit":
            os._exit(KILLED)
        if action.verb == "error":
            raise error(f"failpoint {action.name}")
        time.sleep(action.seconds)


def _nothing(_name: str, _error: Callable[[str], Exception] = FailpointReached) -> None:
    """Do nothing: this is what every failpoint is unless a test asked for more when the process started."""


failpoint: Callable[..., None] = Failpoints(parse(settings.FAILPOINTS)) if settings.FAILPOINTS else _nothing
