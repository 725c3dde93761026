"""The checker holds runs against the promises, so it is held against runs that keep them and runs that break one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.chaos.checker import judge
from tests.chaos.evidence import FORGED, Evidence, Line, Stored, say
from tests.chaos.report import summary, takeovers

ADDRESSES = {0: "page-0", 1: "page-1"}
AGREE = "j transcripts agree"


class Story:
    """A run in which a customer writes three messages and an agent answers each, told so that it can go wrong."""

    def __init__(self) -> None:
        self.ledger: list[dict[str, Any]] = []
        self.journal: list[dict[str, Any]] = []
        self.messages: list[dict[str, Any]] = []
        self.sends: list[dict[str, Any]] = []
        self.waiting = {"intake": 0, "relay": 0, "outbox": 0}
        self.contacts = [{"initial_contact_id": "chat", "state": "connected", "reason": ""}]
        attributes = {"channel_address": "page-0"}
        self.world("connect.StartChatContact", contact_id="chat", attributes=attributes, status=200)
        for number in (1, 2, 3):
            self.round(number)

    def world(self, what: str, **fields: Any) -> None:
        self.ledger.append({"what": what, **fields})

    def round(self, number: int) -> None:
        text, mid = say(0, 1, number), f"m{number}"
        self.world("phone.message", text=text, message_id=mid)
        self.world("webhook.messenger", event="message", text=text, message_id=mid, status=200, forged=False)
        self.frame(f"in{number}", "CUSTOMER", text)
        self.frame(f"out{number}", "AGENT", f"re: {text}")
        self.world("graph.send", text=f"re: {text}", status=200, cut=False)
        self.arrive(f"re: {text}")
        self.store(f"in{number}", "in", text, "relayed")
        self.store(f"out{number}", "out", f"re: {text}", "accepted")

    def frame(self, item: str, role: str, text: str, at: int | None = None) -> None:
        line = {"what": "ws.frame", "item_id": item, "initial_contact_id": "chat", "role": role, "type": "MESSAGE"}
        self.ledger.insert(len(self.ledger) if at is None else at, {**line, "text": text, "sockets": 1})

    def arrive(self, text: str, customer: str = "5550001", address: str = "page-0") -> None:
        self.world("phone.received", address=address, customer_id=customer, text=text)

    def store(self, item: str, direction: str, text: str, status: str) -> None:
        row = {"item": item, "direction": direction, "text": text, "status": status, "sequence": len(self.messages)}
        self.messages.append(row)
        if direction == "out":
            self.sends.append({"item": item, "state": "accepted", "error_code": ""})

    def find(self, what: str, **fields: Any) -> dict[str, Any]:
        return next(one for one in self.ledger if one["what"] == what and fields.items() <= one.items())

    def evidence(self) -> Evidence:
        stored = Stored(messages=self.messages, sends=self.sends, contacts=self.contacts, waiting=self.waiting)
        return Evidence(_lines(self.ledger), _lines(self.journal), stored, ADDRESSES)

    def broken(self) -> set[str]:
        return judge(self.evidence()).rules


def _lines(rows: list[Mapping[str, Any]]) -> list[Line]:
    return [
        Line(n, float(one.get("at", n)), one["what"], {key: one[key] for key in one if key not in ("what", "at")})
        for n, one in enumerate(rows)
    ]


@pytest.fixture
def story() -> Story:
    return Story()


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
