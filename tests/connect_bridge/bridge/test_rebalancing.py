"""Conversations change hands: when a bridge joins, and when one stops. Nothing goes unheard meanwhile."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import pytest

from connect_bridge.bridge import rebalancing
from connect_bridge.bridge.process import Bridge
from connect_bridge.models import Bridge as BridgeRow
from connect_bridge.models import Contact, Conversation, Message
from connect_bridge.storage import relaying
from sandbox.world.faults import Fault
from tests.connect_bridge.kit import (
    PATIENCE,
    Phone,
    a_bridge,
    accepted,
    bridging,
    claim,
    said_to_customer,
    until,
    with_bridge,
)
from tests.factories import BridgeFactory, ConversationFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let relays do nothing."""
    monkeypatch.setattr("connect_bridge.relay.relay.Relay.wake", lambda _relay: None)


def conversations(number: int, **fields: Any) -> Sequence[Conversation]:
    return [ConversationFactory(active=True, **fields) for _ in range(number)]


def owned(bridge: Any) -> int:
    return Conversation.objects.filter(owner_id=bridge.id).count()


def test_who_claims_leaves_the_others_their_share(still):
    conversations(9)
    others = BridgeFactory(), BridgeFactory()
    conversations(1, owner=others[0])

    async def look(bridge: Bridge) -> tuple[int, int]:
        await claim(bridge)
        async with bridge.runtime.pool.connection() as connection:
            modest = len(bridge.conversations.relays)
            await bridge.conversations.claim(connection, greedy=True)
            return modest, len(bridge.conversations.relays)

    assert with_bridge(look) == (4, 9)


def test_a_bridge_alone_takes_everything(still):
    conversations(30)
    with_bridge(claim)
    assert Conversation.objects.filter(owner=None).count() == 0


@pytest.mark.parametrize(
    ("mine", "theirs", "bridges", "excess"),
    [(10, 0, 2, 3), (10, 8, 2, 0), (11, 8, 2, 0), (40, 0, 1, 0), (100, 0, 3, 20), (30, 0, 2, 13)],
)
def test_what_is_more_than_a_share_is_given_away_a_little_at_a_time(still, mine, theirs, bridges, excess):
    other = [BridgeFactory() for _ in range(bridges - 1)]

    async def count(bridge: Bridge) -> int:
        async with bridge.runtime.pool.connection() as connection:
            return await rebalancing.Rebalancer(bridge.runtime).excess(connection)

    async def main() -> int:
        async with a_bridge() as bridge:
            await asyncio.to_thread(conversations, mine, owner_id=bridge.id)
            await asyncio.to_thread(conversations, theirs, owner=other[0] if other else None)
            return await count(bridge)

    assert asyncio.run(main()) == excess


def test_under_a_fence_of_the_past_there_is_nothing_to_send(still):
    [conversation] = conversations(1)

    async def look(bridge: Bridge) -> None:
        await claim(bridge)
        async with bridge.runtime.pool.connection() as connection:
            fence = await relaying.fence(connection, conversation.id, bridge.id)
            assert await relaying.pending(connection, conversation.id, bridge.id, fence) == []
            # Lost and won again: what was read under the former fence counts no more.
            await bridge.runtime.execute("UPDATE connect_bridge_conversation SET fence = fence + 2", None)
            with pytest.raises(relaying.NotOurs):
                await relaying.pending(connection, conversation.id, bridge.id, fence)
            await bridge.runtime.execute("UPDATE connect_bridge_conversation SET owner_id = NULL", None)
            with pytest.raises(relaying.NotOurs):
                await relaying.fence(connection, conversation.id, bridge.id)

    with_bridge(look)


def test_a_bridge_that_joins_gets_its_share_and_no_chat_notices(aws, pointed_at, phone):
    phones = [Phone(phone.account, f"491510000{number:04}", f"Customer {number}") for number in range(10)]
    with bridging() as first:
        for one in phones:
            one.write("Hello")
        agents = accept_all(aws, len(phones))
        assert owned(first) == 10
        with bridging() as second:
            until(lambda: owned(second) >= 3, "the share of the second bridge")
            for agent in agents:
                agent.say("Good morning")
            for one in phones:
                one.write("Thank you")
            until(lambda: said_to_customer() == ["Good morning"] * 10, "every answer, once")
            until(lambda: all(agent.said()[-1] == "Thank you" for agent in agents), "what every customer wrote next")
            assert owned(first) + owned(second) == 10
    assert all(Counter(agent.said()) == Counter(["Hello", "Good morning", "Thank you"]) for agent in agents)


def accept_all(aws: Any, number: int) -> list[Any]:
    ann = aws.agent()
    result: list[Any] = []
    for _ in range(number):
        result.append(accepted(aws, ann, besides=tuple(agent.contact_id for agent in result)))
    until(lambda: Message.objects.filter(status="relayed").count() == number, "what they wrote first")
    return result


def test_what_is_said_at_the_end_of_a_chat_that_changes_hands_is_heard(aws, pointed_at, phone):
    ann, leaving = aws.agent(), ExitStack()
    former = leaving.enter_context(bridging())
    phone.write("Hello")
    agent = accepted(aws, ann)
    agent.say("Good morning")
    until(lambda: said_to_customer() == ["Good morning"], "the first answer")
    with bridging():
        until(lambda: BridgeRow.objects.count() == 2, "the next bridge")
        # It is kept from connecting for a while, and meanwhile the chat ends.
        aws.world.faults.on.append(Fault(name="slow", target="CreateParticipantConnection", seconds=3.0))
        leaves = threading.Thread(target=leaving.close)
        leaves.start()
        until(lambda: Conversation.objects.exclude(owner_id=former.id).exists(), "the hand-over")
        agent.say("One last thing")
        aws.call("POST", f"/ccp/contacts/{agent.contact_id}/end", {"agent_id": ann})
        until(lambda: said_to_customer() == ["Good morning", "One last thing"], "the last words")
        until(lambda: Contact.objects.get().state == "ended", "the end")
        leaves.join(PATIENCE)
        assert Contact.objects.get().reason == "chat.ended"


def test_a_bridge_alone_leaves_without_waiting_for_anybody(aws, pointed_at, phone, monkeypatch):
    monkeypatch.setattr(rebalancing, "LISTENS_FOR", 120.0)
    with bridging():
        phone.write("Hello")
        accepted(aws, aws.agent())
        until(lambda: Message.objects.filter(status="relayed").exists(), "the relay")
        began = time.monotonic()
    assert time.monotonic() - began < rebalancing.LISTENS_FOR
