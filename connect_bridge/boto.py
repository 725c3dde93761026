"""Amazon Connect's signed API through boto3, in a few threads: starting a chat is the rare call."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from connect_bridge.gateway import (
    ChatRequest,
    GatewayError,
    Invalid,
    QuotaReached,
    Refused,
    StartedChat,
    Throttled,
    Unreachable,
)

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

_KINDS: dict[str, type[GatewayError]] = {
    "ThrottlingException": Throttled,
    "TooManyRequestsException": Throttled,
    "LimitExceededException": QuotaReached,
    "ServiceQuotaExceededException": QuotaReached,
    "InternalServiceException": Unreachable,
    "InternalServerException": Unreachable,
}


def region() -> str:
    """Return the AWS region of the environment: AWS_REGION, AWS_DEFAULT_REGION, a profile's, or us-east-1."""
    return os.environ.get("AWS_REGION") or boto3.session.Session().region_name or "us-east-1"


def participant_endpoint() -> str:
    """Return where the participant service answers, AWS_ENDPOINT_URL_CONNECTPARTICIPANT respected."""
    client = boto3.client("connectparticipant", region_name=region())
    return str(client.meta.endpoint_url).rstrip("/")


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
        answer = self._call("StartChatContact", start_chat_arguments(request))
        return StartedChat(
            contact_id=answer["ContactId"],
            participant_id=answer["ParticipantId"],
            participant_token=answer["ParticipantToken"],
        )

    def _call(self, operation: str, arguments: dict[str, Any]) -> Any:
        client = self._connect()
        try:
            return getattr(client, xform_name(operation))(**arguments)
        except ClientError as error:
            raise _meaning(operation, error) from None
        except BotoCoreError as error:
            raise Unreachable(f"Amazon Connect did not answer: {type(error).__name__}") from None

    def _connect(self) -> Any:
        with self._making:  # a client of its own for every thread would cost tens of megabytes each
            if self._client is None:
                self._client = boto3.session.Session().client("connect", region_name=region(), config=TIMEOUTS)
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
    text = f"Amazon Connect refused {operation}: {code} ({status})"
    if code in _KINDS:
        return _KINDS[code](text)
    if status == 429:  # noqa: PLR2004 - HTTP
        return Throttled(text)
    if status >= 500:  # noqa: PLR2004 - HTTP
        return Unreachable(text)
    if status == 403:  # noqa: PLR2004 - HTTP
        return Refused(f"{text}; check the AWS credentials and the policy connect:{operation}")
    return Invalid(f"{text}; check CONNECT_INSTANCE_ID and CONNECT_CONTACT_FLOW_ID")
