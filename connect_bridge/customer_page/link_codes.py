"""Codes that prove a second channel to be the same customer's: a link that opens a chat, or digits sent into one."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from channels_app.account_fields import ENCRYPTED, encrypted_at
from channels_app.channel import LinksToChat
from channels_app.models import ChannelAccount
from channels_app.registry import channels
from channels_app.reply_window import window_closes
from connect_bridge.models import Conversation
from connect_bridge.outbox.system_message import announce
from customers.codes import LINK_LASTS, make_link_code, make_one_time_code
from customers.models import Identity, LinkCode

#: What the customer's first message says before the code, unless the caller gives other words.
DEFAULT_GREETING = "Hello, I would like to continue our chat here. My code:"
#: The message that carries a one-time code.
ONE_TIME_MESSAGE = (
    "Your code is {digits}. Type it in the chat where you were asked for it, and nowhere else. "
    "It is good for ten minutes. If you did not ask for it, ignore this message."
)


class CannotSend(Exception):
    """The code cannot be sent to that channel now. `str()` says why, for people."""


@dataclass(frozen=True, slots=True)
class Link:
    """A link that opens a chat with one of our accounts, with the code already written."""

    account: ChannelAccount
    url: str


@dataclass(frozen=True, slots=True)
class IssuedCode:
    """A code to give to a customer. Only a digest of it is stored, so it can be shown this once."""

    row: LinkCode
    code: str
    links: tuple[Link, ...]


def issue_link_code(
    customer: uuid.UUID, identity: uuid.UUID | None, *, by: str, greeting: str = "", lasts: timedelta = LINK_LASTS
) -> IssuedCode:
    """Make a link code and the links that carry it to each of our accounts that can be linked to."""
    row, code = make_link_code(customer, identity, by=by, lasts=lasts)
    accounts = ChannelAccount.objects.filter(enabled=True).defer(*ENCRYPTED)
    links = []
    for account in accounts.order_by("kind", "name"):
        channel = channels().get(account.kind)
        if channel is not None and issubclass(channel, LinksToChat):
            links.append(Link(account, channel.chat_link(account.address, greeting or DEFAULT_GREETING, code)))
    return IssuedCode(row, code, tuple(links))


def send_one_time_code(identity: Identity, typed_by: Identity, *, by: str) -> LinkCode:
    """Send a one-time code to `identity`, to be typed by `typed_by`. Raises CannotSend."""
    conversations = Conversation.objects.filter(identity=identity, account__enabled=True).exclude(last_inbound_at=None)
    conversation = (
        conversations.select_related("account").defer(*encrypted_at("account")).order_by("-last_inbound_at").first()
    )
    if conversation is None:
        raise CannotSend("This identity never wrote to an account that is enabled: there is no chat to send a code to.")
    if identity.suppressed_at is not None:
        raise CannotSend("This identity takes no messages from us now: the customer said STOP or blocked the account.")
    closes = window_closes(conversation.account.kind, conversation.last_inbound_at)
    if closes is not None and closes < datetime.now(UTC):
        raise CannotSend(
            f"The customer last wrote there too long ago: free text was taken until {closes:%d %b %H:%M} UTC."
        )
    row, digits = make_one_time_code(identity.pk, identity.home_id, typed_by.pk, by=by)
    announce(conversation, ONE_TIME_MESSAGE.format(digits=digits))
    return row
