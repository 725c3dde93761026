"""Messages that Connect takes and passes on to nobody: they have failed, show as that, and can go again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from connect_bridge.connect.gateway import Item, Metadata
from connect_bridge.listening.rejected_messages import rejections
from connect_bridge.models import Message
from connect_bridge.operations.stuck import Kind, find_stuck
from connect_bridge.outbox.relay_again import relay_again
from connect_bridge.relay import relay
from sandbox.world.faults import Fault
from tests.connect_bridge.kit import accepted, until

pytestmark = pytest.mark.django_db(transaction=True)

NOT_PASSED = ("failed", "connect_not_passed")


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "RETRY_MOST", 0.2)


def status_of(text: str) -> tuple[str, str] | None:
    return Message.objects.filter(text=text).values_list("status", "error_code").first()


def open_chat(aws: Any, phone: Any) -> Any:
    phone.write("Hello")
    agent = accepted(aws, aws.agent())
    until(lambda: status_of("Hello") == ("relayed", ""), "the first")
    return agent


@pytest.mark.parametrize("in_answer", [False, True], ids=["by its item", "by the answer"])
@pytest.mark.parametrize("status", ["REJECTED", "FAILED"])
def test_what_nobody_gets_to_see_has_failed_and_goes_again_once_it_may(aws, bridge, phone, status, in_answer):
    agent, world = open_chat(aws, phone), aws.world.settings
    world.refuses_in_flight, world.told_in_answer = {"swear": status}, in_answer
    phone.write("swear", "next")
    until(lambda: status_of("swear") == NOT_PASSED, "the failure")
    until(lambda: agent.said() == ["Hello", "next"], "the next one")
    message = Message.objects.get(text="swear")
    assert status in message.error_detail
    Message.objects.filter(pk=message.pk).update(settled_at=timezone.now() - timedelta(minutes=2))
    [row] = find_stuck([Kind.REFUSED]).rows
    assert row.id == str(message.id)
    assert "message processing" in row.why

    world.refuses_in_flight = {}
    assert relay_again([message.id]) == [message.id]
    until(lambda: agent.said() == ["Hello", "next", "swear"], "the second attempt")
    until(lambda: status_of("swear") == ("relayed", ""), "its status")
    assert status_of("next") == ("relayed", "")


def test_what_only_the_transcript_tells_counts_too(aws, bridge, phone):
    agent = open_chat(aws, phone)
    aws.world.faults.on.append(Fault(name="frame_drop", target="CUSTOMER", times=1))
    aws.world.settings.refuses_in_flight = {"swear": "FAILED"}
    phone.write("swear")
    until(lambda: status_of("swear") == ("relayed", ""), "its relay")
    line = next(iter(bridge.conversations.relays.values())).listener._live.socket
    line.subscribed.get_loop().call_soon_threadsafe(line._transport.disconnect, False)  # noqa: FBT003 - not gracefully
    until(lambda: status_of("swear") == NOT_PASSED, "the failure")
    assert agent.said() == ["Hello"]


def test_a_part_that_is_not_passed_on_lets_all_of_its_message_fail(aws, bridge, phone):
    aws.world.settings.refuses_in_flight = {"swear": "REJECTED"}
    phone.write("Hello")
    until(lambda: status_of("Hello") == ("relayed", ""), "the first")
    long = f"swear {'x' * 1500}"
    phone.write(long, "next")
    until(lambda: status_of(long) == NOT_PASSED, "the failure")
    until(lambda: status_of("next") == ("relayed", ""), "the next one")
    assert status_of(long) == NOT_PASSED


REJECTED, FAILED, UNDER_WAY = (Metadata(message_processing_status=one) for one in ("REJECTED", "FAILED", "PROCESSING"))
NEWS = Metadata(message_id="1", message_processing_status="REJECTED")
OURS = {"id": "1", "participant_role": "CUSTOMER"}


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (Item(**OURS), []),
        (Item(**OURS, message_metadata=UNDER_WAY), []),
        (Item(**OURS, message_metadata=FAILED), [("1", "FAILED")]),
        (Item(**OURS, message_metadata=FAILED, related_contact_id="an earlier chat"), []),
        (Item(id="1", participant_role="AGENT", message_metadata=REJECTED), []),
        (Item(id="2", type="MESSAGEMETADATA", message_metadata=NEWS), [("1", "REJECTED")]),
    ],
)
def test_which_items_of_ours_were_not_passed_on(item: Item, expected: list[tuple[str, str]]) -> None:
    assert list(rejections([item])) == expected
