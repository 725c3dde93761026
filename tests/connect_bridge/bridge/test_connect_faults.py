"""Amazon Connect fails, repeats itself or stays silent: nothing is lost and nothing is doubled."""

from __future__ import annotations

import time

import pytest

from connect_bridge.models import Contact
from sandbox.world.faults import Fault
from tests.connect_bridge.kit import accepted, said_to_customer, until

pytestmark = pytest.mark.django_db(transaction=True)


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


def test_an_expired_connection_token_is_renewed_not_mistaken_for_the_end(aws, bridge, phone):
    phone.write("Hello")
    agent = accepted(aws, aws.agent())
    aws.world.faults.on.append(Fault(name="expire_token", target="SendMessage", times=1))
    phone.write("still the same chat?")
    until(lambda: agent.said() == ["Hello", "still the same chat?"], "the message in the same chat")
    assert Contact.objects.count() == 1
