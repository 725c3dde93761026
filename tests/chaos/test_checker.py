"""The checker holds runs against the promises, so it is held against runs that keep them and runs that break one."""

from __future__ import annotations

import pytest

from tests.chaos.checker import judge
from tests.chaos.checker_kit import Story
from tests.chaos.evidence import FORGED, say
from tests.chaos.report import summary, takeovers

AGREE = "j transcripts agree"


def test_a_run_that_keeps_every_promise_breaks_none(story: Story):
    assert story.broken() == set()


def test_what_was_answered_2xx_and_never_seen_is_lost(story: Story):
    story.ledger.remove(story.find("ws.frame", item_id="in2"))
    assert story.broken() == {"a acknowledged is never lost", AGREE}


def test_what_nobody_took_may_be_missing(story: Story):
    story.ledger.remove(story.find("ws.frame", item_id="in2"))
    story.messages.pop(2)
    story.find("webhook.messenger", message_id="m2")["status"] = 503
    assert story.broken() == set()


def test_what_nobody_wrote_is_unexpected(story: Story):
    story.frame("odd", "CUSTOMER", say(0, 1, 77))
    assert story.broken() == {"b nothing unexpected"}


def test_a_forged_message_is_unexpected_wherever_it_shows(story: Story):
    story.frame("odd", "CUSTOMER", FORGED)
    assert story.broken() == {"b nothing unexpected"}


def test_a_forged_webhook_that_is_taken_is_unexpected(story: Story):
    story.world("webhook.messenger", event="message", text=FORGED, message_id="mX", status=200, forged=True)
    assert story.broken() == {"b nothing unexpected"}


def test_an_attack_that_is_answered_200_is_unexpected(story: Story):
    story.journal.append({"what": "attack", "answers": [401, 401]})
    assert story.broken() == set()
    story.journal.append({"what": "attack", "answers": [200, 401]})
    assert story.broken() == {"b nothing unexpected"}


def test_what_the_agent_sees_twice_is_doubled(story: Story):
    story.frame("in2 again", "CUSTOMER", say(0, 1, 2))
    assert story.broken() == {"c once for the agent"}


def test_a_repetition_is_excused_only_in_a_new_chat_after_one_that_ended_unheard(story: Story):
    story.ledger.append({**story.find("ws.frame", item_id="in3"), "item_id": "in3 again", "initial_contact_id": "new"})
    assert story.broken() == {"c once for the agent"}
    story.contacts[0]["reason"] = "The chat ended while nobody listened: what was said last may be missing"
    assert story.broken() == set()


def test_what_the_socket_lost_may_come_late_and_nothing_else(story: Story):
    one, two = (story.find("phone.received", text=f"re: {say(0, 1, number)}") for number in (1, 2))
    one["text"], two["text"] = two["text"], one["text"]
    said = story.ledger.index(story.find("ws.frame", item_id="out1"))
    story.journal += [{"what": "fault.world.frame_drop", "at": said - 0.5}, {"what": "healed", "at": said + 0.5}]
    assert story.broken() == set()
    story.journal[0]["at"] = story.journal[1]["at"] = 1000.0
    assert story.broken() == {"d in order for the customer"}


def test_a_message_that_overtakes_another_is_out_of_order(story: Story):
    one, two = story.find("ws.frame", item_id="in1"), story.find("ws.frame", item_id="in2")
    story.ledger.remove(two)
    story.ledger.insert(story.ledger.index(one), two)
    assert "d in order for the agent" in story.broken()


def test_a_message_stored_before_an_earlier_one_that_was_already_taken_is_out_of_order(story: Story):
    one, two = (story.find("ws.frame", item_id=item) for item in ("in1", "in2"))
    one["text"], two["text"] = two["text"], one["text"]
    story.messages[0]["sequence"], story.messages[2]["sequence"] = 2, 0
    assert "d in order for the agent" in story.broken()


def test_parts_that_do_not_stand_together_are_out_of_order(story: Story):
    text = say(0, 1, 4, 4)
    story.world("phone.message", text=text, message_id="m4")
    story.frame("part 1", "CUSTOMER", " ".join(text.split()[:2]))
    story.world("phone.message", text=say(0, 1, 5), message_id="m5")
    story.frame("between", "CUSTOMER", say(0, 1, 5))
    story.frame("part 2", "CUSTOMER", " ".join(text.split()[2:]))
    assert story.broken() == {"d in order for the agent"}


def test_parts_in_their_order_are_one_message(story: Story):
    text = say(0, 1, 4, 4)
    story.world("phone.message", text=text, message_id="m4")
    story.frame("part 1", "CUSTOMER", " ".join(text.split()[:2]))
    story.frame("part 2", "CUSTOMER", " ".join(text.split()[2:]))
    assert story.broken() == set()


def test_what_reaches_another_tenants_agent_crosses_tenants(story: Story):
    story.find("connect.StartChatContact")["attributes"] = {"channel_address": "page-1"}
    assert story.broken() == {"g nobody crosses tenants"}


def test_what_reaches_another_tenants_customer_crosses_tenants(story: Story):
    story.find("phone.received", text=f"re: {say(0, 1, 3)}")["address"] = "page-1"
    assert "g nobody crosses tenants" in story.broken()


def test_a_new_owner_under_the_old_fence_breaks_the_fence(story: Story):
    story.journal += [
        {"what": "owner", "conversation": "c", "owner": "A", "fence": 1},
        {"what": "owner", "conversation": "c", "owner": "B", "fence": 1},
    ]
    assert story.broken() == {"h fences only grow"}


def test_a_fence_that_falls_is_broken(story: Story):
    story.journal += [
        {"what": "owner", "conversation": "c", "owner": "A", "fence": 2},
        {"what": "owner", "conversation": "c", "owner": "", "fence": 1},
    ]
    assert story.broken() == {"h fences only grow"}


def test_a_takeover_with_a_higher_fence_is_right(story: Story):
    story.journal += [
        {"what": "owner", "conversation": "c", "owner": "A", "fence": 1},
        {"what": "owner", "conversation": "c", "owner": "", "fence": 1},
        {"what": "owner", "conversation": "c", "owner": "B", "fence": 2},
    ]
    assert story.broken() == set()


@pytest.mark.parametrize("queue", ["intake", "relay", "outbox"])
def test_what_still_waits_after_the_drain_is_stuck(story: Story, queue: str):
    story.waiting[queue] = 1
    assert story.broken() == {"i nothing waits"}


def test_an_item_that_connect_does_not_know_is_no_transcript(story: Story):
    story.store("invented", "out", f"re: {say(0, 1, 3)}", "accepted")
    assert story.broken() == {AGREE}


def test_an_item_that_is_stored_twice_is_no_transcript(story: Story):
    story.store("out2", "out", f"re: {say(0, 1, 2)}", "accepted")
    assert story.broken() == {AGREE}


def test_other_words_than_connects_are_no_transcript(story: Story):
    story.messages[3]["text"] = "something else"
    assert story.broken() == {AGREE}


def test_a_takeover_lasts_until_the_chat_is_heard_and_read_again(story: Story):
    story.journal += [
        {"what": "nemesis", "name": "kill_bridge", "at": 100.0},
        {"what": "bridge.lost", "contacts": ["chat"], "at": 101.0},
    ]
    story.world("ws.open", initial_contact_id="chat", role="CUSTOMER", at=108.0)
    story.world("participant.GetTranscript", initial_contact_id="chat", status=200, at=108.5)
    assert takeovers(story.evidence()) == [7.5]


def test_the_summary_names_every_broken_promise(story: Story):
    story.waiting["outbox"] = 2
    evidence = story.evidence()
    text = summary(evidence, judge(evidence))
    assert "BROKEN i nothing waits (1):\n    2 rows still wait in the outbox" in text
