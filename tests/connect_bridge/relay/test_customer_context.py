"""What a chat tells of its customer, within Connect's limits, and how a new one carries on from the last."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import transaction
from hypothesis import given
from hypothesis import strategies as st

from connect_bridge.models import Contact, Conversation, Message, OutboxEntry
from connect_bridge.reconcile.chats import Known, differences
from connect_bridge.relay import customer_context
from connect_bridge.relay.agent_link import contact_of
from connect_bridge.relay.customer_context import MOST_BYTES, attributes_of, context_of, fit
from customers.codes import make_link_code
from customers.merging import Method, merge
from customers.models import Customer, Identity, IdentityChange
from customers.sql_steps import take_now
from tests.connect_bridge.kit import Phone, accepted, until
from tests.connect_bridge.listening.kit import OneChat, said, soon
from tests.customers.kit import done
from tests.factories import ChannelAccountFactory, ContactFactory, ConversationFactory, MessageFactory

pytestmark = pytest.mark.django_db(transaction=True)


def context_attributes(conversation: Conversation, contact: uuid.UUID | None = None) -> dict[str, str]:
    async def read(connection: Any) -> dict[str, str]:
        known = await context_of(connection, conversation.pk)
        return fit((await attributes_of(connection, known, contact or uuid.uuid4())).items())

    return done(read)


def merged(one: Conversation, other: Conversation, method: Method) -> None:
    with transaction.atomic():
        take_now(merge(one.identity.home_id, other.identity.home_id, method, evidence={}))


def test_a_first_chat_tells_who_it_is_and_that_nothing_was_before() -> None:
    chat = ConversationFactory()
    contact = uuid.uuid4()
    attributes = context_attributes(chat, contact)
    assert attributes["customer_id"] == str(chat.identity.customer_id)
    assert attributes["customer_certainty"] == "single"
    assert attributes["customer_channels"] == "whatsapp"
    token = re.fullmatch(r"http://127.0.0.1:\d+/agent/(.+)/", attributes["customer_page"])
    assert token is not None
    assert contact_of(token[1]) == contact
    assert not [name for name in attributes if name.startswith(("previous", "other", "open", "identity"))]


def test_a_chat_tells_how_its_customer_was_recognised_and_of_the_other_conversation() -> None:
    before, now = ConversationFactory(account__kind="messenger"), ConversationFactory()
    merged(before, now, Method.LINK_CODE)
    attributes = context_attributes(now)
    assert attributes["customer_id"] == str(before.identity.customer_id)
    assert attributes["customer_certainty"] == "proven"
    assert attributes["customer_recognised_by"] == "link_code"
    assert attributes["customer_channels"] == "messenger,whatsapp"
    assert attributes["other_conversations"] == f"messenger {before.pk}"


def test_the_day_since_which_a_customer_is_known_is_that_of_the_organisations_clock(settings) -> None:
    settings.TIME_ZONE = "Pacific/Kiritimati"  # fourteen hours ahead
    now = ConversationFactory()
    Customer.objects.update(created_at=datetime(2026, 11, 25, 12, tzinfo=UTC))
    Identity.objects.update(created_at=datetime(2026, 11, 25, 12, tzinfo=UTC))

    assert context_attributes(now)["customer_since"] == "2026-11-26"


def test_what_a_person_decided_is_not_called_proven() -> None:
    before, now = ConversationFactory(account__kind="messenger"), ConversationFactory()
    merged(before, now, Method.PERSON)
    assert context_attributes(now)["customer_certainty"] == "decided"


@pytest.mark.parametrize(
    ("agent", "state", "last_word", "outcome"),
    [
        ("Ada", "ended", "out", "answered"),
        ("Ada", "ended", "in", "unanswered"),
        ("", "ended", "out", "no_agent"),
        ("", "failed", None, "failed"),
    ],
)
def test_a_chat_tells_how_the_last_one_ended_on_whatever_channel(agent, state, last_word, outcome) -> None:
    before, now = ConversationFactory(account__kind="messenger"), ConversationFactory()
    merged(before, now, Method.PHONE)
    at = datetime.now(UTC) - timedelta(days=2)
    fields = {"conversation": before, "started_at": at, "ended_at": at, "requested_at": at}
    contact = ContactFactory(**fields, state=state, agent_name=agent)
    if last_word:
        MessageFactory(conversation=before, contact=contact, direction=last_word)
    attributes = context_attributes(now)
    assert attributes["previous_channel"] == "messenger"
    assert attributes["previous_contact_id"] == contact.initial_contact_id
    assert attributes["previous_contact_at"] == at.isoformat(timespec="seconds")
    assert attributes["previous_contact_outcome"] == outcome
    assert attributes.get("previous_agent", "") == agent


def test_a_chat_tells_where_else_the_customer_is_waiting() -> None:
    before, now = ConversationFactory(account__kind="messenger"), ConversationFactory()
    merged(before, now, Method.PHONE)
    ContactFactory(conversation=before)
    assert context_attributes(now)["open_elsewhere"] == "messenger"


def test_a_number_with_a_new_user_id_comes_with_a_caution() -> None:
    chat = ConversationFactory()
    change = {"identity": chat.identity, "field": "bsuid", "old": "ES.1", "new": "ES.2", "source": "webhook"}
    IdentityChange.objects.create(**change, at=datetime.now(UTC))
    assert "new owner" in context_attributes(chat)["identity_caution"]


def test_facts_and_the_preferred_channel_reach_the_agent() -> None:
    chat = ConversationFactory()
    Customer.objects.update(facts={"open_orders": "2", "tier": "gold"}, preferred_channel="whatsapp")
    attributes = context_attributes(chat)
    assert (attributes["fact_open_orders"], attributes["fact_tier"]) == ("2", "gold")
    assert attributes["customer_preferred_channel"] == "whatsapp"


def test_what_an_app_above_knows_is_added_and_what_it_breaks_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    async def mood(_connection: Any, _customer: uuid.UUID) -> dict[str, str]:
        return {"last_sentiment": "-0.40"}

    async def broken(_connection: Any, _customer: uuid.UUID) -> dict[str, str]:
        raise ValueError

    monkeypatch.setattr(customer_context, "more_context", [broken, mood])
    assert context_attributes(ConversationFactory())["last_sentiment"] == "-0.40"


@given(st.lists(st.tuples(st.text(min_size=1, max_size=200), st.text(max_size=20_000)), max_size=8))
def test_whatever_is_told_connect_takes_it(pairs: list[tuple[str, str]]) -> None:
    attributes = fit(pairs)
    assert sum(len(f"{name}{value}".encode()) for name, value in attributes.items()) <= MOST_BYTES
    assert all(re.fullmatch(r"[A-Za-z0-9_-]+", name) and value for name, value in attributes.items())


def test_what_does_not_fit_is_cut_from_the_end_and_the_first_of_two_names_counts() -> None:
    attributes = fit([("a b", "first"), ("a_b", "second"), ("long", "ñ" * 20_000), ("last", "x"), ("none", "")])
    assert attributes["a_b"] == "first"
    assert len(attributes["long"].encode()) in (MOST_BYTES - len("a_bfirstlong"), MOST_BYTES - len("a_bfirstlong") - 1)
    assert "none" not in attributes


def ended(world: Any, chat: Any, agent: str) -> Contact:
    world.call("POST", f"/ccp/contacts/{chat.contact_id}/end", {"agent_id": agent})
    return until(lambda: Contact.objects.filter(state="ended").first(), "the end")


def test_a_code_from_messenger_makes_the_whatsapp_chat_name_both(aws, bridge) -> None:
    first = Phone(ChannelAccountFactory(kind="messenger"), "7001")
    second = Phone(ChannelAccountFactory(kind="whatsapp"), "+34600000007")
    first.write("Hello")
    until(lambda: aws.call("GET", "/ccp/queue"), "the first chat")
    before = Identity.objects.get()
    _, code = make_link_code(before.home_id, before.pk, by="ana")
    agent, waiting = aws.agent(), aws.call("GET", "/ccp/queue")[0]["contact_id"]
    second.write(f"Continue: {code}")
    chat = accepted(aws, agent, besides=(waiting,))
    until(lambda: Message.objects.filter(text__contains="Reply YES").exists(), "the question")
    second.write("YES")
    until(lambda: Identity.objects.filter(customer_id=before.customer_id).count() == 2, "one customer")
    ended(aws, chat, agent)
    second.write("Are you there?")
    queue = until(
        lambda: [one for one in aws.call("GET", "/ccp/queue") if one["attributes"]["channel"] == "whatsapp"], "it"
    )
    attributes = queue[0]["attributes"]
    messenger = Conversation.objects.get(identity=before)
    assert attributes["customer_id"] == str(before.customer_id)
    assert attributes["conversation_id"] == str(Conversation.objects.exclude(pk=messenger.pk).get().pk)
    assert attributes["other_conversations"] == f"messenger {messenger.pk}"
    assert attributes["customer_recognised_by"] == "link_code"
    assert attributes["open_elsewhere"] == "messenger"


@pytest.mark.parametrize("known_to_connect", [True, False])
def test_a_new_chat_shows_the_agent_the_last_one_and_says_nothing_of_it_again(
    aws, bridge, settings, known_to_connect
) -> None:
    settings.CONNECT_PERSISTENT_CHAT = "ENTIRE_PAST_SESSION"
    ana, agent = Phone(ChannelAccountFactory(kind="whatsapp")), aws.agent()
    ana.write("Hello")
    chat = accepted(aws, agent)
    chat.say("Yes?")
    until(lambda: Message.objects.filter(direction="out", text="Yes?").exists(), "the answer")
    ended(aws, chat, agent)
    past = {} if known_to_connect else {"initial_contact_id": "nobody-knows-it"}
    Contact.objects.update(ended_at=datetime.now(UTC) - timedelta(minutes=5), **past)

    ana.write("Me again")
    chat = accepted(aws, agent, besides=(chat.contact_id,))
    texts = until(lambda: "Me again" in chat.said() and chat.said(), "the new words")
    chat.say("Welcome back")
    until(lambda: Message.objects.filter(text="Welcome back").exists(), "the second answer")

    assert ("Hello" in texts) is known_to_connect
    words = ("Hello", "Yes?", "Me again", "Welcome back")
    assert sorted(Message.objects.filter(text__in=words).values_list("text", flat=True)) == sorted(words)
    assert OutboxEntry.objects.filter(text="Yes?").count() == 1


async def test_what_an_earlier_chat_said_is_not_taken_from_the_transcript_of_the_new_one(monkeypatch) -> None:
    chat = OneChat(said("long ago", -90_000, related_contact_id="past"), said("just now", 1))
    listener = chat.listener(monkeypatch)
    await listener.open(backfill=True)
    await soon(lambda: "just now" in chat.stored)
    listener.close()
    assert chat.stored == ["just now"]


def test_the_comparison_of_transcripts_looks_for_it_in_the_earlier_chat_alone() -> None:
    assert len(list(differences(Known(), [said("of this chat")]))) == 1
    assert list(differences(Known(), [said("of the earlier one", related_contact_id="past")])) == []
