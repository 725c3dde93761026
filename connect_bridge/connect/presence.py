"""Who is in a chat: persons by participant, each by the latest event that told of them. Pure.

Connect lets up to five agents and their supervisors into one chat, and tells of each: late, twice and in any order. So
an event counts only against the one before it of the same participant. What a bot or the flow says (SYSTEM,
CUSTOM_BOT) needs nobody to be there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple

#: Roles of persons on Connect's side. A supervisor who looks in is there, and does not serve the customer.
AGENT, SUPERVISOR = "AGENT", "SUPERVISOR"
PERSONS = frozenset({AGENT, SUPERVISOR})
JOINED, LEFT, RENAMED = "joined", "left", "renamed"


class ParticipantEvent(NamedTuple):
    """What an event told of a participant. Any text may be missing; `at` is Connect's clock."""

    participant: str
    role: str
    kind: str
    name: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Person:
    """What is known of one participant. `since`: when they came, or came back."""

    role: str
    name: str
    here: bool
    since: datetime
    told_at: datetime


@dataclass(slots=True)
class Presence:
    """The persons of one chat. Taking the same events again, or in another order, comes to the same."""

    _persons: dict[str, Person] = field(default_factory=dict)

    @classmethod
    def restored(cls, rows: Iterable[Iterable[str]]) -> Presence:
        """Return what the events that were noted tell: rows of participant, role, kind, name and time."""
        presence = cls()
        for participant, role, kind, name, at in rows:
            presence.take(ParticipantEvent(participant, role, kind, name, datetime.fromisoformat(at)))
        return presence

    @property
    def knows(self) -> bool:
        """Whether anything was told of any person."""
        return bool(self._persons)

    @property
    def anybody(self) -> bool:
        """Whether a person is there, and not only a bot or the queue."""
        return any(one.here for one in self._persons.values())

    @property
    def agent(self) -> str:
        """The name of the agent who serves: of those who are there, the one who came last; "" if there is none."""
        here = [one for one in self._persons.values() if one.here and one.role == AGENT]
        return max(here, key=lambda one: one.since).name if here else ""

    def take(self, told: ParticipantEvent) -> Person | None:
        """Take what an event told; return whom it was about, None if that is no person or cannot be known."""
        key = self._key(told)
        if key is None:
            return None
        before = self._persons.get(key)
        if before is None and told.kind == RENAMED:
            return None
        after = self._persons[key] = _after(before, told)
        return after

    def _key(self, told: ParticipantEvent) -> str | None:
        """Find the participant: by id, else by name, else as the only one who is there."""
        if told.participant in self._persons:
            return told.participant
        if told.role not in PERSONS:
            return None
        unnamed = f"{told.role} {told.name}"
        if told.participant:
            if (known := self._persons.pop(unnamed, None)) is not None:  # came without an id
                self._persons[told.participant] = known
            return told.participant
        if told.kind == JOINED:
            return unnamed if told.name else None
        here = [key for key, one in self._persons.items() if one.here and one.role == told.role]
        named = [key for key in here if self._persons[key].name == told.name]
        return named[0] if named else unnamed if told.name else here[0] if len(here) == 1 else None


def _after(before: Person | None, told: ParticipantEvent) -> Person:
    """Return a person after the event: what is older than what was told before changes nothing."""
    here = told.kind == JOINED
    if before is None:
        return Person(told.role, told.name, here, told.at, told.at)
    if told.kind == RENAMED:
        return replace(before, name=told.name or before.name)
    if told.at < before.told_at or (told.at == before.told_at and here):
        return replace(before, name=before.name or told.name)
    since = told.at if here and not before.here else before.since
    return Person(before.role, told.name or before.name, here, since, told.at)
