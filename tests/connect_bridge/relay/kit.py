"""What tests of the relay share: a line that falls silent, a call that is refused, what Connect got."""

from __future__ import annotations

from connect_bridge.connect.gateway import Throttled, Unreachable
from sandbox.world.faults import Fault
from tests.connect_bridge.listening.kit import soon
from tests.sandbox.kit import RunningWorld


def fall_silent(aws, bridge):
    """Let the next message's answer and echo be lost, and what follows go over another line; return what is sent."""
    participants = bridge.runtime.participants
    send, attempts = participants.send_message, []

    async def troubled(token, text, client_token):
        attempts.append(text)
        if len(attempts) == 1:
            await send(token, text, client_token)
            raise Unreachable("the answer was lost, and so was the echo")
        if len(attempts) == 2:
            await _another_line(bridge)
            raise Throttled
        return await send(token, text, client_token)

    aws.world.faults.on.append(Fault(name="frame_drop", target="CUSTOMER", times=1))
    participants.send_message = troubled
    return attempts


async def _another_line(bridge):
    """Cut the chat's websocket and wait for the next one, over a new connection."""
    listener = next(iter(bridge.conversations.relays.values())).listener
    former = listener.connection.token
    listener._live.socket._transport.disconnect(graceful=False)
    await soon(lambda: listener.connection.token != former and listener.caught_up.is_set())


def received_by_connect(aws):
    """Return what Connect got from the customer, over all chats, in order."""
    return [line["text"] for line in aws.lines("ws.frame") if (line["role"], line["type"]) == ("CUSTOMER", "MESSAGE")]


def refusing(aws: RunningWorld, call: str, status: int, code: str, times: int | None = None) -> Fault:
    fault = Fault(name="refuse", target=call, status=status, code=code, times=times)
    aws.world.faults.on.append(fault)
    return fault
