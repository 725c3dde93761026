"""The database fails for a while: nothing is lost and nothing is sent again."""

from __future__ import annotations

import time

import pytest

from connect_bridge.models import Contact
from sandbox.world.faults import Fault
from tests.connect_bridge.kit import accepted, database_away, failing_once, said_to_customer, until

pytestmark = pytest.mark.django_db(transaction=True)


def test_what_the_database_did_not_take_note_of_is_not_sent_again(aws, bridge, phone):
    failing_once(bridge)
    phone.write("Hello")
    agent = accepted(aws, aws.agent())
    failing_once(bridge)
    aws.world.faults.on.append(Fault(name="socket_cut", target="CUSTOMER", times=1))
    phone.write("once, please")
    phone.write("and this after it")
    until(lambda: agent.said()[-1] == "and this after it", "the rest", 20)
    assert agent.said() == ["Hello", "once, please", "and this after it"]


def test_what_was_heard_while_the_database_was_away_is_kept_though_the_chat_ends(aws, bridge, phone):
    phone.write("Hello")
    ann = aws.agent()
    agent = accepted(aws, ann)
    agent.say("before")
    until(lambda: said_to_customer() == ["before"], "the first answer")
    with database_away(bridge):
        agent.say("one")
        agent.say("two")
        aws.call("POST", f"/ccp/contacts/{agent.contact_id}/end", {"agent_id": ann})
        time.sleep(1)
    until(lambda: said_to_customer() == ["before", "one", "two"], "what was said meanwhile")
    until(lambda: Contact.objects.get().state == "ended", "the end")
