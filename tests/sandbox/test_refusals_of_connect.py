"""What Connect refuses because of how things are set up, and what no message may be."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.world.faults import Fault
from sandbox.world.settings import Settings
from tests.sandbox.kit import RunningWorld, running

START = {"InstanceId": "instance", "ContactFlowId": "flow", "ParticipantDetails": {"DisplayName": "Jane"}}


@pytest.fixture
def strict() -> Iterator[RunningWorld]:
    ids = {"instances": frozenset({"instance"}), "flows": frozenset({"flow", "draft"})}
    with running(Settings(quotas=False, unpublished_flows=frozenset({"draft"}), **ids)) as world:
        yield world


def test_a_flow_or_an_instance_that_is_not_there_is_404(strict: RunningWorld) -> None:
    gone = ("ResourceNotFoundException", 404)
    assert strict.refused(strict.connect.start_chat_contact, **START | {"ContactFlowId": "deleted"}) == gone
    assert strict.refused(strict.connect.start_chat_contact, **START | {"InstanceId": "elsewhere"}) == gone
    assert strict.refused(strict.connect.describe_instance, InstanceId="elsewhere") == gone
    assert strict.refused(strict.connect.describe_contact_flow, InstanceId="instance", ContactFlowId="deleted") == gone
    assert strict.connect.start_chat_contact(**START)["ContactId"]


def test_a_flow_that_is_not_published_is_refused(strict: RunningWorld) -> None:
    refused = strict.refused(strict.connect.start_chat_contact, **START | {"ContactFlowId": "draft"})
    assert refused == ("InvalidRequestException", 400)
    described = strict.refused(strict.connect.describe_contact_flow, InstanceId="instance", ContactFlowId="draft")
    assert described == ("ContactFlowNotPublishedException", 404)


def test_a_chat_does_not_begin_with_a_blank_message(strict: RunningWorld) -> None:
    first = {"InitialMessage": {"ContentType": "text/plain", "Content": " \n"}}
    assert strict.refused(strict.connect.start_chat_contact, **START | first) == ("InvalidRequestException", 400)


def test_a_blank_message_is_refused(strict: RunningWorld) -> None:
    chat = strict.start()
    assert strict.refused(chat.say, text="\n" * 3) == ("ValidationException", 400)


@pytest.mark.parametrize(
    ("status", "code"), [(413, "RequestEntityTooLargeException"), (409, "ConflictException"), (418, "Unheard")]
)
def test_a_fault_refuses_with_any_status_and_code(strict: RunningWorld, status: int, code: str) -> None:
    strict.world.faults.on.append(Fault(name="refuse", target="SendMessage", status=status, code=code, times=1))
    chat = strict.start()
    assert strict.refused(chat.say, text="Hello") == (code, status)
    assert chat.say("Hello")["Id"]
