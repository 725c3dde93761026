"""The life of a contact."""

from __future__ import annotations

from itertools import product

import pytest

from connect_bridge.models import OPEN_STATES, ContactState
from connect_bridge.models.lifecycle import TABLE, Event, Impossible, after


@pytest.mark.parametrize(
    ("state", "event"), [pair for pair in product(sorted(OPEN_STATES), Event) if pair not in TABLE]
)
def test_what_the_table_does_not_have_is_impossible(state, event):
    with pytest.raises(Impossible):
        after(state, event)


@pytest.mark.parametrize(("state", "event"), list(product(sorted(set(ContactState) - set(OPEN_STATES)), Event)))
def test_what_is_over_stays_over(state, event):
    assert after(state, event) is state


@pytest.mark.parametrize("state", sorted(OPEN_STATES))
def test_every_open_contact_can_come_to_an_end(state):
    assert {after(state, event) for event in Event if (state, event) in TABLE} - set(OPEN_STATES)


@pytest.mark.parametrize("event", [Event.STARTED, Event.CONNECTED])
def test_an_answer_that_comes_twice_changes_nothing_more(event):
    once = after(ContactState.REQUESTED if event is Event.STARTED else ContactState.STARTED, event)
    assert after(once, event) is once


def test_a_chat_that_was_connected_does_not_fail_but_ends():
    with pytest.raises(Impossible):
        after(ContactState.CONNECTED, Event.GAVE_UP)
