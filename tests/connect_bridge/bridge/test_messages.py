"""Messages both ways: whole, once each and in order."""

from __future__ import annotations

import asyncio
import uuid

import psycopg
import pytest
from django.utils import timezone

from channels_app.infrastructure.db import connect_parameters
from channels_app.models import shard_of
from channels_app.types import MessageReceived
from connect_bridge.inbound.router import SHARE, Router
from connect_bridge.models import Bridge as BridgeRow
from connect_bridge.models import Message, OutboxEntry, SentId
from tests.connect_bridge.kit import Phone, accepted, said_to_customer, until

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_agent_reads_what_the_customer_wrote_and_answers(aws, bridge, phone):
    phone.write("Hello", "is anybody there?")
    agent = accepted(aws, aws.agent())
    until(lambda: agent.said() == ["Hello", "is anybody there?"], "both messages")
    agent.say("Yes, how can I help?")
    until(lambda: said_to_customer() == ["Yes, how can I help?"], "the answer")
    assert Message.objects.get(direction="out").role == "AGENT"
    assert set(Message.objects.filter(direction="in").values_list("status", flat=True)) == {"relayed"}


def test_a_burst_arrives_once_each_and_in_order(aws, bridge, phone):
    texts = [f"line {number}" for number in range(30)]
    phone.write(*texts)
    agent = accepted(aws, aws.agent())
    until(lambda: len(agent.said()) >= len(texts), "the whole burst")
    assert agent.said() == texts


def test_47_61_a_flood_from_one_customer_does_not_hold_up_another(phone):
    phone.write(*(f"flood {number}" for number in range(120)))
    senders = (f"49151000001{number:02}" for number in range(100))
    busy = shard_of(phone.account.id, phone.external_id)
    other = next(sender for sender in senders if shard_of(phone.account.id, sender) != busy)
    Phone(phone.account, other).write("Me too")
    bridge = BridgeRow.objects.create(host="here", pid=1, started_at=timezone.now(), beat_at=timezone.now())
    asyncio.run(_route_once(bridge.id))
    assert Message.objects.filter(text="Me too").exists()
    flooded = Message.objects.filter(text__startswith="flood").order_by("sequence").values_list("text", flat=True)
    assert list(flooded) == [f"flood {number}" for number in range(SHARE)]


async def _route_once(bridge: uuid.UUID) -> None:
    async with await psycopg.AsyncConnection.connect(**connect_parameters(), autocommit=True) as database:
        await Router(database, bridge).route()


def test_a_reply_shows_the_agent_what_it_replies_to(aws, bridge, phone):
    phone.write("Hello")
    agent = accepted(aws, aws.agent())
    agent.say("Red or blue?")
    sent = until(OutboxEntry.objects.first, "the answer")
    SentId.objects.create(account=phone.account, provider_message_id="SM1", entry=sent)
    for number, replied in enumerate(("SM1", f"{phone.external_id}-1", "unknown")):
        reply = {"key": f"m:r{number}", "message_id": f"r{number}", "text": "That one", "reply_to": replied}
        phone.store(MessageReceived(sender=phone.sender, **reply))
    shown = ["[in reply to: Red or blue?]\nThat one", "[in reply to: Hello]\nThat one", "That one"]
    until(lambda: [text for text in agent.said() if "That one" in text] == shown, "the replies")


def test_two_customers_of_one_account_have_two_chats(aws, bridge, phone):
    other = Phone(phone.account, "4915100000002", "Ben")
    phone.write("from Ana")
    other.write("from Ben")
    agent = aws.agent()
    first = accepted(aws, agent)
    second = accepted(aws, agent, besides=(first.contact_id,))
    until(lambda: {tuple(first.said()), tuple(second.said())} == {("from Ana",), ("from Ben",)}, "one each")


def test_a_long_message_is_cut_for_the_bot_and_joins_to_the_same_text(aws, bridge, phone):
    text = "wörd " * 700
    phone.write(text)
    until(lambda: Message.objects.get().status == "relayed" if Message.objects.exists() else None, "the relay")
    agent = accepted(aws, aws.agent())
    assert "".join(agent.said()) == text
    assert all(len(part) <= 1024 for part in agent.said())


def test_an_answer_too_long_for_the_messenger_goes_out_in_parts(aws, bridge, phone):
    phone.write("Tell me everything")
    agent = accepted(aws, aws.agent())
    text = "all of it " * 400
    agent.say(text)
    until(lambda: "".join(said_to_customer()) == text, "all parts")
    assert Message.objects.filter(direction="out").count() == 1
    assert len(said_to_customer()) == 3


def test_without_an_instance_the_message_waits_and_says_why(aws, bridge, phone, settings):
    settings.CONNECT_INSTANCE_ID = ""
    phone.write("Hello")
    waiting = until(lambda: Message.objects.exclude(error_detail="").first(), "a reason")
    assert "CONNECT_INSTANCE_ID" in waiting.error_detail
    assert waiting.status == "stored"
    settings.CONNECT_INSTANCE_ID = "instance"
    agent = accepted(aws, aws.agent())
    until(lambda: agent.said() == ["Hello"], "the message, once the setting is there", 30)
