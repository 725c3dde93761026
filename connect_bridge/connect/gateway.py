"""What the bridge asks of Amazon Connect, in its own words, and what can go wrong.

GatewayError
├── Throttled        too many calls per second (429)
├── QuotaReached     too many chats at once
├── Unreachable      no answer, or a 5xx: it may or may not have happened; repeat with the same ClientToken
│   └── NoWay        no connection came about: the name, TLS or the proxy in between; nothing has happened
├── Refused          403: the token expired, or the chat has ended
├── SetUp            what is set up is wrong: ids, flow, rights, credentials. Whoever asks again waits for a person
│   └── BadRequest   400: an id, an attribute, perhaps the first message
├── Unclear          an answer that is not documented for this call: nothing is known of its cause
├── Held             not asked: the account says so
└── Invalid          what this one message holds is refused; repeating it will not help
    └── NotPassed    taken, and passed on to nobody: a message processor rejected it, or failed

Which answer is which: connect_bridge/connect/error_codes.py. Only Invalid is about one message for sure.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar, Protocol

import msgspec

from channels_app.toolkit.text import TextLimit, Unit

#: Connect takes this many bytes in one message (Amazon Connect API Reference, SendMessage).
LARGEST_MESSAGE = 16_384
#: A Lex bot reads this many characters (Amazon Connect Administrator Guide, feature specifications).
LONGEST_FOR_BOT = 1_024
FOR_BOT = TextLimit(most=LONGEST_FOR_BOT)
FOR_AGENT = TextLimit(most=LARGEST_MESSAGE, unit=Unit.UTF8_BYTES)
#: A chat that nobody connects to within this many seconds is closed by Connect (StartChatContact).
CONNECT_WITHIN = 300.0


class GatewayError(Exception):
    """Connect did not do what we asked. `str()` is safe to show. `item`: what it took nevertheless, by its id."""

    code: ClassVar[str] = "connect"
    item = ""
    retryable: ClassVar[bool] = False


class Throttled(GatewayError):
    code = "connect_throttled"
    retryable = True

    def __init__(self, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class QuotaReached(GatewayError):
    code = "connect_quota"
    retryable = True


class Unreachable(GatewayError):
    code = "connect_unreachable"
    retryable = True


class NoWay(Unreachable):
    code = "connect_no_way"


class Refused(GatewayError):
    code = "connect_refused"


class SetUp(GatewayError):
    code = "connect_set_up"
    retryable = True


class BadRequest(SetUp):
    """Its code is SetUp's: who reads it has the same to do."""


class Unclear(GatewayError):
    code = "connect_unclear"
    retryable = True


class Held(GatewayError):
    """We do not ask Connect now, because the account says so. `code` is "paused" or "closed"."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code  # type: ignore[misc] # which of two


class Invalid(GatewayError):
    code = "connect_invalid"


class NotPassed(Invalid):
    code = "connect_not_passed"
    STATUSES: ClassVar[frozenset[str]] = frozenset({"FAILED", "REJECTED"})

    def __init__(self, status: str, item: str = "") -> None:
        super().__init__(f"Amazon Connect's message processing did not pass it on: {status}")
        self.item = item


def described(failure: BaseException) -> str:
    """Return what a log may say of a failure."""
    return failure.code if isinstance(failure, GatewayError) else type(failure).__name__


class Continued(msgspec.Struct, frozen=True, kw_only=True):
    """A chat that is over, whose transcript a new one begins with. `kind` is Connect's RehydrationType."""

    source_contact_id: str
    kind: str


class ChatRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One StartChatContact. The same `client_token` returns the same chat, so a lost answer can be asked for again."""

    instance_id: str
    flow_id: str
    display_name: str
    attributes: Mapping[str, str]
    initial_message: str
    client_token: str
    continues: Continued | None = None


class StartedChat(msgspec.Struct, frozen=True, kw_only=True):
    contact_id: str
    participant_id: str
    participant_token: str


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """A participant's connection: a bearer token for a day and a socket address to open within 100 seconds."""

    token: str
    token_expires_at: datetime
    socket_url: str
    socket_expires_at: datetime


class Receipt(msgspec.Struct, frozen=True, rename="pascal"):
    recipient_participant_id: str = ""
    delivered_timestamp: str = ""
    read_timestamp: str = ""


class Metadata(msgspec.Struct, frozen=True, rename="pascal"):
    message_id: str = ""
    receipts: list[Receipt] = []
    chunk_number: int | None = None
    message_completed: bool | None = None
    message_processing_status: str | None = None


class Attached(msgspec.Struct, frozen=True, rename="pascal"):
    attachment_id: str = ""
    attachment_name: str = ""
    content_type: str = ""
    status: str = ""


class Item(msgspec.Struct, frozen=True, rename="pascal"):
    """One line of Connect's transcript, as the socket and GetTranscript give it.

    `related_contact_id` is there only if the line is from an earlier chat that this one continues.
    """

    id: str = ""
    type: str = ""
    absolute_time: str = ""
    content: str = ""
    content_type: str = ""
    participant_id: str = ""
    participant_role: str = ""
    display_name: str = ""
    contact_id: str = ""
    initial_contact_id: str = ""
    related_contact_id: str = ""
    message_visibility: str = ""
    attachments: list[Attached] = []
    message_metadata: Metadata | None = None


class Transcript(msgspec.Struct, frozen=True):
    """A page of a transcript. Without a `next_token` (none, or an empty one) it is the last."""

    items: list[Item] = []
    next_token: str = ""


class ControlPlane(Protocol):
    """Connect's signed API: rare calls."""

    async def start_chat(self, request: ChatRequest) -> StartedChat:
        """Start a chat or return the one that the same client token started. Raises GatewayError."""
        ...


class ParticipantService(Protocol):
    """Connect's bearer-token API: one call per message. All raise GatewayError."""

    async def connect(self, participant_token: str) -> Connection: ...

    async def send_message(self, connection_token: str, text: str, client_token: str) -> str:
        """Send one text and return its item id. The same client token is the same message. Raises NotPassed, too."""
        ...

    async def transcript(self, connection_token: str, next_token: str) -> Transcript:
        """Return a page of at most 100 items: the newest, or with a token those before. In no order that counts.

        Pages may overlap. An item that cannot be read is missing from its page.
        """
        ...
