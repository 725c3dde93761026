"""Who is in a chat: persons by participant, each by the latest event about them. Pure.

Connect lets up to five agents and their supervisors into one chat, and sends an event for each who comes or goes: late,
twice and in any order. So an event counts only against the one before it of the same participant. What a bot or the
flow says (SYSTEM, CUSTOM_BOT) needs nobody to be there.
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
    """A participant came, left or changed their name. Any text may be missing; `at` is Connect's clock."""

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
    event_at: datetime


@dataclass(slots=True)
class Presence:
    """The persons of one chat. Taking the same events again, or in another order, comes to the same."""

    _persons: dict[str, Person] = field(default_factory=dict)

    @classmethod
    def restored(cls, rows: Iterable[Iterable[str]]) -> Presence:
        """Return the persons of events that were written down: rows of participant, role, kind, name and time."""
        presence = cls()
        for participant, role, kind, name, at in rows:
            presence.take(ParticipantEvent(participant, role, kind, name, datetime.fromisoformat(at)))
        return presence

    @property
    def knows(self) -> bool:
        """Whether there was any event about a person."""
        return bool(self._persons)

    @property
    def anybody(self) -> bool:
        """Whether a person is there, and not only a bot or the queue."""
        return any(person.here for person in self._persons.values())

    @property
    def agent(self) -> str:
        """The name of the agent who serves: of those who are there, the one who came last; "" if there is none."""
        here = [person for person in self._persons.values() if person.here and person.role == AGENT]
        return max(here, key=lambda person: person.since).name if here else ""

    def take(self, event: ParticipantEvent) -> Person | None:
        """Take an event; return whom it is about, None if that is no person or cannot be known."""
        key = self._key(event)
        if key is None:
            return None
        before = self._persons.get(key)
        if before is None and event.kind == RENAMED:
            return None
        after = self._persons[key] = _after(before, event)
        return after

    def _key(self, event: ParticipantEvent) -> str | None:
        """Find the participant: by id, else by name, else as the only one who is there."""
        if event.participant in self._persons:
            return event.participant
        if event.role not in PERSONS:
            return None
        unnamed = f"{event.role} {event.name}"
        if event.participant:
            if (known := self._persons.pop(unnamed, None)) is not None:  # came without an id
                self._persons[event.participant] = known
            return event.participant
        if event.kind == JOINED:
            return unnamed if event.name else None
        here = [key for key, person in self._persons.items() if person.here and person.role == event.role]
        named = [key for key in here if self._persons[key].name == event.name]
        return named[0] if named else unnamed if event.name else here[0] if len(here) == 1 else None


def _after(before: Person | None, event: ParticipantEvent) -> Person:
    """Return a person after the event: what is older than the latest event changes nothing."""
    here = event.kind == JOINED
    if before is None:
        return Person(event.role, event.name, here, event.at, event.at)
    if event.kind == RENAMED:
        return replace(before, name=event.name or before.name)
    if event.at < before.event_at or (event.at == before.event_at and here):
        return replace(before, name=before.name or event.name)
    since = event.at if here and not before.here else before.since
    return Person(before.role, event.name or before.name, here, since, event.at)
