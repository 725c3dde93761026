"""The relay of one conversation, where its chat cannot begin or has just ended."""

from __future__ import annotations

import time

import pytest

from connect_bridge.models import Contact, Conversation, Message
from tests.connect_bridge.kit import accepted, bridging, until
from tests.connect_bridge.relay.kit import fall_silent, received_by_connect

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_conversation_that_cannot_begin_is_tried_ever_more_rarely(aws, bridge, phone, settings):
    settings.CONNECT_INSTANCE_ID = ""
    phone.write("Hello")
    waiting = until(lambda: Message.objects.exclude(error_detail="").first(), "a reason")
    time.sleep(2)
    waiting.refresh_from_db()
    assert 1 <= waiting.attempts <= 20
    assert Contact.objects.count() == 0


def test_what_is_written_while_the_chat_ends_is_told_once(aws, bridge, phone):
    agent_id = aws.agent()
    texts = [str(number) for number in range(7)]
    phone.write(texts[0])
    for number, text in enumerate(texts[1:]):
        agent = accepted(aws, agent_id)
        aws.call("POST", f"/ccp/contacts/{agent.contact_id}/end", {"agent_id": agent_id})
        time.sleep(0.01 * number)
        phone.write(text)
    until(
        lambda: (
            len(received_by_connect(aws)) >= len(texts) and not Message.objects.filter(direction="in", status="stored")
        ),
        "all",
    )
    assert received_by_connect(aws) == texts


def test_what_connect_took_over_a_silent_line_is_not_sent_again_over_the_next(aws, bridge, phone):
    phone.write("Hello")
    agent = accepted(aws, aws.agent())
    until(lambda: agent.said() == ["Hello"], "the first")
    attempts = fall_silent(aws, bridge)
    phone.write("once, please", "and this after it")
    until(lambda: agent.said()[-1] == "and this after it", "both", 30)
    assert agent.said() == ["Hello", "once, please", "and this after it"]
    assert attempts[:2] == ["once, please"] * 2


def test_a_chat_that_ended_while_no_bridge_ran_is_followed_by_another(aws, pointed_at, phone):
    agent_id = aws.agent()
    with bridging(killed=True):
        phone.write("Hello")
        agent = accepted(aws, agent_id)
        until(lambda: Message.objects.filter(status="relayed").exists(), "the relay")
    aws.call("POST", f"/ccp/contacts/{agent.contact_id}/end", {"agent_id": agent_id})
    phone.write("anybody?")
    with bridging():
        again = accepted(aws, agent_id)
        until(lambda: again.said() == ["anybody?"], "the new chat", 20)
    assert sorted(Contact.objects.values_list("state", flat=True)) == ["connected", "ended"]


def test_a_chat_that_ended_while_no_bridge_ran_is_closed_and_let_go(aws, pointed_at, phone):
    agent_id = aws.agent()
    with bridging(killed=True):
        phone.write("Hello")
        agent = accepted(aws, agent_id)
        until(lambda: Message.objects.filter(status="relayed").exists(), "the relay")
    aws.call("POST", f"/ccp/contacts/{agent.contact_id}/end", {"agent_id": agent_id})
    with bridging() as successor:
        until(lambda: not Conversation.objects.get().active, "letting go", 20)
        assert Contact.objects.get().state == "ended"
        until(lambda: not successor.conversations.relays, "forgetting the relay")
