"""Values that cross the boundary between a messenger and the rest of the product.

Everything here is immutable and free of I/O. Inbound events are a closed union, tagged so that they survive a round
trip through JSON (codec.py); match them and end with `assert_never`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NewType

import msgspec


class Secret:
    """A credential. Its text comes out only through `reveal()`; repr, str and format hide it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "Secret('…')"

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)


class Struct(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A plain immutable value."""


class AliasType(StrEnum):
    PHONE = "phone"  # E.164, with the plus sign
    BSUID = "bsuid"  # WhatsApp's business-scoped user id, e.g. US.1349…
    PARENT_BSUID = "parent_bsuid"
    USERNAME = "username"  # changes hands: never a key to find somebody by


class Alias(Struct, frozen=True, kw_only=True):
    """Another name by which the messenger knows the same person."""

    type: AliasType
    value: str


class Sender(Struct, frozen=True, kw_only=True):
    """Who wrote, as the messenger names them.

    `external_id` is unique within (kind, issuer). The issuer is the Page for a Messenger PSID, empty where the id is
    global (an X user id, a phone number). `ignored` names the provider's fields that were to hold an id and did not
    hold one in its documented form: they identify nobody, and stay in the raw webhook.
    """

    external_id: str
    issuer: str = ""
    aliases: tuple[Alias, ...] = ()
    display_name: str = ""
    handle: str = ""
    picture_url: str = ""
    locale: str = ""
    ignored: tuple[str, ...] = ()


class PartKind(StrEnum):
    IMAGE = "image"
    AUDIO = "audio"
    VOICE = "voice"
    VIDEO = "video"
    FILE = "file"
    STICKER = "sticker"
    LOCATION = "location"
    CONTACT = "contact"
    LINK = "link"
    ORDER = "order"
    FORM = "form"
    STORY = "story"
    ENCRYPTED = "encrypted"
    UNSUPPORTED = "unsupported"


class Part(Struct, frozen=True, kw_only=True):
    """One piece of a message that is not plain text. `media_ref` is a URL or the provider's media id.

    `answers` are (question, answer) of a form, or what else comes as pairs of names and values.
    """

    kind: PartKind
    media_ref: str = ""
    mime: str = ""
    size: int | None = None
    name: str = ""
    caption: str = ""
    latitude: float | None = None
    longitude: float | None = None
    detail: str = ""
    answers: tuple[tuple[str, str], ...] = ()


class Selection(Struct, frozen=True, kw_only=True):
    """What the customer tapped: a quick reply, button or list row. `id` is our payload, `title` what they saw."""

    title: str
    id: str = ""


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="event"):
    """What every inbound event carries.

    `key` is the provider's own key for this event, unique within the account: the same event delivered again has the
    same key, another event never does. `occurred_at` is the provider's clock, None where it did not say.
    """

    key: str
    sender: Sender
    occurred_at: datetime | None = None


class MessageReceived(Event, frozen=True, kw_only=True, omit_defaults=True, tag="message"):
    """A customer wrote. `message_id` is the provider's; parts that Connect cannot show become placeholders later."""

    message_id: str
    text: str = ""
    parts: tuple[Part, ...] = ()
    reply_to: str = ""
    selection: Selection | None = None
    referral: str = ""
    forwarded: bool = False


class MessageEdited(Event, frozen=True, kw_only=True, omit_defaults=True, tag="edit"):
    message_id: str
    text: str


class MessageUnsent(Event, frozen=True, kw_only=True, omit_defaults=True, tag="unsend"):
    message_id: str


class Reacted(Event, frozen=True, kw_only=True, omit_defaults=True, tag="reaction"):
    """`emoji` is empty when the reaction was taken back."""

    message_id: str
    emoji: str = ""


class Rated(Event, frozen=True, kw_only=True, omit_defaults=True, tag="feedback"):
    """A customer said what they think of us, where they were asked: (question, answer) pairs.

    `message_id` is the message that they rate, where it is one.
    """

    answers: tuple[tuple[str, str], ...]
    message_id: str = ""


class Referred(Event, frozen=True, kw_only=True, omit_defaults=True, tag="referral"):
    """A customer came to a chat that exists through a link or an ad, and has not written (yet)."""

    referral: str


class Echoed(Event, frozen=True, kw_only=True, omit_defaults=True, tag="echo"):
    """Our side wrote: `sender` is the customer who received it. `correlation` is our own id if the provider kept it.

    `app` is what wrote it, where the provider names it: its own inbox, its own app, another program.
    """

    message_id: str
    text: str = ""
    correlation: str = ""
    parts: tuple[Part, ...] = ()
    app: str = ""


class ReceiptStatus(StrEnum):
    ACCEPTED = "accepted"
    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"


class ReceiptReceived(Event, frozen=True, kw_only=True, omit_defaults=True, tag="receipt"):
    """The provider tells what became of our message.

    Names it by the provider's ids, by our own `correlation`, or, with `watermark` (Unix milliseconds), means everything
    that we sent to this customer up to then. `error_code` is the provider's, for FAILED.
    """

    status: ReceiptStatus
    message_ids: tuple[str, ...] = ()
    watermark: int | None = None
    correlation: str = ""
    error_code: str = ""
    error_detail: str = ""


class TypingShown(Event, frozen=True, kw_only=True, omit_defaults=True, tag="typing"):
    pass


class ConsentChanged(Event, frozen=True, kw_only=True, omit_defaults=True, tag="consent"):
    """The customer opted in or out, followed, or blocked us. `topic` is the provider's word for it.

    `offers`: it is about offers alone, and `topic` is only their name, whatever that says.
    """

    granted: bool
    topic: str = ""
    offers: bool = False


class AccountLinked(Event, frozen=True, kw_only=True, omit_defaults=True, tag="linked"):
    """The customer tied their messenger to an account elsewhere, or untied it. `code` is what came from there."""

    linked: bool
    code: str = ""


class IdentityChanged(Event, frozen=True, kw_only=True, omit_defaults=True, tag="identity"):
    """The customer's id, number or handle changed; `sender` carries the new one, `former_id` the old."""

    former_id: str


class AccountChanged(Event, frozen=True, kw_only=True, omit_defaults=True, tag="account"):
    """Something happened to our own account: access revoked, Page unsubscribed, another app answers somebody.

    `sender` is the account's own id.
    """

    topic: str
    detail: str = ""


class Unrecognised(Event, frozen=True, kw_only=True, omit_defaults=True, tag="unrecognised"):
    """An event of a type that we do not know, or know and do not need. Kept, never shown to an agent."""

    type: str


class Misaddressed(Event, frozen=True, kw_only=True, omit_defaults=True, tag="misaddressed"):
    """A signed event that names somebody else's Page, number or user: quarantined under the account it came to."""

    address: str


InboundEvent = (
    MessageReceived
    | MessageEdited
    | MessageUnsent
    | Reacted
    | Rated
    | Referred
    | Echoed
    | ReceiptReceived
    | TypingShown
    | ConsentChanged
    | AccountLinked
    | IdentityChanged
    | AccountChanged
    | Unrecognised
    | Misaddressed
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookRequest:
    """One HTTP request as it arrived. Header names are lower case; `query` is the raw query string, not decoded.

    `url` is the address that the provider was given, built from PUBLIC_BASE_URL and the path, never from Host.
    `repeated` names headers that came more than once.
    """

    method: str
    url: str
    headers: dict[str, str]
    body: bytes = b""
    query: str = ""
    repeated: frozenset[str] = frozenset()


#: A request whose signature has been checked, by Channel.verify(). Or what the provider itself answered when we asked
#: it, put as its webhook would have put it, by Reconciles.as_webhook(). Nothing else makes one.
VerifiedWebhook = NewType("VerifiedWebhook", WebhookRequest)


class Answer(Struct, frozen=True, kw_only=True):
    """What to say back to the provider."""

    status: int
    body: bytes
    content_type: str = "application/json"


class OutboundMessage(Struct, frozen=True, kw_only=True):
    """One message to one customer, already within the channel's length limit.

    `correlation` is our outbox entry's id: the channel hands it to the provider wherever that gives it back (Messenger
    metadata, Twilio's status callback).
    """

    recipient: str
    text: str
    correlation: str


class SendReceipt(Struct, frozen=True, kw_only=True):
    """The provider accepted the message under these ids."""

    message_ids: tuple[str, ...]


class FoundSent(Struct, frozen=True, kw_only=True):
    """Sends of one text to one customer that a provider lists, the oldest first.

    `complete`: the list reaches back far enough that a message which is not in it was not taken.
    """

    message_ids: tuple[str, ...]
    complete: bool


class Listed(Struct, frozen=True, kw_only=True):
    """A customer's message in the provider's own list. `key` is the key of its event; `raw` is the provider's words."""

    key: str
    at: datetime
    raw: dict[str, Any]


class ListedInbound(Struct, frozen=True, kw_only=True):
    """What customers wrote, as a provider lists it. `complete`: nothing older than asked for was left out."""

    messages: tuple[Listed, ...]
    complete: bool


class ListedSend(Struct, frozen=True, kw_only=True):
    """Something that we sent, in the provider's own list, by the provider's id."""

    message_id: str
    at: datetime


class ListedSent(Struct, frozen=True, kw_only=True):
    """What we sent, as a provider lists it. `complete`: nothing older than asked for was left out."""

    messages: tuple[ListedSend, ...]
    complete: bool


class Checked(Struct, frozen=True, kw_only=True):
    """What a provider said when one point of our set-up was looked at.

    `said` is its answer in words. `ours` and `theirs` are what should be there and what is. `fix` says what to do.
    `expires_at` is when a permission or token that was looked at ends, where the provider tells.
    """

    ok: bool
    said: str
    fix: str = ""
    ours: str = ""
    theirs: str = ""
    code: str = ""
    expires_at: datetime | None = None
