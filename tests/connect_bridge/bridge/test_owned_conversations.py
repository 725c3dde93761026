"""Whose conversation it is: claims, hand-overs, and what a bridge that was away finds."""

from __future__ import annotations

import asyncio
import time
import uuid
from datetime import timedelta
from typing import Any, cast

import pytest
from django.utils import timezone

from connect_bridge.bridge.dispatcher import Dispatcher
from connect_bridge.bridge.loops import Loops
from connect_bridge.bridge.process import Bridge
from connect_bridge.bridge.rebalancing import Rebalancer
from connect_bridge.models import Bridge as BridgeRow
from connect_bridge.models import Conversation
from connect_bridge.relay.relay import Relay
from connect_bridge.runtime import OURS_FOR
from connect_bridge.storage import ownership
from tests.connect_bridge.kit import a_bridge, claim, with_bridge
from tests.factories import BridgeFactory, ContactFactory, ConversationFactory, MessageFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def woken(monkeypatch: pytest.MonkeyPatch) -> list[uuid.UUID]:
    """The conversations whose relays were woken; here they do nothing else."""
    woken_conversations: list[uuid.UUID] = []
    monkeypatch.setattr(Relay, "wake", lambda relay: woken_conversations.append(relay.conversation))
    return woken_conversations


async def reconcile(bridge: Bridge) -> None:
    async with bridge.runtime.pool.connection() as connection:
        await bridge.conversations.reconcile(connection)


async def released(bridge: Bridge, conversation: uuid.UUID) -> bool:
    async with bridge.runtime.pool.connection() as connection:
        return await ownership.release(connection, conversation, bridge.id)


def dead() -> BridgeRow:
    return BridgeFactory(beat_at=timezone.now() - timedelta(seconds=ownership.BRIDGE_TTL + 1))


def test_a_bridge_claims_what_is_nobodys_or_a_dead_bridges_and_nothing_else(woken):
    nobodys, orphan = ConversationFactory(active=True), ConversationFactory(active=True, owner=dead(), fence=3)
    ConversationFactory(active=True, owner=BridgeFactory())
    ConversationFactory(active=False)
    with_bridge(claim)
    assert set(woken) == {nobodys.id, orphan.id}
    orphan.refresh_from_db()
    assert orphan.fence == 4


def test_two_bridges_that_claim_at_once_share_without_overlap(woken):
    for _ in range(40):
        ConversationFactory(active=True)

    async def both(one: Bridge) -> None:
        async with a_bridge() as other:
            await asyncio.gather(claim(one), claim(other))

    with_bridge(both)
    assert len(woken) == len(set(woken)) == 40


def test_what_others_took_over_is_left_alone_and_what_is_ours_is_looked_after(woken):
    lost, forgotten = ConversationFactory(active=True, owner=BridgeFactory()), ConversationFactory(active=True)

    async def compare(bridge: Bridge) -> list[uuid.UUID]:
        bridge.conversations.relay(lost.id)
        await bridge.runtime.execute(
            "UPDATE connect_bridge_conversation SET owner_id = %s WHERE id = %s", [bridge.id, forgotten.id]
        )
        await reconcile(bridge)
        return list(bridge.conversations.relays)

    assert with_bridge(compare) == [forgotten.id]
    assert woken == [forgotten.id]


def test_a_bridge_is_sure_of_its_conversations_for_less_time_than_its_lease():
    async def owns(bridge: Bridge) -> tuple[bool, bool]:
        fresh = bridge.runtime.owns
        bridge.runtime.beat_at = time.monotonic() - OURS_FOR
        return fresh, bridge.runtime.owns

    assert with_bridge(owns) == (True, False)
    assert OURS_FOR < ownership.BRIDGE_TTL


@pytest.mark.parametrize(
    ("hold", "idle"), [(None, True), ("message", False), ("contact", False)], ids=["nothing", "message", "contact"]
)
def test_a_conversation_is_released_only_if_nothing_is_open_or_to_be_relayed(hold, idle):
    conversation = ConversationFactory(active=True)
    if hold == "message":
        MessageFactory(conversation=conversation)
    if hold == "contact":
        ContactFactory(conversation=conversation)

    async def release(bridge: Bridge) -> bool:
        await claim(bridge)
        return await released(bridge, conversation.id)

    assert with_bridge(release) is idle
    assert Conversation.objects.get().active is not idle


def test_a_conversation_that_others_took_over_is_theirs_and_nothing_to_wake_up_for(woken):
    conversation = ConversationFactory(active=True, owner=BridgeFactory())
    MessageFactory(conversation=conversation)
    with_bridge(lambda bridge: bridge.conversations.release(bridge.conversations.relay(conversation.id)))
    assert woken == []
    assert Conversation.objects.get().owner_id == conversation.owner_id


def test_a_message_that_comes_while_its_conversation_is_released_finds_a_relay_that_stays(woken, monkeypatch):
    conversation = ConversationFactory(active=True)
    release = ownership.release

    async def meanwhile(bridge: Bridge) -> bool:
        async def released_then_written_to(*params: Any) -> bool:
            done = await release(*params)
            bridge.conversations.relay(conversation.id).wake()  # as the router does once the message is stored
            return done

        monkeypatch.setattr(ownership, "release", released_then_written_to)
        await claim(bridge)
        former = bridge.conversations.relays[conversation.id]
        await bridge.conversations.release(former)
        return bridge.conversations.relays[conversation.id] is not former

    assert with_bridge(meanwhile)
    assert woken == [conversation.id] * 2


def test_leaving_frees_everything_at_once():
    for _ in range(5):
        ConversationFactory(active=True)

    async def leave(bridge: Bridge) -> None:
        await claim(bridge)
        await bridge.runtime.execute(ownership.LEAVE, {"bridge": bridge.id})

    with_bridge(leave)
    assert Conversation.objects.filter(active=True, owner=None).count() == 5


def test_what_lost_its_owner_and_was_forgotten_is_put_back_to_work():
    message = MessageFactory(conversation__active=False)
    MessageFactory(conversation__active=False, status="relayed")
    with_bridge(lambda bridge: bridge.runtime.execute(ownership.REVIVE, None))
    assert list(Conversation.objects.filter(active=True)) == [message.conversation]


def test_thousands_of_chats_are_tended_a_few_at_a_time(monkeypatch):
    monkeypatch.setattr("connect_bridge.bridge.loops.RARELY", 0.01)
    under_way: list[int] = []
    done: list[object] = []

    class NeedyListener:
        needs_care = True

        async def care(self) -> None:
            under_way.append(under_way[-1] + 1 if under_way else 1)
            await asyncio.sleep(0)
            under_way.append(under_way[-1] - 1)
            self.needs_care = False
            done.append(self)

    async def tend(bridge: Bridge) -> None:
        for _ in range(500):
            bridge.conversations.relay(uuid.uuid4())._chat.listener = cast("Any", NeedyListener())
        loops = Loops(
            runtime=bridge.runtime,
            conversations=bridge.conversations,
            rebalancer=Rebalancer(bridge.runtime),
            dispatcher=Dispatcher(),
            parameters={},
            join=bridge.join,
        )
        loop = asyncio.create_task(loops.tend(lambda one: cast("Any", one).needs_care, cast("Any", NeedyListener.care)))
        await asyncio.sleep(0.3)
        loop.cancel()

    with_bridge(tend)
    assert len(done) == 500
    assert max(under_way) == 16
