from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from connect_bridge.bridge.process import Bridge
from connect_bridge.connect.gateway import Unreachable
from connect_bridge.models import Contact, Message, OutboxEntry
from connect_bridge.relay import poison_messages, relay
from sandbox.world.settings import Settings
from tests.connect_bridge.kit import Phone, accepted, until
from tests.factories import ChannelAccountFactory
from tests.sandbox.kit import Chatting, RunningWorld, running

pytestmark = pytest.mark.django_db(transaction=True)

LONG = timedelta(minutes=20)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "RETRY_MOST", 0.2)


def refuse(bridge: Bridge, poisonous: Callable[[str], bool]) -> None:
    """Let Connect answer 5xx to every SendMessage of such a text."""
    send = bridge.runtime.participants.send_message

    async def send_message(token: str, text: str, client_token: str) -> str:
        if poisonous(text):
            raise Unreachable("Amazon Connect refused /participant/message: InternalServerException (500)")
        return await send(token, text, client_token)

    bridge.runtime.participants.send_message = send_message


def long_ago(*texts: str, relayed: timedelta | None = None) -> None:
    """Let these have been written 20 minutes ago, tried often and, maybe, relayed so long ago."""
    fields: dict[str, Any] = {"created_at": timezone.now() - LONG, "attempts": poison_messages.ATTEMPTS}
    if relayed is not None:
        fields["relayed_at"] = timezone.now() - relayed
    Message.objects.filter(text__in=texts).update(**fields)


def attempts_at(text: str) -> int:
    return sum(Message.objects.filter(text=text).values_list("attempts", flat=True))


def status_of(text: str) -> str:
    return Message.objects.get(text=text).status


@pytest.fixture
def two_chats(aws: RunningWorld, bridge: Bridge, phone: Phone) -> Phone:
    """Open two chats; return the phone of the second one."""
    other = Phone(phone.account, "4915100000002", "Ben")
    phone.write("from Ana")
    other.write("from Ben")
    agent = aws.agent()
    first = accepted(aws, agent)
    accepted(aws, agent, besides=(first.contact_id,))
    until(lambda: Message.objects.filter(status="relayed").count() == 2, "both messages")
    return other


def test_a_message_that_connect_never_takes_is_given_up_if_it_takes_others(bridge, phone, two_chats):
    refuse(bridge, lambda text: text == "poison")
    phone.write("poison", "after")
    until(lambda: attempts_at("poison"), "an attempt")
    assert status_of("poison") == "stored"
    long_ago("from Ana", relayed=LONG)
    long_ago("from Ben", relayed=timedelta(minutes=2))
    long_ago("poison")
    until(lambda: status_of("after") == "relayed", "the next message")
    poison = Message.objects.get(text="poison")
    assert (poison.status, poison.error_code) == ("failed", "connect_unreachable")
    assert "InternalServerException (500)" in poison.error_detail


@pytest.mark.parametrize("others", ["none", "only a moment ago", "only before"])
def test_an_outage_kills_no_message(bridge, phone, two_chats, others):
    refuse(bridge, lambda text: text == "waiting")
    phone.write("waiting")
    until(lambda: Message.objects.filter(text="waiting"), "the message")
    long_ago("from Ana", relayed=LONG)
    ago = {"none": LONG * 2, "only a moment ago": timedelta(seconds=5), "only before": LONG + timedelta(seconds=30)}
    long_ago("from Ben", relayed=ago[others])
    long_ago("waiting")
    tried = attempts_at("waiting")
    until(lambda: attempts_at("waiting") > tried + 3, "more attempts")
    assert status_of("waiting") == "stored"


def test_a_message_that_waited_long_for_its_turn_is_tried_as_often_as_any(bridge, phone, two_chats):
    refuse(bridge, lambda text: text == "first")
    phone.write("first", "behind")
    until(lambda: Message.objects.filter(text="behind"), "the messages")
    long_ago("from Ben", relayed=timedelta(minutes=2))
    Message.objects.filter(text__in=["first", "behind"]).update(created_at=timezone.now() - LONG)
    Message.objects.filter(text="from Ana").update(relayed_at=timezone.now() - timedelta(minutes=3))
    Message.objects.filter(text="first").update(attempts=poison_messages.ATTEMPTS)
    time.sleep(0.6)
    assert status_of("first") == "stored"


def another_chat(aws: RunningWorld, phone: Phone) -> Chatting:
    Phone(phone.account, "4915100000002", "Ben").write("from Ben")
    until(lambda: status_of("from Ben") == "relayed" if attempts_at("from Ben") else False, "another chat")
    return accepted(aws, aws.agent())


def test_after_a_message_with_which_no_chat_would_start_the_next_one_starts_one_and_arrives_once(aws, bridge, phone):
    other = another_chat(aws, phone)
    start = bridge.runtime.control.start_chat

    async def start_chat(request: Any) -> Any:
        if request.initial_message == "poison":
            raise Unreachable("Amazon Connect refused StartChatContact: InternalServiceException (500)")
        return await start(request)

    bridge.runtime.control.start_chat = start_chat
    phone.write("poison", "after")
    until(lambda: attempts_at("poison"), "an attempt")
    long_ago("from Ben", relayed=timedelta(minutes=2))
    long_ago("poison")
    agent = accepted(aws, aws.agent(), besides=(other.contact_id,))
    until(lambda: status_of("after") == "relayed", "the next message")
    assert agent.said() == ["after"]
    assert sorted(Contact.objects.values_list("state", flat=True)) == ["connected", "connected", "failed"]


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningWorld]:
    """Give a Connect that takes one chat at a time."""
    with running(Settings(quotas=True, concurrent_chats=1, closing_grace=0.2)) as world:
        for service in ("CONNECT", "CONNECTPARTICIPANT"):
            monkeypatch.setenv(f"AWS_ENDPOINT_URL_{service}", world.url)
        yield world


def answers() -> list[str]:
    return list(OutboxEntry.objects.order_by("created_at").values_list("text", flat=True))


def test_beyond_the_quota_of_chats_the_customer_is_asked_to_wait_once_and_then_served(pointed_at, full, request):
    account = ChannelAccountFactory(kind="whatsapp", holding_reply="One moment, please.")
    request.getfixturevalue("bridge")
    Phone(account).write("first in")
    agent = full.agent()
    first = accepted(full, agent)
    Phone(account, "4915100000002", "Ben").write("second")
    until(lambda: answers() == ["One moment, please."], "the holding reply")
    waiting = Contact.objects.get(state="requested")
    assert "LimitExceededException" in waiting.reason
    until(lambda: attempts_at("second") > 3, "more attempts")
    assert answers() == ["One moment, please."]
    assert Message.objects.get(direction="out").contact_id == waiting.id
    full.call("POST", f"/ccp/contacts/{first.contact_id}/end", {"agent_id": agent})
    second = accepted(full, agent, besides=(first.contact_id,))
    until(lambda: second.said() == ["second"], "the second chat")


def test_without_a_holding_reply_the_customer_just_waits(pointed_at, full, request):
    account = ChannelAccountFactory(kind="whatsapp")
    request.getfixturevalue("bridge")
    Phone(account).write("first in")
    accepted(full, full.agent())
    Phone(account, "4915100000002", "Ben").write("second")
    until(lambda: attempts_at("second") > 1, "an attempt")
    assert answers() == []
