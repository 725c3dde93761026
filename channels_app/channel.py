"""The contract that every messenger fulfils: three methods, and small Protocols for what only some can do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, ClassVar, Generic, Protocol, TypeVar, runtime_checkable

from channels_app.declarations import Advice, Api, Guide
from channels_app.errors import SendFailed
from channels_app.toolkit.http import Http
from channels_app.toolkit.msgspec_tools import convert
from channels_app.toolkit.text import TextLimit
from channels_app.types import (
    Answer,
    Checked,
    FoundSent,
    InboundEvent,
    Listed,
    ListedInbound,
    ListedSent,
    OutboundMessage,
    Secret,
    SendReceipt,
    Struct,
    VerifiedWebhook,
    WebhookRequest,
)

ConfigT = TypeVar("ConfigT", bound=Struct)


def _read_secret(kind: type, value: Any) -> Any:
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    raise NotImplementedError(kind)


class Channel(Generic[ConfigT]):
    """One messenger account, ready to use. Cheap to make, safe to share between threads, no I/O in the constructor.

    `config` holds the credentials. `webhook_url` is the address that the provider calls, absolute and public. The class
    variables are all that pages, settings, logs and limits know of a channel: they look it up and never name a kind.
    """

    kind: ClassVar[str]
    label: ClassVar[str]
    text_limit: ClassVar[TextLimit]
    #: Bytes of webhook body that the provider can send.
    max_body: ClassVar[int] = 256 * 1024
    Config: ClassVar[type[Struct]]
    api: ClassVar[Api]
    #: Of the provider's SDK, which would log request bodies at DEBUG: these loggers stay at WARNING.
    sdk_loggers: ClassVar[tuple[str, ...]] = ()
    #: Headers of a webhook that are worth keeping beside those kept of all; none that proves or authorises anything.
    kept_headers: ClassVar[tuple[str, ...]] = ()
    #: How pages draw the channel: SVG shapes in a box of 24 by 24, as lines in the colour of the text.
    glyph: ClassVar[str] = '<path d="M4.5 5.5h15v10.5h-8L7 19.5V16H4.5Z"/>'
    #: For the set-up wizard.
    guide: ClassVar[Guide] = Guide()
    #: What the provider's own error codes mean, in an answer and afterwards alike; code, or code/subcode.
    codes: ClassVar[Mapping[str, type[SendFailed]]] = {}
    #: What they mean beyond that, where there is more to say than the class of error does.
    advice: ClassVar[Mapping[str, Advice]] = {}

    def __init__(self, config: ConfigT, http: Http, webhook_url: str) -> None:
        self.config = config
        self.http = http
        self.webhook_url = webhook_url

    @classmethod
    def read_config(cls, credentials: dict[str, str]) -> Any:
        """Return the typed Config; raise msgspec.ValidationError, naming the key, for what is missing or malformed."""
        return convert(credentials, cls.Config, dec_hook=_read_secret)

    @classmethod
    def meaning(cls, code: str) -> type[SendFailed]:
        """Return the class of a provider's error code; SendFailed itself if nothing is known of it."""
        return cls.codes.get(code) or cls.codes.get(code.partition("/")[0]) or SendFailed

    @property
    def address(self) -> str:
        """Our own id at the provider: Page id, user id, number. It must be the addressee of every inbound event."""
        raise NotImplementedError

    def verify(self, request: WebhookRequest) -> VerifiedWebhook:
        """Return the request as verified, or raise WebhookRejected. Constant time, over the raw bytes."""
        raise NotImplementedError

    def parse(self, webhook: VerifiedWebhook) -> Iterable[InboundEvent]:
        """Yield everything that the webhook says, normalised.

        An event of unknown type is yielded as Unrecognised, one for another account as Misaddressed. Raises Unusable
        if the body cannot be read at all. No I/O.
        """
        raise NotImplementedError

    def send(self, message: OutboundMessage) -> SendReceipt:
        """Hand the message to the provider and return its ids, or raise a SendFailed. One attempt, no retry here."""
        raise NotImplementedError


@runtime_checkable
class AnswersHandshake(Protocol):
    """The provider checks our address with a GET before it sends anything."""

    def handshake(self, request: WebhookRequest) -> Answer:
        """Return the answer to the provider's challenge, or raise BadHandshake or HandshakeRefused."""
        ...


@runtime_checkable
class AnswersInItsOwnWords(Protocol):
    """The provider wants something else than our JSON when a webhook was taken."""

    def acknowledge(self, status: str) -> Answer: ...


@runtime_checkable
class HasReplyWindow(Protocol):
    """Free text is allowed only for a while after the customer's last message."""

    @staticmethod
    def window_closes(last_inbound_at: datetime) -> datetime: ...


@runtime_checkable
class LinksToChat(Protocol):
    """A link on a web page, in a mail or an SMS opens a chat with us, and brings a code along."""

    @staticmethod
    def chat_link(address: str, greeting: str, code: str) -> str:
        """Return a link to the account with this address.

        What comes in through it has the code in its text or its referral. No I/O.
        """
        ...


@runtime_checkable
class ShowsTyping(Protocol):
    """The customer can be shown that the agent is typing. `message_id` is the customer's last, where one is needed."""

    def show_typing(self, recipient: str, message_id: str) -> None: ...


@runtime_checkable
class MarksRead(Protocol):
    def mark_read(self, recipient: str, message_id: str) -> None: ...


@runtime_checkable
class FindsSent(Protocol):
    """The provider lists what we sent, so that a send whose answer was lost can be looked for."""

    def find_sent(self, message: OutboundMessage, since: datetime) -> FoundSent:
        """Return the sends of this very text to this customer since then, by the provider's clock. Raises SendFailed.

        Also those of other messages that say the same: whoever asks knows which ids belong to those.
        """
        ...


@runtime_checkable
class ListsSent(Protocol):
    """The provider lists all that we sent, so that it can be compared with what we know of."""

    def list_sent(self, since: datetime) -> ListedSent:
        """Return what went from us to single customers since then, by the provider's clock. Raises SendFailed."""
        ...


@runtime_checkable
class LooksUpProfile(Protocol):
    """The webhook does not say who the customer is, but the provider can be asked."""

    def look_up_profile(self, external_id: str) -> dict[str, str]:
        """Return what is known of display_name, handle, picture_url, locale. Raises SendFailed."""
        ...


@runtime_checkable
class ReadsCards(Protocol):
    """Contact cards come as files, which the provider gives out."""

    def read_card(self, media_ref: str) -> str:
        """Return the card as it is written. Raises SendFailed."""
        ...


@runtime_checkable
class Reconciles(Protocol):
    """The provider lists what customers wrote, so that what its webhooks did not bring can be fetched."""

    def list_inbound(self, since: datetime) -> ListedInbound:
        """Return what customers wrote to us since then, by the provider's clock. Raises SendFailed."""
        ...

    def as_webhook(self, listed: Listed) -> VerifiedWebhook:
        """Return the message as the webhook that did not come, for parse(). May ask for its files: raises SendFailed.

        `parse` gives its event the key `listed.key`, so that the message is stored once, however it came.
        """
        ...


@runtime_checkable
class ChecksSubscription(Protocol):
    """The provider tells whether it still sends us webhooks: some stop when our address failed for long."""

    def unsubscribed(self) -> str:
        """Return what we are not subscribed to, "" if nothing that matters is missing. Raises SendFailed."""
        ...

    def subscribe(self) -> None:
        """Subscribe to it, besides what is subscribed already. Idempotent. Raises SendFailed."""
        ...


@runtime_checkable
class ReadsBackConfiguration(Protocol):
    """The provider tells how it is set up for us."""

    def points(self) -> Mapping[str, Callable[[], Checked]]:
        """Return each point that can be looked at, the credentials first, with what asks the provider.

        Asking raises SendFailed. One point knows nothing of the others, so that each can be asked again by itself.
        """
        ...


@runtime_checkable
class RegistersWebhook(Protocol):
    """The provider takes our address by its API: nobody has to paste it."""

    def register_webhook(self) -> str:
        """Register our address and subscribe to what we need; return what was done, in words. Idempotent.

        The provider checks the address meanwhile, so it must be reachable. Raises SendFailed.
        """
        ...
