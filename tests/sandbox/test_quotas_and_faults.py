"""Rates as Amazon documents them, and the faults that can be switched on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ConnectionError as Unreachable
from botocore.exceptions import HTTPClientError

from sandbox.world.quotas import RATES, Bucket, Quotas
from sandbox.world.settings import Settings

if TYPE_CHECKING:
    from conftest import RunningWorld


def fault(aws: RunningWorld, name: str, target: str = "", **more: Any) -> None:
    aws.call("POST", "/world/faults", {"name": name, "target": target, **more})


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    bucket = Bucket(rate=10, burst=15, tokens=15, at=0.0)

    assert sum(bucket.take(0.0) for _ in range(30)) == 15
    assert sum(bucket.take(0.5) for _ in range(30)) == 5
    assert sum(bucket.take(60.0) for _ in range(30)) == 15


def test_messages_and_events_share_a_bucket_and_instances_do_not() -> None:
    quotas = Quotas(Settings())

    admitted = [quotas.admits(name, "one") for name in ["SendMessage", "SendEvent"] * 10]
    assert admitted == [True] * 15 + [False] * 5
    assert quotas.admits("SendMessage", "two")
    assert quotas.admits("GetTranscript", "one")


def test_raised_quotas_are_so_many_times_the_documented_ones() -> None:
    quotas = Quotas(Settings(raised=3))

    assert [quotas.admits("SendMessage", "one") for _ in range(46)].count(False) == 1


def test_the_rates_are_the_documented_ones() -> None:
    assert {RATES["StartChatContact"], RATES["SendMessage"], RATES["GetTranscript"]} == {(5, 8), (10, 15), (8, 12)}


def test_above_the_rate_the_participant_service_throttles(strict: RunningWorld) -> None:
    chat = strict.start()
    slowly(strict, "SendMessage", 15)
    for number in range(15):
        chat.say(str(number))

    assert strict.refused(chat.say, text="too many") == ("ThrottlingException", 429)


def test_above_the_rate_starting_chats_is_too_many_requests(strict: RunningWorld) -> None:
    slowly(strict, "StartChatContact", 8)
    for _ in range(8):
        strict.start()

    assert strict.refused(strict.start) == ("TooManyRequestsException", 429)


def slowly(world: RunningWorld, operation: str, burst: int) -> None:
    """Keep the burst, and let hardly anything come after it: a slow machine must not be given more meanwhile."""
    world.call("PUT", "/world/settings", {"rates": {operation: [0.001, burst]}})


def test_rates_are_configurable(strict: RunningWorld) -> None:
    strict.call("PUT", "/world/settings", {"rates": {"StartChatContact": [0.001, 1]}})
    strict.start()

    assert strict.refused(strict.start) == ("TooManyRequestsException", 429)


def test_a_server_error_has_no_effect(aws: RunningWorld) -> None:
    chat = aws.start()
    fault(aws, "error5xx", "SendMessage", times=1)

    assert aws.refused(chat.say, text="lost") == ("InternalServerException", 500)
    chat.say("said")
    assert chat.said() == ["said"]


def test_effect_then_reset_does_it_and_gives_no_answer(aws: RunningWorld) -> None:
    chat = aws.start()
    assert chat.token
    fault(aws, "effect_then_reset", "SendMessage", times=1)

    with pytest.raises((Unreachable, HTTPClientError)):
        chat.say("hello", ClientToken="m1")
    chat.say("hello", ClientToken="m1")

    assert chat.said() == ["hello"]
    assert aws.lines("participant.SendMessage")[0]["reset"] is True


def test_a_slow_call_a_denied_one_and_an_expired_token(aws: RunningWorld) -> None:
    chat = aws.start()
    assert chat.token
    fault(aws, "slow", "SendMessage", times=1, seconds=0.3)
    started = time.monotonic()
    chat.say("slowly")
    assert time.monotonic() - started >= 0.3

    fault(aws, "auth", "StartChatContact", times=1)
    assert aws.refused(aws.start) == ("AccessDeniedException", 403)

    fault(aws, "expire_token", "SendMessage", times=1)
    assert aws.refused(chat.say, text="late") == ("AccessDeniedException", 403)
    assert aws.refused(chat.say, text="for good") == ("AccessDeniedException", 403)
    assert aws.refused(chat.transcript) == ("AccessDeniedException", 403)
    assert chat.reconnect()["ConnectionCredentials"]


async def test_frames_are_dropped_doubled_and_shuffled(aws: RunningWorld) -> None:
    chat = aws.start()
    async with chat.line() as line:
        await line.until("participant.joined")
        fault(aws, "frame_drop", "CUSTOMER", times=1)
        chat.say("dropped")
        fault(aws, "frame_double", "CUSTOMER", times=1)
        chat.say("doubled")
        assert [(await line.item())["Content"] for _ in range(2)] == ["doubled", "doubled"]
        fault(aws, "frame_shuffle", "CUSTOMER", times=1)
        chat.say("first")
        chat.say("second")
        assert [(await line.item())["Content"] for _ in range(2)] == ["second", "first"]

    assert chat.said() == ["dropped", "doubled", "first", "second"]


async def test_a_socket_is_cut_without_a_goodbye(aws: RunningWorld) -> None:
    chat = aws.start()
    async with chat.line() as line:
        await line.until("participant.joined")
        fault(aws, "socket_cut", "CUSTOMER", times=1)
        chat.say("cut")
        assert (await line.ws.receive(timeout=20)).data in (None, 1006)
        assert line.ws.close_code == 1006


async def test_a_silent_socket_loses_what_is_said_and_answers_no_heartbeat(aws: RunningWorld) -> None:
    chat = aws.start()
    async with chat.line() as line:
        await line.until("participant.joined")
        fault(aws, "socket_silent", "CUSTOMER", times=1)
        chat.say("into the void")
        await line.ws.send_str('{"topic":"aws/heartbeat"}')
        with pytest.raises(TimeoutError):
            await line.ws.receive(timeout=0.3)


async def test_a_fault_for_the_agent_leaves_the_customer_alone(aws: RunningWorld) -> None:
    chat = aws.start()
    async with chat.line() as line:
        await line.until("participant.joined")
        fault(aws, "frame_drop", "AGENT")
        chat.say("hello")
        await line.until("hello")


def test_faults_are_listed_and_switched_off_by_name(aws: RunningWorld) -> None:
    fault(aws, "slow", "SendMessage", seconds=0)
    fault(aws, "throttle", "StartChatContact")

    assert [on["name"] for on in aws.call("GET", "/world/faults")] == ["slow", "throttle"]
    assert [on["name"] for on in aws.call("DELETE", "/world/faults?name=slow")] == ["throttle"]
    assert aws.call("DELETE", "/world/faults") == []
    status, why = aws.refusal("/world/faults", {"share": 2})
    assert (status, "name" in why) == (400, True)


def test_the_same_seed_throws_the_same_dice(aws: RunningWorld) -> None:
    def throws() -> list[bool]:
        aws.world.faults.reseed(3)
        return [aws.world.faults.fires("throttle") is not None for _ in range(50)]

    fault(aws, "throttle", share=0.5)
    first = throws()
    assert first == throws()
    assert 10 < sum(first) < 40
