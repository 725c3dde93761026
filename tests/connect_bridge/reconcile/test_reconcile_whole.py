"""With a real bridge: nothing is missing until a frame is lost."""

from __future__ import annotations

import pytest

from channels_app.recovery import missed_messages
from connect_bridge.models import Conversation, Message, OutboxEntry
from connect_bridge.outbox import sender
from sandbox.world.faults import Fault
from tests.connect_bridge.kit import bridging, until
from tests.connect_bridge.reconcile.kit import gaps_of
from tests.provider_accounts_kit import account_on, write
from tests.sandbox.kit import RunningWorld

pytestmark = pytest.mark.django_db(transaction=True)


def test_with_a_real_bridge_nothing_is_missing_until_a_frame_is_lost(world: RunningWorld) -> None:
    account = account_on(world, "whatsapp")
    with bridging(killed=True):
        write(world, "whatsapp", "Hello " + "word " * 400, "and this")
        missed_messages.ask_provider(account.pk, now=True)
        waiting = until(lambda: world.call("GET", "/ccp/queue"), "a chat in the queue")
        agent = world.accept(waiting[0]["contact_id"], world.agent())
        until(lambda: Message.objects.filter(status="relayed").count() == 2, "the relay")
        write(world, "whatsapp", "are you there?")
        missed_messages.ask_provider(account.pk, now=True)
        until(lambda: agent.said()[-1:] == ["are you there?"], "the third message")
        agent.say("Yes")
        until(lambda: OutboxEntry.objects.count() == 1, "the answer")
        world.world.faults.on.append(Fault(name="frame_drop", target="CUSTOMER", times=1))
        lost = agent.say("lost on the way")["Id"]
        agent.say("Anything else?")
        until(lambda: OutboxEntry.objects.count() == 2, "the second answer")
        until(lambda: Message.objects.filter(status="relayed").count() == 3, "the relay of the third")
    sender.drain(Conversation.objects.get().id)
    assert gaps_of() == [("not_here", lost)]
