"""Gaps between Connect's transcripts and the database, each kind planted in a simulated world, and named."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import timezone

from connect_bridge.connect.markers import LAST_TIME, NOT_DELIVERED
from connect_bridge.models import Message, Notice
from connect_bridge.reconcile import chats
from sandbox.world.faults import Fault
from tests.connect_bridge.reconcile.kit import Talk, gaps_of, report
from tests.factories import (
    OutboxEntryFactory,
)
from tests.sandbox.kit import RunningWorld

pytestmark = pytest.mark.django_db(transaction=True)


def test_where_all_agree_nothing_is_missing(world: RunningWorld) -> None:
    talk = Talk(world)
    talk.asked("Hello")
    talk.answered("Yes?")
    talk.asked("a long", " text in", " three parts")
    talk.asked("Hello")
    talk.answered("Yes?")
    code, printed = report()
    assert (code, printed["gaps"], printed["not_compared"]) == (0, [], [])
    assert printed["compared"] == {"conversations": 1, "open_chats": 1, "accounts": 1}


def test_what_only_connect_has_of_its_side_is_named(world: RunningWorld) -> None:
    talk = Talk(world)
    talk.asked("Hello")
    lost = talk.answered("lost", kept=False)
    talk.answered("heard")
    assert gaps_of() == [("not_here", str(lost.id))]


def test_what_was_said_a_moment_ago_may_be_on_its_way(world: RunningWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chats, "SETTLED", timedelta(seconds=90))
    talk = Talk(world)
    talk.answered("just said", kept=False)
    talk.asked("just relayed", kept=False)
    assert gaps_of() == []


def test_what_counts_as_relayed_and_connect_lacks_is_named(world: RunningWorld) -> None:
    talk = Talk(world)
    lost = talk.stored(text="Hello", relayed=5, connect_item_id="nobody-has-it")
    talk.asked("Hello")
    assert gaps_of() == [("not_in_connect", str(lost.id))]


def test_a_message_of_which_connect_lacks_a_part_is_named(world: RunningWorld) -> None:
    talk = Talk(world)
    first, last = talk.customer.say("one ")["Id"], talk.customer.say("three")["Id"]
    cut = talk.stored(text="one two three", relayed=13, connect_item_id=last)
    assert first
    assert gaps_of() == [("not_in_connect", str(cut.id))]


def test_a_message_that_began_in_a_former_chat_is_not(world: RunningWorld) -> None:
    talk = Talk(world)
    last = talk.customer.say("and its end")["Id"]
    talk.stored(text="its beginning and its end", relayed=25, connect_item_id=last)
    assert gaps_of() == []


def test_the_initial_message_has_no_id_and_is_known_by_its_text(world: RunningWorld) -> None:
    talk = Talk(world)
    talk.customer.say("Hello")
    talk.stored(text="Hello", relayed=5, connect_item_id=None)
    assert gaps_of() == []


#: What Connect has of a text: stretches of nothing but blanks are never sent.
BLANKS: dict[str, tuple[str, list[str], bool]] = {
    "between two parts": ("a" + "\n" * 2500 + "b", ["a" + "\n" * 1023, "\n" * 453 + "b"], True),
    "at the end": ("x" * 1024 + "\n", ["x" * 1024], True),
    "at the end of the InitialMessage": ("x" * 1024 + "\n" * 1500, ["x" * 1024], False),
    "before the InitialMessage": ("\n" * 1500 + "abc", ["\n" * 476 + "abc"], False),
}


@pytest.mark.parametrize(("text", "parts", "named"), BLANKS.values(), ids=BLANKS)
def test_blanks_that_are_never_sent_are_not_missing(
    world: RunningWorld, text: str, parts: list[str], *, named: bool
) -> None:
    talk = Talk(world)
    items = [talk.customer.say(part)["Id"] for part in parts]
    talk.stored(text=text, relayed=len(text), connect_item_id=items[-1] if named else None)
    assert gaps_of() == []


def test_what_is_in_the_chat_twice_is_named(world: RunningWorld) -> None:
    talk = Talk(world)
    talk.asked("Hello")
    doubled = talk.customer.say("Hello")["Id"]
    assert gaps_of() == [("not_ours", doubled)]


def test_what_connect_rewrote_in_flight_is_named_as_that_and_not_as_missing(world: RunningWorld) -> None:
    world.world.settings.rewrites = {"secret": "[PII]"}
    talk = Talk(world)
    first = talk.stored(text="a secret", relayed=8, connect_item_id=None)
    talk.customer.say("a secret")
    plain, one = talk.asked("nothing to hide"), talk.asked("my secret")
    long = talk.asked("x" * 1000 + "secret ", "and its end")
    again = talk.asked("my secret")
    code, printed = report()
    assert [one["id"] for one in printed["rewritten"]] == [str(message.id) for message in (first, one, long, again)]
    assert (code, printed["gaps"], plain.sequence) == (0, [], 2)
    out = StringIO()
    with pytest.raises(SystemExit):
        call_command("reconcile", stdout=out)
    assert f"rewritten: message {one.id}" in out.getvalue()
    assert "No gap was found, and 4 rewritten" in out.getvalue()


def test_a_doubled_message_and_a_lost_one_are_told_though_others_were_rewritten(world: RunningWorld) -> None:
    world.world.settings.rewrites = {"secret": "[PII]"}
    talk = Talk(world)
    one = talk.asked("my secret")
    doubled = talk.customer.say("my secret")["Id"]
    lost = talk.stored(text="a secret", relayed=8, connect_item_id="nobody-has-it")
    code, printed = report()
    assert (code, [each["id"] for each in printed["rewritten"]]) == (3, [str(one.id)])
    assert sorted(gaps_of()) == [("not_in_connect", str(lost.id)), ("not_ours", doubled)]


@pytest.mark.parametrize("ahead", [-400.0, 400.0])
def test_what_is_young_is_judged_by_connects_clock(
    world: RunningWorld, monkeypatch: pytest.MonkeyPatch, ahead: float
) -> None:
    world.world.settings.clock_ahead = ahead
    monkeypatch.setattr(chats, "SETTLED", timedelta(seconds=90))
    talk = Talk(world)
    talk.asked("Hello")
    talk.answered("just said", kept=False)
    assert gaps_of() == []
    monkeypatch.setattr(chats, "SETTLED", timedelta(seconds=-5))
    assert [kind for kind, _ in gaps_of()] == ["not_here"]


def test_what_is_stored_as_said_and_connect_does_not_know_is_named(world: RunningWorld) -> None:
    talk = Talk(world)
    talk.answered("heard")
    gone = talk.stored(direction="out", role="AGENT", connect_item_id="nobody-has-it", status="accepted")
    OutboxEntryFactory(message=gone, state="accepted", provider_message_ids=["given"])
    assert gaps_of() == [("not_said", str(gone.id))]


@pytest.mark.parametrize("direction", ["asked", "answered"])
def test_another_order_is_named(world: RunningWorld, direction: str) -> None:
    talk = Talk(world)
    one, two, three = (getattr(talk, direction)(text) for text in ("one", "two", "three"))
    last = three.sequence
    Message.objects.filter(pk=two.pk).update(sequence=last + 1)
    Message.objects.filter(pk=three.pk).update(sequence=last - 1)
    Message.objects.filter(pk=two.pk).update(sequence=last)
    assert gaps_of() == [("order", str(two.id))]
    assert one.sequence == 1


def test_our_own_words_to_the_agent_and_automatic_replies_are_not_taken_for_gaps(world: RunningWorld) -> None:
    talk = Talk(world)
    failed = talk.stored(direction="out", role="SYSTEM", connect_item_id="holding reply", status="accepted")
    OutboxEntryFactory(message=failed, state="accepted", provider_message_ids=["given"])
    greeting = talk.stored(
        direction="out", role="SYSTEM", connect_item_id="greeting 0123456789abcdef", status="accepted"
    )
    OutboxEntryFactory(message=greeting, state="accepted", provider_message_ids=["greeted"])
    talk.bot_named("Parley: not delivered").say("as former versions said it")
    talk.customer.say(f"{NOT_DELIVERED}Not delivered to the customer: …")
    talk.customer.say(f"{LAST_TIME}Messenger, …")
    other = talk.customer.say("[removed] by Connect on its way, but noted as ours")["Id"]
    answer = timezone.now()
    Notice.objects.create(message=failed, contact=talk.contact, item_id=other, created_at=answer, told_at=answer)
    assert gaps_of() == []


def test_a_chat_that_connect_closed_without_a_bridge_noticing_is_not_compared_and_says_so(world: RunningWorld) -> None:
    talk = Talk(world)
    world.connect.stop_contact(InstanceId="instance", ContactId=talk.customer.contact_id)
    code, printed = report()
    assert (code, printed["gaps"]) == (1, [])
    assert "403" in printed["not_compared"][0]["why"]


def test_connect_that_is_busy_is_asked_again(world: RunningWorld) -> None:
    talk = Talk(world)
    lost = talk.answered("lost", kept=False)
    world.world.faults.on.append(Fault(name="throttle", target="GetTranscript", times=2))
    assert gaps_of() == [("not_here", str(lost.id))]


def test_no_text_and_no_token_is_told(world: RunningWorld) -> None:
    talk = Talk(world)
    talk.answered("a secret answer", kept=False)
    talk.stored(text="a secret question", relayed=17, connect_item_id="nobody-has-it")
    said = StringIO()
    with pytest.raises(SystemExit):
        call_command("reconcile", stdout=said)
    lines = said.getvalue().splitlines()
    assert [line.partition(":")[0] for line in lines[:3]] == ["not_here", "not_in_connect", "note"]
    assert "secret" not in said.getvalue()
    assert talk.customer.token not in said.getvalue()
    assert lines[-1].endswith("2 gaps: 1 not_here, 1 not_in_connect.")
