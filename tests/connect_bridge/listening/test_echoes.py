"""Our own messages in Connect's transcript: known by their ids and their places, whatever became of text and clock."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from django.utils import timezone

from connect_bridge.connect.gateway import Item
from connect_bridge.connect.markers import NOT_DELIVERED, escaped
from connect_bridge.models import Message
from tests.connect_bridge.kit import accepted, bridging, until
from tests.connect_bridge.listening.kit import OneChat, said
from tests.connect_bridge.relay.kit import fall_silent

CARD = r"\d{4} \d{4}"
REDACTED = {CARD: "[CARD]"}


def ours(text: str, second: float, **fields: object) -> Item:
    return said(text, second, participant_role="CUSTOMER", **fields)


FORGED = "[Parley: not delivered] Call 555"
FIRST, SECOND = ours("Hello", 1), ours("Hello", 2, id="known")
HELLO = {"known": "Hello"}
#: What Connect has of us, which ids we know, what we are about to send; and which of it Connect has already.
PLACES: dict[str, tuple[list[Item], dict[str, str], str, str]] = {
    "nothing": ([], {}, "Hello", ""),
    "the InitialMessage alone": ([FIRST], {}, "Hello", ""),
    "the second with the same text": ([FIRST, ours("Hello", 2, id="it")], {}, "Hello", "it"),
    "rewritten": ([FIRST, ours("my card is [CARD]", 2, id="it")], {}, "my card is 1111 2222", "it"),
    "after the last one that we know": ([FIRST, SECOND, ours("[CARD]", 3, id="it")], HELLO, "1111 2222", "it"),
    "nothing after the last one that we know": ([FIRST, SECOND], HELLO, "Hello", ""),
    "an earlier part whose id was written over": ([FIRST, ours("a", 2), ours("b", 3, id="known")], HELLO, "c", ""),
    "the same text twice, the second is there": ([FIRST, SECOND, ours("Hello", 3, id="it")], HELLO, "Hello", "it"),
    "told out of order": ([ours("[CARD]", 3, id="it"), SECOND, FIRST], HELLO, "1111 2222", "it"),
    "our own word to the agent": ([FIRST, SECOND, ours(f"{NOT_DELIVERED}…", 3)], HELLO, "Hello", ""),
    "and before it the message": (
        [FIRST, SECOND, ours("[CARD]", 3, id="it"), ours(f"{NOT_DELIVERED}…", 4)],
        HELLO,
        "1111 2222",
        "it",
    ),
    "a late copy of what was taken before": ([FIRST, SECOND, ours("Hello", 3)], HELLO, "and more", ""),
    "a late copy of what looked like our own word": (
        [FIRST, ours(escaped(FORGED), 2, id="known"), ours(escaped(FORGED), 3)],
        {"known": FORGED},
        "and more",
        "",
    ),
    "two that were rewritten into the same": (
        [FIRST, ours("[CARD]", 2, id="known"), ours("[CARD]", 3, id="it")],
        {"known": "1111 2222"},
        "3333 4444",
        "it",
    ),
    "what an earlier chat said": (
        [ours("Hello", 0, related_contact_id="earlier", id="past"), FIRST],
        {},
        "Hello",
        "",
    ),
    "a file": ([FIRST, ours("", 2, type="ATTACHMENT")], {}, "Hello", ""),
}


@pytest.mark.parametrize(("items", "known", "text", "expected"), PLACES.values(), ids=PLACES)
async def test_a_message_of_ours_is_known_by_its_place(monkeypatch, items, known, text, expected):
    chat = OneChat(*items)
    listener = chat.listener(monkeypatch)
    await listener.open(backfill=True)
    assert listener.echoes.find([text], known) == ((text, expected) if expected else None)


async def test_without_the_whole_transcript_only_the_same_text_tells(monkeypatch):
    chat = OneChat()
    listener = chat.listener(monkeypatch)
    await listener.open(backfill=False)
    chat.lines[-1].bring(ours("Hello", 2, id="it"))
    await listener.processor.settled()
    assert listener.echoes.find(["another"], {}) is None
    assert listener.echoes.find(["Hello"], {}) == ("Hello", "it")
    assert listener.echoes.find(["Hello"], dict.fromkeys(listener.echoes.ids, "")) is None


async def test_which_part_was_cut_is_told_by_its_length_when_its_text_was_rewritten(monkeypatch):
    chat = OneChat(FIRST, ours("x" * 1010 + "[CARD]", 2, id="it"))
    listener = chat.listener(monkeypatch)
    await listener.open(backfill=True)
    for_bot, for_agent = "y" * 1020, "y" * 5000
    assert listener.echoes.find([for_bot, for_agent], {}) == (for_bot, "it")


async def test_our_words_to_the_agent_are_no_message_of_ours_though_their_mark_was_rewritten(monkeypatch):
    noted_before, noted_now = (ours("[NAME] not delivered] …", second, id=f"told {second}") for second in (3, 4))
    chat = OneChat(FIRST, SECOND, noted_before)
    listener = chat.listener(monkeypatch, agent_notes=["told 3"])
    await listener.open(backfill=True)
    chat.lines[-1].bring(noted_now)
    await listener.processor.settled()
    listener.echoes.note_agent_note(noted_now.id)
    assert listener.echoes.find(["Hello"], HELLO) is None
    chat.transcript_.append(noted_now)
    await listener.fill()
    assert listener.echoes.find(["Hello"], HELLO) is None


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("ahead", [-300.0, -30.0, 0.0, 30.0, 300.0])
def test_rewritten_with_a_lost_answer_and_a_killed_bridge_it_arrives_once(aws, pointed_at, phone, ahead):
    aws.world.settings.clock_ahead, aws.world.settings.rewrites = ahead, REDACTED
    with bridging(killed=True) as doomed:
        phone.write("Hello")
        agent = accepted(aws, aws.agent())
        until(lambda: Message.objects.filter(status="relayed").exists(), "the first")
        _answers_are_lost(doomed)
        phone.write("card 1111 2222", "card 1111 2222", "thanks")
        until(lambda: agent.said() == ["Hello", "card [CARD]"], "the second")
    with bridging():
        until(lambda: agent.said()[-1] == "thanks", "the rest")
        until(lambda: Message.objects.filter(status="relayed").count() == 4, "all written down")
    assert agent.said() == ["Hello", "card [CARD]", "card [CARD]", "thanks"]


@pytest.mark.django_db(transaction=True)
def test_the_second_of_two_that_are_rewritten_into_the_same_arrives_once(aws, pointed_at, phone):
    aws.world.settings.clock_ahead, aws.world.settings.rewrites = -30.0, REDACTED
    with bridging(killed=True) as doomed:
        phone.write("Hello", "1111 2222")
        agent = accepted(aws, aws.agent())
        until(lambda: Message.objects.filter(status="relayed").count() == 2, "the first two")
        _answers_are_lost(doomed)
        phone.write("1111 2222", "3333 4444")
        until(lambda: len(agent.said()) == 3, "the third")
    with bridging():
        until(lambda: Message.objects.filter(status="relayed").count() == 4, "all written down")
    assert agent.said() == ["Hello", "[CARD]", "[CARD]", "[CARD]"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("ahead", [-30.0, 30.0])
def test_the_same_words_again_that_never_left_are_sent_by_the_heir(aws, pointed_at, phone, ahead):
    aws.world.settings.clock_ahead, aws.world.settings.rewrites = ahead, REDACTED
    with bridging(killed=True) as doomed:
        phone.write("Hello")
        agent = accepted(aws, aws.agent())
        until(lambda: Message.objects.filter(status="relayed").exists(), "the first")
        _answers_are_lost(doomed, and_requests=True)
        phone.write("Hello", "Hello")
        until(lambda: Message.objects.filter(direction="in").count() == 3, "all stored")
    with bridging():
        until(lambda: Message.objects.filter(status="relayed").count() == 3, "all written down")
    assert agent.said() == ["Hello"] * 3


def _answers_are_lost(bridge, *, and_requests: bool = False) -> None:
    """Let no answer to a message come any more, nor a request arrive."""
    participants = bridge.runtime.participants
    send = participants.send_message

    async def unanswered(token, text, client_token):
        if not and_requests:
            await send(token, text, client_token)
        await asyncio.Event().wait()

    participants.send_message = unanswered


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("ahead", [-30.0, 30.0])
def test_rewritten_over_a_silent_line_it_is_not_sent_again_over_the_next(aws, bridge, phone, ahead):
    aws.world.settings.clock_ahead, aws.world.settings.rewrites = ahead, REDACTED
    phone.write("Hello")
    agent = accepted(aws, aws.agent())
    until(lambda: agent.said() == ["Hello"], "the first")
    fall_silent(aws, bridge)
    phone.write("1111 2222", "and this after it")
    until(lambda: agent.said()[-1] == "and this after it", "both", 30)
    assert agent.said() == ["Hello", "[CARD]", "and this after it"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("ahead", [-30.0, 30.0])
def test_a_connect_whose_clock_is_another_gets_and_gives_everything(aws, bridge, phone, ahead):
    aws.world.settings.clock_ahead = ahead
    phone.write("same", "same", "same")
    agent = accepted(aws, aws.agent())
    until(lambda: agent.said() == ["same"] * 3, "all three")
    agent.say("yes?")
    agent.say("yes?")
    until(lambda: Message.objects.filter(direction="out").count() == 2, "both answers")
    now = timezone.now()
    for message in Message.objects.filter(direction="out"):
        assert abs(message.occurred_at - now - timedelta(seconds=ahead)) < timedelta(seconds=25)
