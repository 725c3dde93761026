"""Amazon Connect's signed API through boto3, in a few threads: starting a chat is the rare call."""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from connect_bridge.aws import (
    ONE_ATTEMPT,
    AwsError,
    AwsNoIdentity,
    AwsNotConnected,
    AwsNoWayOut,
    AwsRefused,
    AwsUnreadable,
    aws_client,
    aws_errors,
    endpoint_of,
)
from connect_bridge.connect.error_codes import CONTROL, meaning
from connect_bridge.connect.gateway import ChatRequest, GatewayError, NoWay, SetUp, StartedChat, Unreachable
from connect_bridge.connect.item_reader import kept_id

log = logging.getLogger(__name__)

#: StartChatContact is limited to 5 a second: more threads would only wait.
THREADS = 8
#: Seconds. Retries are the relay's, so the SDK makes one attempt.
CLIENT: dict[str, Any] = {
    "connect_timeout": 4,
    "read_timeout": 10,
    "retries": ONE_ATTEMPT,
    "max_pool_connections": THREADS,
    "parameter_validation": False,  # Connect itself answers what is wrong, and we show that
}
#: What the bridge can show to a customer; the rest is not sent to it.
CONTENT_TYPES = ["text/plain", "application/vnd.amazonaws.connect.message.interactive"]


def participant_endpoint() -> str:
    """Return where the participant service answers, AWS_ENDPOINT_URL_CONNECTPARTICIPANT respected."""
    return endpoint_of("connectparticipant")


class BotoConnect:
    """The control plane. One client for all threads; it is made on first use because loading its model is slow."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="connect")
        self._client: Any = None
        self._making = threading.Lock()

    async def start_chat(self, request: ChatRequest) -> StartedChat:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._start_chat, request)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _start_chat(self, request: ChatRequest) -> StartedChat:
        try:
            with aws_errors("StartChatContact"):
                answer = self._connect().start_chat_contact(**start_chat_arguments(request))
            return StartedChat(
                contact_id=kept_id(answer["ContactId"]),
                participant_id=kept_id(answer["ParticipantId"]),
                participant_token=answer["ParticipantToken"],
            )
        except AwsError as failure:
            raise _meaning("StartChatContact", failure) from None
        except KeyError:
            raise _unreadable("StartChatContact") from None

    def _connect(self) -> Any:
        with self._making:  # a client of its own for every thread would cost tens of megabytes each
            if self._client is None:
                self._client = aws_client("connect", **CLIENT)
            return self._client


def start_chat_arguments(request: ChatRequest) -> dict[str, Any]:
    """Return the request as StartChatContact takes it."""
    arguments: dict[str, Any] = {
        "InstanceId": request.instance_id,
        "ContactFlowId": request.flow_id,
        "ParticipantDetails": {"DisplayName": request.display_name},
        "Attributes": dict(request.attributes),
        "ClientToken": request.client_token,
        "SupportedMessagingContentTypes": CONTENT_TYPES,
    }
    if request.initial_message:
        arguments["InitialMessage"] = {"ContentType": "text/plain", "Content": request.initial_message}
    if request.continues is not None:
        past = request.continues
        arguments["PersistentChat"] = {"SourceContactId": past.source_contact_id, "RehydrationType": past.kind}
    return arguments


def _meaning(operation: str, failure: AwsError) -> GatewayError:
    match failure:
        case AwsRefused():
            return meaning(CONTROL, operation, failure.code, failure.status)
        case AwsUnreadable():
            return _unreadable(operation)
        case AwsNoWayOut():
            return SetUp(f"no way out to Amazon Connect: {failure}")
        case AwsNoIdentity():
            fix = f"{failure.kind}; see AWS_PROFILE, or the role"
            return SetUp(f"no AWS credentials or region to call Amazon Connect with: {fix}")
        case AwsNotConnected():
            return NoWay(f"no connection to Amazon Connect: {failure.reason}")
        case _:
            return Unreachable(f"Amazon Connect did not answer: {failure.kind}")


def _unreadable(operation: str) -> GatewayError:
    return Unreachable(f"Amazon Connect answered {operation} with something unreadable")
