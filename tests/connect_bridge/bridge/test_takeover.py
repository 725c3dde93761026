"""A bridge stops or dies: another one goes on where it was."""

from __future__ import annotations

import pytest

from connect_bridge.models import Bridge as BridgeRow
from connect_bridge.models import Contact, Conversation, Message
from sandbox.world.faults import Fault
from tests.connect_bridge.kit import accepted, bridging, said_to_customer, until

pytestmark = pytest.mark.django_db(transaction=True)


def test_what_a_dead_bridge_sent_but_did_not_write_down_is_not_sent_again(aws, pointed_at, phone):
    with bridging(killed=True):
        phone.write("Hello")
        agent = accepted(aws, aws.agent())
        phone.write("once, please")
        until(lambda: Message.objects.filter(status="relayed").count() == 2, "the relay")
    Message.objects.filter(text="once, please").update(status="stored", relayed=0, connect_item_id=None)
    phone.write("and this after it")
    with bridging():
        until(lambda: agent.said()[-1] == "and this after it", "the takeover", 20)
    assert agent.said() == ["Hello", "once, please", "and this after it"]


def test_the_rest_of_a_long_first_message_is_sent_by_whoever_takes_over(aws, pointed_at, phone):
    text = "wörd " * 500
    aws.world.faults.on.append(Fault(name="error5xx", target="SendMessage"))
    with bridging(killed=True):
        phone.write(text)
        until(lambda: Message.objects.exists() and Message.objects.get().relayed, "the first part")
    aws.world.faults.on.clear()
    with bridging():
        until(lambda: Message.objects.get().status == "relayed", "the rest", 20)
        agent = accepted(aws, aws.agent())
        until(lambda: len("".join(agent.said())) >= len(text), "all of it")
        assert "".join(agent.said()) == text


def test_a_chat_whose_connection_was_not_written_down_is_read_from_its_beginning(aws, pointed_at, phone):
    with bridging(killed=True):
        phone.write("Hello")
        agent = accepted(aws, aws.agent())
    Contact.objects.update(state="started")
    agent.say("one")
    with bridging():
        until(lambda: said_to_customer() == ["one"], "what was said before the takeover", 20)


def test_a_bridge_that_stops_hands_over_at_once(aws, pointed_at, phone):
    with bridging():
        phone.write("Hello")
        agent = accepted(aws, aws.agent())
    agent.say("said while nobody listened")
    with bridging():
        until(lambda: said_to_customer() == ["said while nobody listened"], "the backfill by the next bridge", 4)


def test_a_dead_bridges_conversations_are_taken_over(aws, pointed_at, phone):
    with bridging(killed=True):
        phone.write("Hello")
        agent = accepted(aws, aws.agent())
        until(lambda: Message.objects.filter(status="relayed").exists(), "the relay")
    agent.say("said while nobody listened")
    phone.write("written while nobody listened")
    with bridging() as successor:
        until(lambda: said_to_customer() == ["said while nobody listened"], "the takeover", 15)
        until(lambda: "written while nobody listened" in agent.said(), "the relay by the successor", 15)
        assert Conversation.objects.get().owner_id == successor.id
    assert BridgeRow.objects.count() == 2
