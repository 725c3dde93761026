"""Amazon Connect's participant service over aiohttp: a bearer token, no signature, one pooled session."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeVar

import aiohttp
import msgspec

from connect_bridge.gateway import (
    Connection,
    GatewayError,
    Invalid,
    QuotaReached,
    Refused,
    Throttled,
    Transcript,
    Unreachable,
)
from connect_bridge.items import read_items

#: Seconds for one call.
TIMEOUT = aiohttp.ClientTimeout(total=10, connect=4)
#: Items in one page of a transcript, the most that GetTranscript gives.
PAGE = 100

#: Seconds that a Retry-After may keep us waiting.
LONGEST_WAIT = 60.0

T = TypeVar("T")


class _Websocket(msgspec.Struct, rename="pascal"):
    url: str
    connection_expiry: datetime


class _Credentials(msgspec.Struct, rename="pascal"):
    connection_token: str
    expiry: datetime


class _Connected(msgspec.Struct, rename="pascal"):
    websocket: _Websocket
    connection_credentials: _Credentials


class _Sent(msgspec.Struct, rename="pascal"):
    id: str


class _Page(msgspec.Struct, rename="pascal"):
    transcript: list[msgspec.Raw] | None = None
    next_token: Any = None


class AwsParticipants:
    """The participant service at one endpoint. Belongs to one event loop."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
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
            token_expires_at=answer.connection_credentials.expiry,
            socket_url=answer.websocket.url,
            socket_expires_at=answer.websocket.connection_expiry,
        )

    async def send_message(self, connection_token: str, text: str, client_token: str) -> str:
        body = {"ContentType": "text/plain", "Content": text, "ClientToken": client_token}
        return (await self._post("/participant/message", connection_token, body, _Sent)).id

    async def transcript(self, connection_token: str, next_token: str) -> Transcript:
        # Forwards would need a StartPosition; backwards from the end is what the service does by itself.
        body: dict[str, Any] = {"MaxResults": PAGE, "ScanDirection": "BACKWARD", "SortOrder": "DESCENDING"}
        if next_token:  # an empty one is refused
            body["NextToken"] = next_token
        page = await self._post("/participant/transcript", connection_token, body, _Page)
        following = page.next_token if isinstance(page.next_token, str) else ""
        return Transcript(items=read_items(page.transcript or (), "transcript"), next_token=following)

    async def _post(self, path: str, token: str, body: dict[str, Any], expected: type[T]) -> T:
        headers = {"X-Amz-Bearer": token, "Content-Type": "application/json"}
        try:
            async with self._session.post(
                self._endpoint + path, data=msgspec.json.encode(body), headers=headers, allow_redirects=False
            ) as answer:
                raw = await answer.read()
                if answer.status == 200:  # noqa: PLR2004 - HTTP
                    return msgspec.json.decode(raw, type=expected)
                raise _meaning(path, answer)
        except msgspec.MsgspecError:
            raise Unreachable(f"the participant service answered {path} with something unreadable") from None
        except (aiohttp.ClientError, TimeoutError) as failure:
            raise Unreachable(f"the participant service did not answer {path}: {type(failure).__name__}") from None


def _meaning(path: str, answer: aiohttp.ClientResponse) -> GatewayError:
    code = answer.headers.get("x-amzn-ErrorType", "").partition(":")[0]
    text = f"Amazon Connect refused {path}: {code or 'no code'} ({answer.status})"
    if answer.status == 429:  # noqa: PLR2004 - HTTP
        return Throttled(text, _seconds(answer.headers.get("Retry-After", "")))
    if answer.status == 402:  # noqa: PLR2004 - HTTP
        return QuotaReached(text)
    if answer.status == 403:  # noqa: PLR2004 - HTTP
        return Refused(text)
    if answer.status >= 500:  # noqa: PLR2004 - HTTP
        return Unreachable(text)
    return Invalid(text)


def _seconds(retry_after: str) -> float:
    return min(float(retry_after), LONGEST_WAIT) if retry_after.isdecimal() else 0.0
