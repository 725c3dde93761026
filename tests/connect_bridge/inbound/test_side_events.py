"""What asks for nothing starts nothing; it shows in the open chat or on the timeline, with what it is about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from analytics.rollups import loader
from channels_app.models import InboundEntry
from channels_app.types import (
    AccountChanged,
    ConsentChanged,
    Echoed,
    InboundEvent,
    MessageEdited,
    MessageUnsent,
    Part,
    PartKind,
    Rated,
    Reacted,
    ReceiptReceived,
    ReceiptStatus,
    Referred,
    Sender,
    TypingShown,
)
from connect_bridge.models import Contact, Conversation, Message, SentId
from connect_bridge.models.lifecycle import SIDE_EVENT
from connect_bridge.operations.account_status import account_statuses
from customers.codes import make_link_code
from customers.models import Customer, Identity, LinkCode, Tombstone
from customers.tombstones import digest_of
from tests.connect_bridge.inbound.kit import came, message, route, wrote
from tests.connect_bridge.outbox.kit import entries_of, say
from tests.factories import ChannelAccountFactory, ContactFactory

pytestmark = pytest.mark.django_db(transaction=True)

ANA = Sender(external_id="7001", issuer="200", display_name="Ana")
AT = datetime(2026, 11, 23, 10, tzinfo=UTC)


@pytest.fixture
def messenger() -> Any:
    return ChannelAccountFactory(kind="messenger", address="200")


@pytest.fixture
def talked(messenger: Any) -> Conversation:
    """Ana wrote "Hello there", Connect has it, the chat is over, and she said STOP."""
    came(messenger, message(ANA, "Hello there"))
    route()
    conversation = Conversation.objects.get()
    Message.objects.update(status="relayed")
    Conversation.objects.update(last_inbound_at=AT, last_message_at=AT, active=False, owner=None, last_sequence=10**6)
    Identity.objects.update(suppressed_at=AT, suppressed_by="STOP", last_seen_at=AT)
    return Conversation.objects.get(pk=conversation.pk)


def id_of_hello() -> str:
    return str(Message.objects.get(text="Hello there").provider_message_id)


GESTURES = [
    (lambda: Reacted(key="x:1", sender=ANA, message_id=id_of_hello(), emoji="👍"), "[reacted 👍 to: Hello there]"),
    (lambda: Reacted(key="x:1", sender=ANA, message_id=id_of_hello()), "[reaction removed from: Hello there]"),
    (lambda: Reacted(key="x:1", sender=ANA, message_id="of nobody's", emoji="👍"), "[reacted 👍]"),
    (
        lambda: MessageEdited(key="e:1", sender=ANA, message_id=id_of_hello(), text="Hello you"),
        "[edited: Hello you]\n[before: Hello there]",
    ),
    (lambda: MessageUnsent(key="u:1", sender=ANA, message_id=id_of_hello()), "[deleted: Hello there]"),
    (
        lambda: Rated(key="f:1", sender=ANA, message_id=id_of_hello(), answers=(("", "Bad response"),)),
        "[feedback on: Hello there]\nBad response",
    ),
    (lambda: Referred(key="p:1", sender=ANA, referral="promo"), "[opened the chat]\n[came from: promo]"),
    (lambda: ConsentChanged(key="c:1", sender=ANA, granted=True, topic="News"), "[opted in: News]"),
    (lambda: ConsentChanged(key="c:1", sender=ANA, granted=True, topic="follow"), "[follows us now]"),
    (lambda: ConsentChanged(key="c:1", sender=ANA, granted=True, topic="Start", offers=True), "[opted in: Start]"),
    (lambda: ConsentChanged(key="c:1", sender=ANA, granted=True, topic="START", offers=True), "[opted in: START]"),
    (lambda: ConsentChanged(key="c:1", sender=ANA, granted=False, topic="block", offers=True), "[opted out: block]"),
    (
        lambda: Echoed(key="echo:9", sender=ANA, message_id="m_9", text="We are on it.", app="the Page's inbox"),
        "[answered elsewhere: We are on it.]",
    ),
    (
        lambda: Echoed(key="echo:9", sender=ANA, message_id="m_9", parts=(Part(kind=PartKind.IMAGE),)),
        "[answered elsewhere: [image]]",
    ),
]


@pytest.mark.parametrize(("event", "shown"), GESTURES)
def test_after_the_end_of_a_chat_it_starts_nothing_and_stands_on_the_timeline(
    messenger: Any, talked: Conversation, event: Any, shown: str
) -> None:
    entry = came(messenger, event())
    route()
    side_event = Message.objects.get(content_type=SIDE_EVENT)
    assert (side_event.text, side_event.status, side_event.direction) == (shown, "noted", "in")
    after = Conversation.objects.get()
    assert (after.last_inbound_at, after.active, after.owner) == (AT, False, None)
    identity = Identity.objects.get()
    assert (identity.suppressed_at, identity.suppressed_by, identity.last_seen_at) == (AT, "STOP", AT)
    assert not Contact.objects.exists()
    entry.refresh_from_db()
    assert entry.state == "done"


@pytest.mark.parametrize(("event", "shown"), GESTURES)
@pytest.mark.parametrize("state", ["requested", "started", "connected"])
def test_in_an_open_chat_the_agent_is_told(
    messenger: Any, talked: Conversation, state: str, event: Any, shown: str
) -> None:
    ContactFactory(conversation=talked, state=state)
    came(messenger, event())
    route()
    side_event = Message.objects.get(content_type=SIDE_EVENT)
    assert (side_event.text, side_event.status) == (shown, "stored")
    assert Conversation.objects.get().last_inbound_at == AT


def test_what_comes_with_words_that_will_open_a_chat_goes_there_too(messenger: Any) -> None:
    hello = message(ANA, "Hello")
    came(messenger, hello)
    came(messenger, Reacted(key="x:1", sender=ANA, message_id=hello.message_id, emoji="👍"))
    route()
    assert list(Message.objects.order_by("sequence").values_list("text", "status")) == [
        ("Hello", "stored"),
        ("[reacted 👍 to: Hello]", "stored"),
    ]


def test_what_we_sent_is_quoted(messenger: Any, talked: Conversation) -> None:
    (part,) = entries_of(say(talked, "Shall we?"))
    SentId.objects.create(account=messenger, entry=part, provider_message_id="m_ours")
    came(messenger, Reacted(key="x:1", sender=ANA, message_id="m_ours", emoji="❤"))
    route()
    assert Message.objects.get(content_type=SIDE_EVENT).text == "[reacted ❤ to: Shall we?]"


STRANGERS: list[InboundEvent] = [
    Reacted(key="x", sender=ANA, message_id="m", emoji="👍"),
    MessageEdited(key="x", sender=ANA, message_id="m", text="x"),
    MessageUnsent(key="x", sender=ANA, message_id="m"),
    Referred(key="x", sender=ANA, referral="promo"),
    ConsentChanged(key="x", sender=ANA, granted=True, topic="News"),
    Echoed(key="x", sender=ANA, message_id="m", text="Hi"),
    ReceiptReceived(key="x", sender=ANA, status=ReceiptStatus.READ, watermark=1),
    TypingShown(key="x", sender=ANA),
]


@pytest.mark.parametrize("event", STRANGERS, ids=lambda event: type(event).__name__)
def test_nobody_becomes_a_customer_by_a_gesture(messenger: Any, event: InboundEvent) -> None:
    came(messenger, event)
    route()
    InboundEntry.objects.filter(state="parked").update(state="pending", created_at=AT - timedelta(days=8))
    route()
    assert not Customer.objects.exists()
    assert not Message.objects.exists()
    assert InboundEntry.objects.get().state == "done"


def test_an_edit_that_overtakes_its_message_waits_for_it(messenger: Any) -> None:
    hello = message(ANA, "Hello")
    edit = came(messenger, MessageEdited(key="e:1", sender=ANA, message_id=hello.message_id, text="Hello you"))
    route()
    edit.refresh_from_db()
    assert edit.state == "parked"
    came(messenger, hello)
    route()
    InboundEntry.objects.filter(state="parked").update(state="pending")
    route()
    assert Message.objects.filter(text="[edited: Hello you]\n[before: Hello]").count() == 1


def test_a_link_code_that_comes_with_the_link_alone_waits_for_who_came_to_write(messenger: Any) -> None:
    before = wrote(ChannelAccountFactory(kind="whatsapp"), "+34600000042", "Hello")
    _, code = make_link_code(before.home_id, before.pk, by="ana")
    came(messenger, Referred(key="p:1", sender=ANA, referral=f"{code} · SHORTLINK"))
    route()
    assert not Identity.objects.filter(external_id="7001").exists()
    assert LinkCode.objects.get().used_at is None


def test_whoever_has_written_is_asked_about_a_link_code_and_a_yes_joins(messenger: Any) -> None:
    before = wrote(ChannelAccountFactory(kind="whatsapp"), "+34600000042", "Hello")
    _, code = make_link_code(before.home_id, before.pk, by="ana")
    came(messenger, message(ANA, "Hi"))
    came(messenger, Referred(key="p:1", sender=ANA, referral=f"{code} · SHORTLINK"))
    route()
    before.refresh_from_db()
    assert Identity.objects.get(external_id="7001").customer_id != before.customer_id
    assert LinkCode.objects.get().outcome == "asked"
    came(messenger, message(ANA, "Yes"))
    route()
    before.refresh_from_db()
    assert Identity.objects.get(external_id="7001").customer_id == before.customer_id


def test_a_tapped_button_is_the_customer_who_speaks(messenger: Any, talked: Conversation) -> None:
    came(messenger, message(ANA, "Get Started"))
    route()
    assert Message.objects.get(text="Get Started").status == "stored"
    assert Conversation.objects.get().active
    assert Identity.objects.get().suppressed_at is None


@pytest.mark.parametrize("state", ["claimed", "accepted", "uncertain"])
def test_the_echo_of_our_own_send_is_not_from_elsewhere(messenger: Any, talked: Conversation, state: str) -> None:
    message = say(talked, "We are on it & <more>")
    (part,) = entries_of(message)
    part.state = state
    part.save()
    if state == "accepted":
        SentId.objects.create(account=messenger, entry=part, provider_message_id="m_9")
    entry = came(messenger, Echoed(key="echo:9", sender=ANA, message_id="m_9", text="We are on it & <more>"))
    route()
    entry.refresh_from_db()
    assert entry.state == ("parked" if state == "claimed" else "done")
    assert not Message.objects.filter(content_type=SIDE_EVENT).exists()


def test_the_echo_with_our_correlation_is_ours_though_nothing_is_committed_yet(
    messenger: Any, talked: Conversation
) -> None:
    (part,) = entries_of(say(talked, "We are on it"))
    came(messenger, Echoed(key="echo:9", sender=ANA, message_id="m_9", text="changed", correlation=str(part.id)))
    route()
    assert not Message.objects.filter(content_type=SIDE_EVENT).exists()


def test_an_echo_whose_link_was_shortened_settles_the_send_in_doubt(messenger: Any, talked: Conversation) -> None:
    message = say(talked, "Look: https://shop.example/1")
    message.outbox.update(state="uncertain")
    came(messenger, Echoed(key="echo:9", sender=ANA, message_id="m_9", text="Look: https://t.co/a"))
    route()
    assert message.outbox.get().state == "accepted"
    assert not Message.objects.filter(content_type=SIDE_EVENT).exists()


def test_two_numbers_with_one_malformed_user_id_are_two_conversations(messenger: Any) -> None:
    account = ChannelAccountFactory(kind="whatsapp")
    for number in ("+34600000001", "+34600000002"):
        came(account, message(Sender(external_id=number, ignored=("ExternalUserId",)), f"from {number}"))
    route()
    assert sorted(Conversation.objects.values_list("recipient", flat=True)) == ["+34600000001", "+34600000002"]
    assert set(InboundEntry.objects.values_list("outcome", flat=True)) == {
        "message stored; no id in its documented form: ExternalUserId"
    }


@pytest.mark.parametrize(
    ("topic", "detail"),
    [
        ("standby", "another app answers a customer of this Page"),
        ("handover", "the Page's inbox took a customer over from app 5"),
    ],
)
def test_that_another_app_has_the_customers_shows_in_the_accounts_status(
    messenger: Any, topic: str, detail: str
) -> None:
    for number in range(3):
        ours = Sender(external_id="200")
        came(messenger, AccountChanged(key=f"a:{number}", sender=ours, topic=topic, detail=detail))
    route()
    (status,) = account_statuses([messenger])
    assert status.notice.startswith(detail[:1].upper() + detail[1:])
    assert "conversation routing" in status.notice
    assert not Conversation.objects.exists()


def test_a_gesture_from_before_its_sender_was_erased_is_forgotten(messenger: Any) -> None:
    Tombstone.objects.create(digest=digest_of("messenger", "200", "7001"), erased_at=datetime.now(UTC))
    entry = came(messenger, Reacted(key="x:1", sender=ANA, message_id="m", emoji="👍", occurred_at=AT))
    route()
    entry.refresh_from_db()
    assert (entry.state, entry.outcome, entry.event) == ("done", "its sender was erased", {})
    assert bytes(entry.delivery.body) == b""


def test_what_is_replied_to_may_come_in_the_same_batch(messenger: Any) -> None:
    hello = message(ANA, "Hello")
    came(messenger, hello)
    came(messenger, message(ANA, "I mean this", reply_to=hello.message_id))
    route()
    assert Message.objects.filter(text="[in reply to: Hello]\nI mean this").exists()


def test_a_sender_whose_id_is_none_is_set_aside_and_stops_nobody(messenger: Any) -> None:
    nobody = came(messenger, message(Sender(external_id="null", issuer="200"), "Hello"))
    came(messenger, message(ANA, "Hello"))
    route()
    nobody.refresh_from_db()
    assert (nobody.state, nobody.attempts) == ("quarantined", 0)
    assert Message.objects.count() == 1


def test_an_aside_is_no_message_in_the_numbers(messenger: Any, talked: Conversation) -> None:
    came(messenger, Reacted(key="x:1", sender=ANA, message_id="m", emoji="👍"))
    route()
    (unit,) = loader.load([(talked.pk, None)])
    assert len(unit.messages) == 1
