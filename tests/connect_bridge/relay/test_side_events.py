"""Side events with a bridge and Connect around them: shown in the open chat, in order; none begins a chat."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from channels_app.types import Echoed, InboundEvent, Reacted
from connect_bridge.models import Contact, Conversation, Message, OutboxEntry
from tests.connect_bridge.kit import accepted, bridging, until
from tests.connect_bridge.relay.kit import received_by_connect

pytestmark = pytest.mark.django_db(transaction=True)


def comes(phone: Any, event: InboundEvent) -> None:
    phone.store(event)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify('parley_intake', '')")


def thumb(phone: Any, key: str) -> Reacted:
    return Reacted(key=key, sender=phone.sender, message_id=f"{phone.external_id}-1", emoji="👍")


def ends(aws: Any, agent: Any, agent_id: str) -> None:
    aws.call("POST", f"/ccp/contacts/{agent.contact_id}/end", {"agent_id": agent_id})


def test_the_agent_reads_it_in_the_open_chat_and_after_the_end_nothing_begins(aws, bridge, phone):
    agent_id = aws.agent()
    phone.write("Hello")
    agent = accepted(aws, agent_id)
    until(lambda: agent.said() == ["Hello"], "the first words")
    comes(phone, thumb(phone, "x:1"))
    comes(phone, Echoed(key="echo:9", sender=phone.sender, message_id="m_9", text="We are on it."))
    phone.write("Thanks")
    expected = ["Hello", "[reacted 👍 to: Hello]", "[answered elsewhere: We are on it.]", "Thanks"]
    until(lambda: agent.said() == expected, "all in order")
    ends(aws, agent, agent_id)
    until(lambda: Contact.objects.get().state == "ended", "the end")
    comes(phone, thumb(phone, "x:2"))
    until(lambda: Message.objects.filter(status="noted").exists(), "the note")
    until(lambda: not Conversation.objects.get().active, "letting go", 20)
    assert Contact.objects.count() == 1
    assert not OutboxEntry.objects.exists()


def test_what_was_for_a_chat_that_ended_unheard_is_noted(aws, pointed_at, phone):
    agent_id = aws.agent()
    with bridging(killed=True):
        phone.write("Hello")
        agent = accepted(aws, agent_id)
        until(lambda: Message.objects.filter(status="relayed").exists(), "the relay")
    ends(aws, agent, agent_id)
    comes(phone, thumb(phone, "x:1"))
    with bridging():
        until(lambda: Message.objects.filter(status="noted").exists(), "the note", 20)
        until(lambda: not Conversation.objects.get().active, "letting go", 20)
    assert Contact.objects.get().state == "ended"


def test_a_bot_that_has_the_chat_hears_no_aside_and_who_comes_after_it_does(aws, bridge, phone):
    aws.call("PUT", "/world/flows/flow", {"bot": True})
    phone.write("Hello")
    until(lambda: Message.objects.filter(status="relayed", direction="in").exists(), "the first words")
    comes(phone, thumb(phone, "x:1"))
    comes(phone, Echoed(key="echo:9", sender=phone.sender, message_id="m_9", text="We are on it."))
    until(lambda: Message.objects.filter(status="noted").count() == 2, "the notes")
    assert [line for line in received_by_connect(aws) if line.startswith("[")] == []
    assert set(Message.objects.filter(status="noted").values_list("contact__state", flat=True)) == {"connected"}
    phone.write("agent")
    agent = accepted(aws, aws.agent())
    until(lambda: len([line for line in agent.said() if line.startswith("[")]) == 2, "what was held back")
    assert received_by_connect(aws)[-2:] == ["[reacted 👍 to: Hello]", "[answered elsewhere: We are on it.]"]
    comes(phone, Reacted(key="x:2", sender=phone.sender, message_id=f"{phone.external_id}-1"))
    until(lambda: received_by_connect(aws)[-1] == "[reaction removed from: Hello]", "one that is told at once")
    assert received_by_connect(aws).count("[reacted 👍 to: Hello]") == 1


def test_what_was_erased_while_it_was_held_back_is_told_to_nobody(aws, bridge, phone):
    phone.write("Hello")
    until(lambda: Message.objects.filter(status="relayed").exists(), "the first words")
    comes(phone, thumb(phone, "x:1"))
    until(lambda: Message.objects.filter(status="noted").exists(), "the note")
    Message.objects.filter(status="noted").update(text="[erased]", original=None)
    agent = accepted(aws, aws.agent())
    phone.write("and?")
    until(lambda: agent.said()[-1] == "and?", "the next words")
    assert agent.said() == ["Hello", "and?"]
