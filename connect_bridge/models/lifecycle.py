"""The life of a contact as a table: (state, event) → state. Pure: no I/O, no clock."""

from __future__ import annotations

from enum import StrEnum

from connect_bridge.models.conversation import OPEN_STATES, ContactState

#: The content type of a side event (storage/side_events.py), which tells something and asks for nothing: it begins no
#: chat, is no message in the numbers, and leaves the reply window as it is.
SIDE_EVENT = "application/vnd.parley.event"


class Event(StrEnum):
    STARTED = "started"  # StartChatContact answered
    CONNECTED = "connected"  # the socket is subscribed: Connect runs the flow
    ENDED = "ended"  # chat.ended, or a 403 that a fresh connection could not cure
    GAVE_UP = "gave up"  # not connected within five minutes, or never startable


TABLE: dict[tuple[ContactState, Event], ContactState] = {
    (ContactState.REQUESTED, Event.STARTED): ContactState.STARTED,
    (ContactState.REQUESTED, Event.GAVE_UP): ContactState.FAILED,
    (ContactState.STARTED, Event.STARTED): ContactState.STARTED,  # the same ClientToken answered again
    (ContactState.STARTED, Event.CONNECTED): ContactState.CONNECTED,
    (ContactState.STARTED, Event.ENDED): ContactState.ENDED,
    (ContactState.STARTED, Event.GAVE_UP): ContactState.FAILED,
    (ContactState.CONNECTED, Event.CONNECTED): ContactState.CONNECTED,  # reconnected
    (ContactState.CONNECTED, Event.ENDED): ContactState.ENDED,
}


class Impossible(ValueError):
    """The event cannot happen in this state: a bug, or an event that came too late."""


def after(state: ContactState, event: Event) -> ContactState:
    """Return the next state; raise Impossible if the table has none. An ended contact stays ended."""
    if state not in OPEN_STATES:
        return state
    try:
        return TABLE[state, event]
    except KeyError:
        raise Impossible(f"{event} cannot happen to a {state} contact") from None
