"""Amazon Connect's participant service over aiohttp: a bearer token, no signature, one pooled session.

Whatever Parley says in a chat, for the customer or to the agent alone, it says over one `CustomerConnection`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import aiohttp
import msgspec

from channels_app.toolkit.certificates import UnusableBundle, tls_context
from channels_app.toolkit.connection_errors import why_unreachable
from channels_app.toolkit.outbound_proxy import UnusableProxy, proxy_for
from connect_bridge.connect.error_codes import PARTICIPANT, SEND_MESSAGE, Table, meaning
from connect_bridge.connect.gateway import (
    Connection,
    GatewayError,
    NotPassed,
    NoWay,
    ParticipantService,
    SetUp,
    Throttled,
    Transcript,
    Unclear,
    Unreachable,
)
from connect_bridge.connect.item_reader import kept_id, read_items
from connect_bridge.connect.rate_limit import RateLimiter

#: Seconds for one call.
TIMEOUT = aiohttp.ClientTimeout(total=10, connect=4)
#: Items in one page of a transcript, the most that GetTranscript gives.
PAGE = 100
#: How long a connection token and a websocket's address last, where the answer does not say it readably
#: (CreateParticipantConnection; amazon-connect-chatjs, issue 298).
TOKEN_LASTS, SOCKET_LASTS = timedelta(days=1), timedelta(hours=1)
#: Seconds that a Retry-After may keep us waiting.
LONGEST_WAIT = 60.0

T = TypeVar("T")


@dataclass(slots=True)
class CustomerConnection:
    """A chat's connection under the customer's name. `token` changes with each new connection; "" before the first."""

    participants: ParticipantService
    limiter: RateLimiter
    token: str = ""

    async def await_turn(self) -> None:
        """Wait until the instance's rate limit lets the next message go."""
        await self.limiter.acquire()

    async def send(self, text: str, client_token: str) -> str:
        """Send a text and return its item id; `await_turn()` comes first. Raises GatewayError.

        Refused may only mean that the token has expired: a new connection gives another.
        """
        try:
            return await self.participants.send_message(self.token, text, client_token)
        except Throttled as busy:
            self.limiter.throttled(busy.retry_after)
            raise


class _Websocket(msgspec.Struct, rename="pascal"):
    url: str
    connection_expiry: Any = None


class _Credentials(msgspec.Struct, rename="pascal"):
    connection_token: str
    expiry: Any = None


class _Connected(msgspec.Struct, rename="pascal"):
    websocket: _Websocket
    connection_credentials: _Credentials


class _Processing(msgspec.Struct, rename="pascal"):
    message_processing_status: Any = None


class _Sent(msgspec.Struct, rename="pascal"):
    id: str
    message_metadata: _Processing | None = None


class _Page(msgspec.Struct, rename="pascal"):
    transcript: list[msgspec.Raw] | None = None
    next_token: Any = None


class AwsParticipants:
    """The participant service at one endpoint. Belongs to one event loop."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._way: dict[str, Any] | None = None
        self._session = aiohttp.ClientSession(
            timeout=TIMEOUT, connector=aiohttp.TCPConnector(limit=256), auto_decompress=True
        )

    async def close(self) -> None:
        await self._session.close()

    async def connect(self, participant_token: str) -> Connection:
        body = {"Type": ["WEBSOCKET", "CONNECTION_CREDENTIALS"]}
        answer = await self._post("/participant/connection", participant_token, body, _Connected)
        return Connection(
            token=answer.connection_credentials.connection_token,
            token_expires_at=_end(answer.connection_credentials.expiry, TOKEN_LASTS),
            socket_url=answer.websocket.url,
            socket_expires_at=_end(answer.websocket.connection_expiry, SOCKET_LASTS),
        )

    async def send_message(self, connection_token: str, text: str, client_token: str) -> str:
        body = {"ContentType": "text/plain", "Content": text, "ClientToken": client_token}
        sent = await self._post("/participant/message", connection_token, body, _Sent, SEND_MESSAGE)
        status = sent.message_metadata and sent.message_metadata.message_processing_status
        if isinstance(status, str) and status in NotPassed.STATUSES:
            raise NotPassed(status, kept_id(sent.id))
        return kept_id(sent.id)

    async def transcript(self, connection_token: str, next_token: str) -> Transcript:
        # Forwards would need a StartPosition; backwards from the end is what the service does by itself.
        body: dict[str, Any] = {"MaxResults": PAGE, "ScanDirection": "BACKWARD", "SortOrder": "DESCENDING"}
        if next_token:  # an empty one is refused
            body["NextToken"] = next_token
        page = await self._post("/participant/transcript", connection_token, body, _Page)
        following = page.next_token if isinstance(page.next_token, str) else ""
        return Transcript(items=read_items(page.transcript or (), "transcript"), next_token=following)

    async def _post(
        self, path: str, token: str, body: dict[str, Any], expected: type[T], table: Table = PARTICIPANT
    ) -> T:
        headers = {"X-Amz-Bearer": token, "Content-Type": "application/json"}
        options = {"data": msgspec.json.encode(body), "headers": headers, "allow_redirects": False, **self._way_out()}
        try:
            async with self._session.post(self._endpoint + path, **options) as answer:
                raw = await answer.read()
                if answer.status == 200:  # noqa: PLR2004 - HTTP
                    return msgspec.json.decode(raw, type=expected)
                raise _meaning(table, path, answer, raw)
        except (msgspec.MsgspecError, RecursionError):
            raise Unreachable(f"the participant service answered {path} with something unreadable") from None
        except (aiohttp.ClientConnectorError, aiohttp.ClientHttpProxyError) as failure:
            raise NoWay(f"no connection to Amazon Connect's participant service: {why_unreachable(failure)}") from None
        except (aiohttp.ClientError, TimeoutError) as failure:
            raise Unreachable(f"the participant service did not answer {path}: {type(failure).__name__}") from None

    def _way_out(self) -> dict[str, Any]:
        """Return the options of a call that say by which proxy, and whose certificates count. Raises SetUp."""
        if self._way is None:
            try:
                way: dict[str, Any] = {"proxy": proxy_for(self._endpoint)}
                if self._endpoint.startswith("https:"):
                    way["ssl"] = tls_context()
            except (UnusableProxy, UnusableBundle) as problem:
                raise SetUp(f"no way out to Amazon Connect: {problem}") from None
            self._way = way
        return self._way


class _Refusal(msgspec.Struct):
    """The body of an error: AWS gives its code in a header, in the body by one of these names, or in both."""

    type: Any = msgspec.field(default="", name="__type")
    code: Any = ""
    code_: Any = msgspec.field(default="", name="Code")

    def __str__(self) -> str:
        return next((code for code in (self.type, self.code, self.code_) if isinstance(code, str) and code), "")


def _meaning(table: Table, path: str, answer: aiohttp.ClientResponse, raw: bytes) -> GatewayError:
    try:
        code = str(msgspec.json.decode(raw, type=_Refusal)) if raw else ""
    except (msgspec.MsgspecError, RecursionError):  # no answer of Amazon's: something in between speaks
        if answer.status == 403:  # noqa: PLR2004 - HTTP
            return Unclear(f"something between Parley and Amazon Connect refused {path} (403): is a proxy in the way?")
        code = ""
    code = (answer.headers.get("x-amzn-ErrorType", "") or code).partition(":")[0].rpartition("#")[2]
    if not code and answer.status == 403:  # noqa: PLR2004 - HTTP
        code = "AccessDeniedException"
    return meaning(table, path, code, answer.status, retry_after=_seconds(answer.headers.get("Retry-After", "")))


def _end(expiry: Any, lasts: timedelta) -> datetime:
    """Return when something ends. Its time is UTC, as all of Amazon's are."""
    try:
        at = datetime.fromisoformat(expiry)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return datetime.now(UTC) + lasts


def _seconds(retry_after: str) -> float:
    return min(float(retry_after), LONGEST_WAIT) if retry_after.isdecimal() else 0.0
