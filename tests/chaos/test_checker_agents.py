"""Each promise about agents' words, broken on purpose: the checker names it, and names no other."""

from __future__ import annotations

import pytest

from tests.chaos.checker_kit import Story
from tests.chaos.evidence import say


def test_what_the_customer_received_and_nobody_said_is_out_of_the_blue(story: Story):
    story.arrive("Buy now!")
    assert story.broken() == {"b nothing out of the blue"}


def test_what_parley_tells_the_agent_is_for_the_agent_alone(story: Story):
    story.frame("notice", "CUSTOM_BOT", f"Not delivered: {say(0, 1, 2)}")
    story.frame("marked", "CUSTOMER", f"[Parley: not delivered] {say(0, 1, 2)}")
    assert story.broken() == set()
    story.arrive("Not delivered")
    assert story.broken() == {"b nothing out of the blue"}


def test_an_agents_answer_to_a_notice_is_no_copy_of_what_it_quotes(story: Story):
    answer = f"re: [Parley: not delivered] The customer did not get: {say(0, 1, 2)}"
    story.frame("answer", "AGENT", answer)
    story.arrive(answer)
    story.store("answer", "out", answer, "accepted")
    assert story.broken() == set()


def test_what_an_agent_said_and_nobody_captured_is_lost(story: Story):
    story.ledger.remove(story.find("phone.received", text=f"re: {say(0, 1, 2)}"))
    story.messages.pop(3)
    assert story.broken() == {"e nothing lost on the way out"}


def test_what_is_shown_as_accepted_and_never_arrived_is_lost(story: Story):
    story.ledger.remove(story.find("phone.received", text=f"re: {say(0, 1, 2)}"))
    assert story.broken() == {"e nothing lost on the way out"}


@pytest.mark.parametrize("status", ["failed", "uncertain"])
def test_what_never_arrived_and_is_shown_so_is_not_lost(story: Story, status: str):
    story.ledger.remove(story.find("phone.received", text=f"re: {say(0, 1, 2)}"))
    story.messages[3]["status"] = status
    assert story.broken() == set()


def test_of_two_that_say_the_same_the_one_that_failed_is_not_missed(story: Story):
    for number in (8, 9):
        story.frame(f"bye{number}", "SYSTEM", "Goodbye.")
        story.store(f"bye{number}", "out", "Goodbye.", "accepted")
    story.arrive("Goodbye.")
    assert story.broken() == {"e nothing lost on the way out"}
    story.messages[-2]["status"] = "failed"  # the first, so that the copy is the second's
    assert story.broken() == set()


def test_what_nobody_could_hear_before_the_chat_ended_is_not_lost_if_that_is_shown(story: Story):
    story.frame("bye", "SYSTEM", "Goodbye.")
    assert story.broken() == {"e nothing lost on the way out"}
    story.contacts[0]["reason"] = "The chat ended while nobody listened: what was said last may be missing"
    assert story.broken() == set()


def test_what_the_world_swallowed_is_not_lost_if_the_chat_ended_before_anybody_could_compare(story: Story):
    story.frame("bye", "SYSTEM", "Goodbye.")
    story.world("connect.ended", initial_contact_id="chat")
    assert story.broken() == {"e nothing lost on the way out"}
    story.ledger[-2]["deaf"] = ["CUSTOMER"]
    assert story.broken() == set()
    story.ledger[-1]["at"] = len(story.ledger) + 200.0
    assert story.broken() == {"e nothing lost on the way out"}
    story.ledger[-1]["at"] = len(story.ledger) + 1.0
    story.world("participant.GetTranscript", initial_contact_id="chat", status=200, reset=True)
    assert story.broken() == set()
    story.ledger[-1]["reset"] = False
    assert story.broken() == {"e nothing lost on the way out"}


def test_what_could_still_be_read_before_the_chat_ended_is_lost(story: Story):
    story.frame("bye", "SYSTEM", "Goodbye.")
    story.world("participant.GetTranscript", initial_contact_id="chat", status=200)
    story.contacts[0]["reason"] = "The chat ended while nobody listened: what was said last may be missing"
    assert story.broken() == {"e nothing lost on the way out"}


def test_what_a_bridge_read_and_died_before_storing_was_heard_by_nobody(story: Story):
    story.frame("bye", "SYSTEM", "Goodbye.")
    story.world("participant.GetTranscript", initial_contact_id="chat", status=200)
    story.contacts[0]["reason"] = "The chat ended while nobody listened: what was said last may be missing"
    story.journal.append({"what": "fault.kill", "process": "bridge1", "at": len(story.ledger) - 0.5})
    assert story.broken() == set()


def test_a_second_copy_without_a_word_is_doubled(story: Story):
    story.arrive(f"re: {say(0, 1, 2)}")
    assert story.broken() == {"f doubled only after doubt"}


def test_a_second_copy_that_nothing_explains_is_doubled_even_if_it_is_shown(story: Story):
    story.arrive(f"re: {say(0, 1, 2)}")
    story.messages[3]["status"] = "uncertain"
    assert story.broken() == {"f doubled only after doubt"}


def test_a_second_copy_after_a_lost_answer_is_excused_if_it_is_shown(story: Story):
    story.arrive(f"re: {say(0, 1, 2)}")
    story.messages[3]["status"] = "uncertain"
    story.find("graph.send", text=f"re: {say(0, 1, 2)}")["cut"] = True
    assert story.broken() == set()


def test_a_second_copy_after_a_worker_died_is_excused_if_it_is_shown(story: Story):
    story.arrive(f"re: {say(0, 1, 2)}")
    story.sends[1]["possible_duplicate"] = True
    story.journal.append({"what": "fault.kill", "process": "worker"})
    assert story.broken() == set()


def test_what_arrives_in_another_order_than_it_was_said_is_out_of_order(story: Story):
    one, two = (story.find("phone.received", text=f"re: {say(0, 1, number)}") for number in (1, 2))
    one["text"], two["text"] = two["text"], one["text"]
    assert story.broken() == {"d in order for the customer"}
