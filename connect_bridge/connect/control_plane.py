"""Amazon Connect's signed API through boto3, in a few threads: starting a chat is the rare call."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConfigNotFound,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    InvalidProxiesConfigError,
    InvalidRegionError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    ProxyConnectionError,
    SSLError,
    TokenRetrievalError,
)
from botocore.parsers import ResponseParserError

from channels_app.toolkit.outbound_proxy import why_no_way
from connect_bridge.aws import UnusableWay, aws_client, endpoint_of
from connect_bridge.connect.error_codes import CONTROL, meaning
from connect_bridge.connect.gateway import ChatRequest, GatewayError, NoWay, SetUp, StartedChat, Unreachable
from connect_bridge.connect.item_reader import kept_id

log = logging.getLogger(__name__)

#: StartChatContact is limited to 5 a second: more threads would only wait.
THREADS = 8
#: Seconds. Retries are the relay's, so the SDK makes one attempt.
TIMEOUTS = Config(
    connect_timeout=4,
    read_timeout=10,
    retries={"total_max_attempts": 1},
    max_pool_connections=THREADS,
    parameter_validation=False,  # Connect itself answers what is wrong, and we show that
)
#: What the bridge can show to a customer; the rest is not sent to it.
CONTENT_TYPES = ["text/plain", "application/vnd.amazonaws.connect.message.interactive"]

#: What keeps the SDK from asking: it does not know as whom, or where.
_OURS = (
    ConfigNotFound,
    CredentialRetrievalError,
    InvalidRegionError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    TokenRetrievalError,
)
_NOT_CONNECTED = (
    ConnectTimeoutError,
    EndpointConnectionError,
    InvalidProxiesConfigError,
    ProxyConnectionError,
    SSLError,
)


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
        expected = ("ContactId", "ParticipantId", "ParticipantToken")
        answer = self._call("StartChatContact", start_chat_arguments(request), expected)
        return StartedChat(
            contact_id=kept_id(answer["ContactId"]),
            participant_id=kept_id(answer["ParticipantId"]),
            participant_token=answer["ParticipantToken"],
        )

    def _call(self, operation: str, arguments: dict[str, Any], expected: Sequence[str]) -> dict[str, Any]:
        try:
            client = self._connect()
            answer = getattr(client, xform_name(operation))(**arguments)
            return {name: answer[name] for name in expected}
        except KeyError:
            raise Unreachable(f"Amazon Connect answered {operation} with something unreadable") from None
        except ClientError as error:
            raise _meaning(operation, error) from None
        except BotoCoreError as failure:
            raise _no_answer(failure) from None
        except ResponseParserError:
            raise Unreachable(f"Amazon Connect answered {operation} with something unreadable") from None

    def _connect(self) -> Any:
        with self._making:  # a client of its own for every thread would cost tens of megabytes each
            if self._client is None:
                self._client = aws_client("connect", TIMEOUTS)
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


def _meaning(operation: str, error: ClientError) -> GatewayError:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    return meaning(CONTROL, operation, code, status)


def _no_answer(failure: BotoCoreError) -> GatewayError:
    """Return what it means that there was no answer to read."""
    name = type(failure).__name__
    if isinstance(failure, UnusableWay):
        return SetUp(f"no way out to Amazon Connect: {failure}")
    if isinstance(failure, _OURS):
        return SetUp(f"no AWS credentials or region to call Amazon Connect with: {name}; see AWS_PROFILE, or the role")
    if isinstance(failure, _NOT_CONNECTED):
        return NoWay(f"no connection to Amazon Connect: {why_no_way(failure)}")
    return Unreachable(f"Amazon Connect did not answer: {name}")
