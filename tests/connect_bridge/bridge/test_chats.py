"""A chat from its start to its end: transfers, the disconnect flow, and the chat after it."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from connect_bridge.models import Contact, Conversation
from connect_bridge.signals import contact_ended
from tests.connect_bridge.kit import accepted, said_to_customer, until

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_chat_starts_with_who_and_where_from(aws, bridge, phone):
    phone.write("Hello")
    line = until(lambda: aws.lines("connect.StartChatContact"), "a chat")[0]
    waiting = until(lambda: aws.call("GET", "/ccp/queue"), "a chat in the queue")[0]
    conversation = Conversation.objects.get()
    assert waiting["display_name"] == "Ana"
    assert waiting["attributes"]["channel"] == "whatsapp"
    assert waiting["attributes"]["conversation_id"] == str(conversation.id)
    assert waiting["attributes"]["customer_id"] == str(conversation.identity.customer_id)
    assert line["client_token"] == str(Contact.objects.get().id)


def test_a_transfer_loses_nothing(aws, bridge, phone):
    phone.write("Hello")
    first_agent = aws.agent("First")
    first = accepted(aws, first_agent)
    moved = aws.call("POST", f"/ccp/contacts/{first.contact_id}/transfer", {"agent_id": first_agent})
    second = aws.accept(moved["contact_id"], aws.agent("Second"))
    phone.write("still there?")
    until(lambda: "still there?" in second.said(), "the message after the transfer")
    second.say("Yes")
    until(lambda: "Yes" in said_to_customer(), "the second agent's answer")
    contact = Contact.objects.get()
    assert contact.state == "connected"
    assert contact.contact_id == moved["contact_id"]
    assert contact.initial_contact_id == first.contact_id


def test_what_the_flow_says_after_the_agent_left_reaches_the_customer(aws, bridge, phone):
    aws.call("PUT", "/world/flows/flow", {"disconnect_messages": ["How was it? 1 to 5"]})
    phone.write("Hello")
    agent_id = aws.agent()
    agent = accepted(aws, agent_id)
    aws.call("POST", f"/ccp/contacts/{agent.contact_id}/end", {"agent_id": agent_id})
    until(lambda: "How was it? 1 to 5" in said_to_customer(), "the disconnect flow's question")
    until(lambda: Contact.objects.get().state == "ended", "the end")
    until(lambda: not Conversation.objects.get().active, "letting go")


def test_a_customer_who_writes_after_the_end_gets_a_new_contact(aws, bridge, phone):
    phone.write("Hello")
    agent_id = aws.agent()
    agent = accepted(aws, agent_id)
    aws.call("POST", f"/ccp/contacts/{agent.contact_id}/end", {"agent_id": agent_id})
    until(lambda: Contact.objects.get().state == "ended", "the end")
    phone.write("one more thing")
    again = accepted(aws, agent_id)
    until(lambda: again.said() == ["one more thing"], "the message in the new chat")
    assert Contact.objects.count() == 2
    assert Conversation.objects.count() == 1


def test_the_apps_above_are_told_once_when_a_chat_has_ended(aws, bridge, phone):
    ended: list[uuid.UUID] = []

    def hear(contact_id: uuid.UUID, **_: Any) -> None:
        assert Contact.objects.get(id=contact_id).state == "ended"  # after the commit
        ended.append(contact_id)

    contact_ended.connect(hear)
    try:
        phone.write("Hello")
        agent_id = aws.agent()
        agent = accepted(aws, agent_id)
        assert ended == []
        aws.call("POST", f"/ccp/contacts/{agent.contact_id}/end", {"agent_id": agent_id})
        until(lambda: ended, "the signal")
        until(lambda: not Conversation.objects.get().active, "letting go")
    finally:
        contact_ended.disconnect(hear)
    assert ended == [Contact.objects.get().id]
