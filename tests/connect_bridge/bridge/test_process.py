from __future__ import annotations

import asyncio
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.utils import timezone

from channels_app.infrastructure.db import connect_parameters
from channels_app.models import InboundEntry, shard_of
from channels_app.types import IdentityChanged, InboundEvent, MessageReceived, Sender
from channels_app.webhooks.codec import encode_event
from connect_bridge.bridge.process import Bridge
from connect_bridge.inbound.router import SHARE, Router
from connect_bridge.models import Bridge as BridgeRow
from connect_bridge.models import Contact, Conversation, Message, OutboxEntry, SentId
from connect_bridge.outbox import db_pool
from customers.models import Identity
from sandbox.world.faults import Fault
from sandbox.world.settings import Settings
from tests.factories import ChannelAccountFactory, WebhookDeliveryFactory
from tests.sandbox.kit import Chatting, RunningWorld, running

pytestmark = pytest.mark.django_db(transaction=True)

#: Seconds that a test waits for what must happen.
PATIENCE = 30.0


@pytest.fixture
def aws() -> Iterator[RunningWorld]:
    with running(Settings(quotas=False, closing_grace=0.2)) as world:
        yield world


@pytest.fixture
def pointed_at(aws: RunningWorld, monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    for service in ("CONNECT", "CONNECTPARTICIPANT"):
        monkeypatch.setenv(f"AWS_ENDPOINT_URL_{service}", aws.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    settings.CONNECT_INSTANCE_ID, settings.CONNECT_CONTACT_FLOW_ID = "instance", "flow"


@contextmanager
def bridging(*, killed: bool = False) -> Iterator[Bridge]:
    """Run a bridge in a thread. `killed`: it ends without handing anything over, as a dead process would."""
    made: list[Bridge] = []
    loops: list[asyncio.AbstractEventLoop] = []
    ready = threading.Event()

    async def work() -> None:
        bridge = Bridge()
        made.append(bridge)
        loops.append(asyncio.get_running_loop())
        if killed:
            bridge._leave = lambda: _die(bridge)
        ready.set()
        await bridge.run()

    thread = threading.Thread(target=lambda: asyncio.run(work()))
    thread.start()
    assert ready.wait(PATIENCE)
    try:
        yield made[0]
    finally:
        loops[0].call_soon_threadsafe(made[0].stop)
        thread.join(20)
        db_pool.close()


async def _die(bridge: Bridge) -> None:
    for relay in bridge._relays.values():
        relay.stop()
    await bridge._runtime.captures.close()
    await bridge._runtime.relays.close()
    bridge._dispatcher.stop()
    await asyncio.sleep(0.1)  # the sockets close


@pytest.fixture
def bridge(pointed_at: None) -> Iterator[Bridge]:
    with bridging() as running_bridge:
        yield running_bridge


class Phone:
    """A customer who writes: straight into the intake's table, as the webhook would."""

    def __init__(self, account: Any, external_id: str = "4915100000001", name: str = "Ana") -> None:
        self.account, self.external_id, self.name = account, external_id, name
        self.number = 0

    def write(self, *texts: str) -> None:
        for text in texts:
            self.number += 1
            message_id = f"{self.external_id}-{self.number}"
            self.store(MessageReceived(key=f"m:{message_id}", sender=self.sender, message_id=message_id, text=text))
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify('parley_intake', '')")

    @property
    def sender(self) -> Sender:
        issuer = self.account.address if self.account.kind == "messenger" else ""
        return Sender(external_id=self.external_id, issuer=issuer, display_name=self.name)

    def store(self, event: InboundEvent) -> None:
        delivery = WebhookDeliveryFactory(account=self.account)
        InboundEntry.objects.create(
            account=self.account,
            delivery=delivery,
            key=event.key,
            type=str(event.__struct_config__.tag),
            sender=self.external_id,
            shard=shard_of(self.account.id, self.external_id),
            event=json.loads(encode_event(event)),
            state="pending",
            due_at=delivery.received_at,
            created_at=delivery.received_at,
        )


@pytest.fixture
def phone() -> Phone:
    return Phone(ChannelAccountFactory(kind="whatsapp"))


def until(condition: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError(f"{what} did not happen within {patience} s")


def accepted(aws: RunningWorld, agent: str, *, besides: tuple[str, ...] = ()) -> Chatting:
    def waiting() -> Any:
        queue = aws.call("GET", "/ccp/queue")
        return next((chat for chat in queue if chat["contact_id"] not in besides), None)

    return aws.accept(until(waiting, "a chat in the queue")["contact_id"], agent)


def said_to_customer() -> list[str]:
    return list(OutboxEntry.objects.order_by("sequence", "part").values_list("text", flat=True))


def test_the_agent_reads_what_the_customer_wrote_and_answers(aws, bridge, phone):
    phone.write("Hello", "is anybody there?")
    agent = accepted(aws, aws.agent())
    until(lambda: agent.said() == ["Hello", "is anybody there?"], "both messages")
    agent.say("Yes, how can I help?")
    until(lambda: said_to_customer() == ["Yes, how can I help?"], "the answer")
    assert Message.objects.get(direction="out").role == "AGENT"
    assert set(Message.objects.filter(direction="in").values_list("status", flat=True)) == {"relayed"}


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


def test_a_messenger_that_brings_no_names_is_asked_for_one(aws, bridge, settings):
    settings.HTTP_REDIRECTS = {"https://graph.facebook.com": f"{aws.url}/graph"}
    account = ChannelAccountFactory(kind="messenger", address="200000000000001")
    aws.call("POST", "/phones/accounts", {"kind": "messenger", "webhook_url": "", "credentials": account.credentials})
    known = {"from": {"id": "777", "name": "Ana Kovač"}, "content": {"type": "text", "text": "hi"}}
    aws.call("POST", f"/phones/messenger/{account.address}/messages", known)
    Phone(account, "777", name="").write("Hello")
    waiting = until(lambda: aws.call("GET", "/ccp/queue"), "a chat in the queue")[0]
    assert waiting["display_name"] == "Ana Kovač"
    assert Conversation.objects.get().identity.customer.display_name == "Ana Kovač"


def test_a_messenger_that_tells_no_name_delays_nobody(aws, bridge, settings):
    settings.HTTP_REDIRECTS = {"https://graph.facebook.com": f"{aws.url}/graph"}
    Phone(ChannelAccountFactory(kind="messenger", address="200000000000001"), "777", name="").write("Hello")
    waiting = until(lambda: aws.call("GET", "/ccp/queue"), "a chat in the queue")[0]
    assert waiting["display_name"] == "Customer"


@pytest.mark.parametrize("name", ["نرگس می‌خواهم", "Family 👨‍👩‍👧", "a b"])
def test_a_name_keeps_what_joins_its_letters(bridge, name):
    Phone(ChannelAccountFactory(kind="twitter", address="1000000001"), "42", name=f" {name}\n\x1b").write("Hello")
    until(lambda: Identity.objects.filter(display_name=name).exists(), "the name")


def test_a_customer_who_changes_their_handle_stays_the_same_customer(bridge):
    ana = Phone(ChannelAccountFactory(kind="twitter", address="1000000001"), "42", name="Ana")
    ana.write("Hello")
    until(lambda: Identity.objects.filter(external_id="42").exists(), "the identity")
    renamed = Sender(external_id="42", display_name="Ana", handle="ana_new")
    ana.store(IdentityChanged(key="i:1", sender=renamed, former_id="42"))
    until(lambda: Identity.objects.get().handle == "ana_new", "the new handle")


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


def test_an_agents_message_is_stored_once_when_frames_come_twice(aws, bridge, phone):
    phone.write("Hello")
    agent = accepted(aws, aws.agent())
    aws.world.faults.on.append(Fault(name="frame_double"))
    for number in range(5):
        agent.say(f"answer {number}")
    until(lambda: len(said_to_customer()) >= 5, "five answers")
    time.sleep(0.3)
    assert said_to_customer() == [f"answer {number}" for number in range(5)]


def test_what_was_said_while_the_socket_was_cut_is_fetched(aws, bridge, phone):
    phone.write("Hello")
    ann = aws.agent()
    agent = accepted(aws, ann)
    agent.say("before")
    until(lambda: said_to_customer() == ["before"], "the first answer")
    aws.world.faults.on.append(Fault(name="frame_drop", times=1))
    agent.say("lost on the way")
    aws.world.faults.on.append(Fault(name="socket_cut", times=1))
    agent.say("cuts the line")
    until(lambda: said_to_customer() == ["before", "lost on the way", "cuts the line"], "the backfill", 30)


@pytest.mark.parametrize("oddity", ["token_empty", "token_same", "page_overlap", "null_members"])
def test_odd_tokens_pages_and_members_lose_and_double_nothing(aws, bridge, phone, oddity):
    aws.world.faults.on.append(Fault(name=oddity))
    phone.write("Hello")
    agent = accepted(aws, aws.agent())
    answers = [f"answer {number}" for number in range(120)]
    agent.say(answers[0])
    until(lambda: said_to_customer() == answers[:1], "the first answer")
    aws.world.faults.on.append(Fault(name="frame_drop", target="CUSTOMER", times=len(answers) - 2))
    for answer in answers[1:-1]:
        agent.say(answer)
    aws.world.faults.on.append(Fault(name="socket_cut", target="CUSTOMER", times=1))
    agent.say(answers[-1])
    until(lambda: said_to_customer() == answers, "the backfill, over two pages")
    phone.write("Thank you")
    until(lambda: agent.said()[-1] == "Thank you", "what follows")


@pytest.mark.parametrize(
    "fault",
    [
        Fault(name="throttle", target="SendMessage", times=3),
        Fault(name="error5xx", target="SendMessage", times=3),
        Fault(name="effect_then_reset", target="SendMessage", times=2),
        Fault(name="effect_then_reset", target="StartChatContact", times=1),
        Fault(name="throttle", target="StartChatContact", times=2),
        Fault(name="error5xx", target="CreateParticipantConnection", times=2),
    ],
    ids=lambda fault: f"{fault.name}-{fault.target}",
)
def test_connects_faults_neither_lose_nor_double(aws, bridge, phone, fault):
    aws.world.faults.on.append(fault)
    texts = [f"line {number}" for number in range(6)]
    phone.write(*texts)
    agent = accepted(aws, aws.agent())
    until(lambda: len(agent.said()) >= len(texts), "all lines", 30)
    assert agent.said() == texts
    assert Contact.objects.count() == 1


def test_a_message_that_connect_took_silently_is_not_sent_again_over_a_new_connection(aws, bridge, phone):
    phone.write("Hello")
    agent = accepted(aws, aws.agent())
    aws.world.faults.on.append(Fault(name="effect_then_reset", target="SendMessage", times=1))
    aws.world.faults.on.append(Fault(name="socket_cut", times=1))
    phone.write("once, please", "and this after it")
    until(lambda: agent.said()[-1] == "and this after it", "both", 30)
    assert agent.said() == ["Hello", "once, please", "and this after it"]


def test_what_a_dead_bridge_sent_but_did_not_write_down_is_not_sent_again(aws, pointed_at, phone):
    with bridging(killed=True):
        phone.write("Hello")
        agent = accepted(aws, aws.agent())
        phone.write("once, please")
        until(lambda: Message.objects.filter(status="relayed").count() == 2, "the relay")
    Message.objects.filter(text="once, please").update(status="stored", relayed=0, connect_item_id=None)
    phone.write("and this after it")
    with bridging():
        until(lambda: agent.said()[-1] == "and this after it", "the takeover", 20)
    assert agent.said() == ["Hello", "once, please", "and this after it"]


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


def failing_once(bridge: Bridge) -> None:
    """Let the database refuse the next note that something was relayed."""
    relays = until(lambda: getattr(bridge, "_house", None), "the bridge").relays
    flight = relays.flight

    async def refuse(_connection: Any, _items: Any) -> Any:
        relays.flight = flight
        raise psycopg.OperationalError

    relays.flight = refuse


def test_the_rest_of_a_long_first_message_is_sent_by_whoever_takes_over(aws, pointed_at, phone):
    text = "wörd " * 500
    aws.world.faults.on.append(Fault(name="error5xx", target="SendMessage"))
    with bridging(killed=True):
        phone.write(text)
        until(lambda: Message.objects.exists() and Message.objects.get().relayed, "the first part")
    aws.world.faults.on.clear()
    with bridging():
        until(lambda: Message.objects.get().status == "relayed", "the rest", 20)
        agent = accepted(aws, aws.agent())
        until(lambda: len("".join(agent.said())) >= len(text), "all of it")
        assert "".join(agent.said()) == text


def test_a_chat_whose_connection_was_not_written_down_is_read_from_its_beginning(aws, pointed_at, phone):
    with bridging(killed=True):
        phone.write("Hello")
        agent = accepted(aws, aws.agent())
    Contact.objects.update(state="started")
    agent.say("one")
    with bridging():
        until(lambda: said_to_customer() == ["one"], "what was said before the takeover", 20)


def test_an_expired_connection_token_is_renewed_not_mistaken_for_the_end(aws, bridge, phone):
    phone.write("Hello")
    agent = accepted(aws, aws.agent())
    aws.world.faults.on.append(Fault(name="expire_token", target="SendMessage", times=1))
    phone.write("still the same chat?")
    until(lambda: agent.said() == ["Hello", "still the same chat?"], "the message in the same chat")
    assert Contact.objects.count() == 1


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


def test_a_bridge_that_stops_hands_over_at_once(aws, pointed_at, phone):
    with bridging():
        phone.write("Hello")
        agent = accepted(aws, aws.agent())
    agent.say("said while nobody listened")
    with bridging():
        until(lambda: said_to_customer() == ["said while nobody listened"], "the backfill by the next bridge", 4)


def test_a_dead_bridges_conversations_are_taken_over(aws, pointed_at, phone):
    with bridging(killed=True):
        phone.write("Hello")
        agent = accepted(aws, aws.agent())
        until(lambda: Message.objects.filter(status="relayed").exists(), "the relay")
    agent.say("said while nobody listened")
    phone.write("written while nobody listened")
    with bridging() as heir:
        until(lambda: said_to_customer() == ["said while nobody listened"], "the takeover", 15)
        until(lambda: "written while nobody listened" in agent.said(), "the relay by the heir", 15)
        assert Conversation.objects.get().owner_id == heir.id
    assert BridgeRow.objects.count() == 2


def test_without_an_instance_the_message_waits_and_says_why(aws, bridge, phone, settings):
    settings.CONNECT_INSTANCE_ID = ""
    phone.write("Hello")
    waiting = until(lambda: Message.objects.exclude(error_detail="").first(), "a reason")
    assert "CONNECT_INSTANCE_ID" in waiting.error_detail
    assert waiting.status == "stored"
    settings.CONNECT_INSTANCE_ID = "instance"
    agent = accepted(aws, aws.agent())
    until(lambda: agent.said() == ["Hello"], "the message, once the setting is there", 30)


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


@contextmanager
def database_away(bridge: Bridge) -> Iterator[None]:
    """Let every capture fail for a while."""
    captures = bridge._runtime.captures
    flight = captures.flight

    async def refuse(_connection: Any, _items: Any) -> Any:
        raise psycopg.OperationalError

    captures.flight = refuse
    yield
    captures.flight = flight
