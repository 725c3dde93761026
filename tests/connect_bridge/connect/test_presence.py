"""Who is in a chat: several agents, supervisors, events that come late, doubled and without a name or an id."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from connect_bridge.automation.replies import WAIT_FOR_AGENTS
from connect_bridge.connect.gateway import Item
from connect_bridge.models import Contact, ContactEvent
from tests.connect_bridge.kit import accepted, bridging, until
from tests.connect_bridge.listening.kit import OneChat, happened, said, soon
from tests.factories import BridgeFactory, ContactFactory, ConversationFactory

#: Nobody is there but a bot, or the queue.
NOBODY = (True, "")


def joined(name: str, second: float, **changes: object) -> Item:
    members = {"display_name": name, "participant_id": f"id of {name}", "contact_id": "contact"}
    return happened("participant.joined", second, **members | changes)


def left(name: str, second: float, **changes: object) -> Item:
    members = {"display_name": name, "participant_id": f"id of {name}", "contact_id": "contact"}
    return happened("participant.left", second, **members | changes)


SAM = {"participant_role": "SUPERVISOR"}
ANN_JOINED, ANN_LEFT = joined("Ann", 1), left("Ann", 3)
STORIES: dict[str, tuple[list[Item], tuple[bool, str]]] = {
    "nobody": ([], NOBODY),
    "one of two agents leaves": ([joined("Ann", 1), joined("Ben", 2), left("Ann", 3)], (False, "Ben")),
    "the one who came last leaves": ([joined("Ann", 1), joined("Ben", 2), left("Ben", 3)], (False, "Ann")),
    "both leave": ([joined("Ann", 1), joined("Ben", 2), left("Ben", 3), left("Ann", 4)], NOBODY),
    "five agents, four leave": (
        [*(joined(name, n) for n, name in enumerate("ABCDE")), *(left(name, n + 9) for n, name in enumerate("ABDE"))],
        (False, "C"),
    ),
    "told twice": ([ANN_JOINED, ANN_JOINED, joined("Ben", 2), ANN_LEFT, ANN_LEFT], (False, "Ben")),
    "told late": ([left("Ann", 3), joined("Ben", 2), joined("Ann", 1)], (False, "Ben")),
    "left before it was told that they came": ([left("Ann", 3), joined("Ann", 1)], NOBODY),
    "back after their network was lost": ([joined("Ann", 1), left("Ann", 2), joined("Ann", 3)], (False, "Ann")),
    "back under another id": (
        [joined("Ann", 1), left("Ann", 2), joined("Ann", 3, participant_id="another")],
        (False, "Ann"),
    ),
    "two of one name": (
        [joined("Ann", 1), joined("Ann", 2, participant_id="another"), left("Ann", 3)],
        (False, "Ann"),
    ),
    "a supervisor looks in": ([joined("Ann", 1), joined("Sam", 2, **SAM)], (False, "Ann")),
    "a supervisor stays alone": ([joined("Ann", 1), joined("Sam", 2, **SAM), left("Ann", 3)], (False, "")),
    "a supervisor came and went": ([joined("Ann", 1), joined("Sam", 2, **SAM), left("Sam", 3, **SAM)], (False, "Ann")),
    "a bot and the customer are no persons": (
        [joined("Bot", 1, participant_role="CUSTOM_BOT"), joined("Jane", 2, participant_role="CUSTOMER")],
        NOBODY,
    ),
    "without ids": (
        [joined("Ann", 1, participant_id=""), joined("Ben", 2, participant_id=""), left("Ann", 3, participant_id="")],
        (False, "Ben"),
    ),
    "came without an id, left with one": ([joined("Ann", 1, participant_id=""), left("Ann", 2)], NOBODY),
    "left without an id": ([joined("Ann", 1), joined("Ben", 2), left("Ann", 3, participant_id="")], (False, "Ben")),
    "left without a name, the only one": ([joined("Ann", 1), left("", 3, participant_id="")], NOBODY),
    "left without a role": ([joined("Ann", 1), left("Ann", 2, participant_role="")], NOBODY),
    "nobody in particular": ([joined("", 1, participant_id="", participant_role=""), ANN_JOINED], (False, "Ann")),
    "idle, inactive and back": (
        [ANN_JOINED, *(happened(f"participant.{what}", 2) for what in ("idle", "returned", "inactive", "active"))],
        (False, "Ann"),
    ),
    "a transfer that failed": ([ANN_JOINED, happened("transfer.failed", 2, participant_role="")], (False, "Ann")),
    "a transfer": (
        [ANN_JOINED, left("Ann", 2), happened("transfer.succeeded", 3, participant_role=""), joined("Ben", 4)],
        (False, "Ben"),
    ),
    "a warm transfer": (
        [ANN_JOINED, joined("Ben", 2), happened("transfer.succeeded", 3, participant_role=""), left("Ann", 4)],
        (False, "Ben"),
    ),
    "another name": (
        [ANN_JOINED, happened("participant.displayname.updated", 2, display_name="Anna", participant_id="id of Ann")],
        (False, "Anna"),
    ),
    "times written in two ways": (
        [
            joined("Ann", 1, absolute_time="2026-01-01T00:00:01.5Z"),
            left("Ann", 1, absolute_time="2026-01-01T00:00:01.250Z"),
        ],
        (False, "Ann"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("events", "there"), STORIES.values(), ids=STORIES)
@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "one by one"])
async def test_who_is_there_is_who_came_and_did_not_leave(monkeypatch, events, there, at_once):
    chat = OneChat(*(events if at_once else ()))
    listener = chat.listener(monkeypatch)
    await listener.open(backfill=True)
    for event in () if at_once else events:
        chat.lines[-1].bring(event)
        await listener.processor.settled()
    assert (listener.chat.bot, listener.processor.presence.agent) == there
    if events:
        chat.lines[-1].bring(said("so that everything was taken", 60))
        await soon(lambda: chat.stored)
    assert (listener.chat.bot, listener.processor.presence.agent) == there


async def test_whoever_takes_over_knows_who_is_there_before_the_transcript_can_be_read(monkeypatch):
    chat = OneChat()
    listener = chat.listener(
        monkeypatch,
        events=[
            ("id of Ann", "AGENT", "joined", "Ann", "2026-01-01T00:00:01+00:00"),
            ("id of Ben", "AGENT", "joined", "Ben", "2026-01-01T00:00:02+00:00"),
        ],
    )
    await listener.open(backfill=False)
    chat.lines[-1].bring(left("Ann", 3))
    await listener.processor.settled()
    assert (listener.chat.bot, listener.processor.presence.agent) == (False, "Ben")


def the_chat() -> Contact:
    return Contact.objects.get(state="connected")


@pytest.mark.django_db(transaction=True)
def test_of_two_agents_one_leaves_and_the_other_is_still_there_for_every_bridge(aws, pointed_at, phone):
    ann, ben, sam = aws.agent(), aws.agent("Ben"), aws.agent("Sam")
    with bridging(killed=True):
        phone.write("Hello")
        first = accepted(aws, ann)
        for agent, role in ((ben, "AGENT"), (sam, "SUPERVISOR")):
            aws.call("POST", f"/ccp/contacts/{first.contact_id}/join", {"agent_id": agent, "role": role})
        until(lambda: ContactEvent.objects.count() == 3, "all three")
        assert (the_chat().agent_name, the_chat().bot) == ("Ben", False)
        aws.call("POST", f"/ccp/contacts/{first.contact_id}/end", {"agent_id": ben})
        until(lambda: ContactEvent.objects.filter(kind="left", name="Ben").exists(), "that Ben left")
        until(lambda: the_chat().agent_name == "Ann", "the one who is there")
        assert the_chat().bot is False
    with bridging():
        phone.write("still there?")
        until(lambda: first.said()[-1:] == ["still there?"], "the next bridge's relay")
        assert (the_chat().agent_name, the_chat().bot) == ("Ann", False)
        aws.call("POST", f"/ccp/contacts/{first.contact_id}/end", {"agent_id": ann})
        until(lambda: Contact.objects.filter(state="ended"), "the end")
    assert list(ContactEvent.objects.filter(kind="joined").order_by("at").values_list("role", "name")) == [
        ("AGENT", "Ann"), ("AGENT", "Ben"), ("SUPERVISOR", "Sam"),
    ]  # fmt: skip


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("changes", "is_told"),
    [({}, True), ({"bot": False}, False), ({"agent_name": "Ann"}, False), ({"agent_name": "Ann", "bot": False}, False)],
    ids=["nobody yet", "a supervisor", "an agent who has left", "an agent"],
)
def test_customers_are_told_of_busy_agents_only_where_none_has_come(changes, is_told):
    bridge = BridgeFactory()
    long_ago = timezone.now() - timedelta(hours=1)
    conversation = ConversationFactory(owner=bridge)
    contact = ContactFactory(conversation=conversation, requested_at=long_ago, **{"bot": True, **changes})
    asked = {"accounts": [conversation.account_id], "bridge": bridge.pk, "most": 9}
    with connection.cursor() as cursor:
        cursor.execute(WAIT_FOR_AGENTS, asked)
        assert [row[0] for row in cursor.fetchall()] == [contact.pk] * is_told
