"""The agent of a new chat is told what was said last, once, and the customer never gets it."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.db import transaction

from connect_bridge.automation.briefings import Line, wording
from connect_bridge.connect.markers import LAST_TIME
from connect_bridge.models import Briefing, Contact, Message, OutboxEntry
from customers.merging import Method, merge
from customers.models import Identity
from customers.sql_steps import take_now
from tests.connect_bridge.kit import Phone, accepted, bridging, until
from tests.connect_bridge.listening.kit import START
from tests.factories import ChannelAccountFactory, IdentityFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def bridge(pointed_at: None, settings: Any) -> Any:
    settings.CONNECT_BRIEFING_LINES = 3
    with bridging() as running:
        yield running


def ended(aws: Any, chat: Any, agent: str) -> None:
    aws.call("POST", f"/ccp/contacts/{chat.contact_id}/end", {"agent_id": agent})
    until(lambda: not Contact.objects.exclude(state="ended").exists(), "the end")


def briefings_seen(aws: Any) -> list[str]:
    """Return what we told agents in any chat."""
    return [line["text"] for line in aws.lines("participant.SendMessage") if line["text"].startswith(LAST_TIME)]


def test_the_first_agent_of_a_new_chat_gets_the_last_lines_and_nobody_else_does(aws, bridge) -> None:
    ana, agent = Phone(ChannelAccountFactory(kind="whatsapp")), aws.agent()
    ana.write("one", "two", "three")
    chat = accepted(aws, agent)
    until(lambda: len(chat.said()) == 3, "the lines")
    chat.say("four")
    until(lambda: Message.objects.filter(text="four").exists(), "the answer")
    ended(aws, chat, agent)
    before = OutboxEntry.objects.count()

    ana.write("five")
    until(lambda: aws.call("GET", "/ccp/queue"), "a chat in the queue")
    time.sleep(1.5)
    assert briefings_seen(aws) == [], "a bot would take it for the customer's words"
    chat = accepted(aws, agent, besides=(chat.contact_id,))
    until(lambda: Briefing.objects.filter(lines=3).exclude(told_at=None).exists(), "the briefing")
    [briefing] = briefings_seen(aws)
    assert briefing.split("\n")[1:] == [
        "Customer: two",
        "Customer: three",
        f"{Message.objects.get(text='four').author}: four",
    ]
    chat.say("six")
    until(lambda: Message.objects.filter(text="six").exists(), "the next answer")
    assert not Message.objects.filter(text__contains=LAST_TIME).exists()
    assert OutboxEntry.objects.count() == before + 1
    assert briefings_seen(aws) == [briefing]


def test_what_a_persons_decision_alone_ties_is_not_shown(aws, bridge) -> None:
    agent = aws.agent()
    ana, bob = Phone(ChannelAccountFactory(kind="whatsapp")), Phone(ChannelAccountFactory(kind="twitter"), "42")
    ana.write("of Ana's")
    chat = accepted(aws, agent)
    until(lambda: chat.said() == ["of Ana's"], "the line")
    ended(aws, chat, agent)
    hers = Identity.objects.get()
    his = IdentityFactory(kind="twitter", external_id="42")
    with transaction.atomic():
        take_now(merge(hers.home_id, his.home_id, Method.PERSON, evidence={}))
    bob.write("of Bob's")
    accepted(aws, agent, besides=(chat.contact_id,))
    bobs = until(
        lambda: Briefing.objects.filter(contact__conversation__identity=his).exclude(told_at=None).first(), "it"
    )
    assert bobs.lines == 0
    assert briefings_seen(aws) == []


def test_it_says_where_when_with_whom_and_the_lines_in_order() -> None:
    lines = [
        Line(kind="messenger", started_at=START, agent_name="Ada", direction="in", author="Ana", text="Where\nis it?"),
        Line(kind="messenger", started_at=START, agent_name="Ada", direction="out", author="Ada", text="x" * 300),
    ]
    said = wording(lines).split("\n")
    assert said[0] == "Messenger, 01 Jan 2026 00:00 UTC, with Ada:"
    assert said[1] == "Customer: Where is it?"
    assert said[2] == f"Ada: {'x' * 199}…"
