"""The life of a contact as a table: (state, event) → state. Pure: no I/O, no clock."""

from __future__ import annotations

from enum import StrEnum

from connect_bridge.models import Contact

State = Contact.State
#: The content type of a message that tells and asks for nothing (asides.py): it begins no chat, is no message in the
#: numbers, and leaves the reply window as it is.
ASIDE = "application/vnd.parley.event"


class Event(StrEnum):
    STARTED = "started"  # StartChatContact answered
    CONNECTED = "connected"  # the socket is subscribed: Connect runs the flow
    ENDED = "ended"  # chat.ended, or a 403 that a fresh connection could not cure
    GAVE_UP = "gave up"  # not connected within five minutes, or never startable


TABLE: dict[tuple[State, Event], State] = {
    (State.REQUESTED, Event.STARTED): State.STARTED,
    (State.REQUESTED, Event.GAVE_UP): State.FAILED,
    (State.STARTED, Event.STARTED): State.STARTED,  # the same ClientToken answered again
    (State.STARTED, Event.CONNECTED): State.CONNECTED,
    (State.STARTED, Event.ENDED): State.ENDED,
    (State.STARTED, Event.GAVE_UP): State.FAILED,
    (State.CONNECTED, Event.CONNECTED): State.CONNECTED,  # reconnected
    (State.CONNECTED, Event.ENDED): State.ENDED,
}
OPEN = frozenset({State.REQUESTED, State.STARTED, State.CONNECTED})


class Impossible(ValueError):
    """The event cannot happen in this state: a bug, or news that came too late."""


def after(state: State, event: Event) -> State:
    """Return the next state; raise Impossible if the table has none. An ended contact stays ended."""
    if state not in OPEN:
        return state
    try:
        return TABLE[state, event]
    except KeyError:
        raise Impossible(f"{event} cannot happen to a {state} contact") from None
