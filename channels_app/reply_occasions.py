"""The occasions on which customers are told something without a person: one row each, and all there is to say of them.

What is told is either rows of AutoReply, one for each language, or one text in a column of the account. A new occasion
is a row here and one call of `say` (connect_bridge/automation/replies.py) where it happens: the admin, the set-up, the
account's settings and what is compared with Amazon Connect follow from the row, and no migration is needed.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Occasion:
    """`key` is stored, at most 16 characters; `when` ends the sentence "Customers are told something when …".

    `once_per` is what the caller's period stands for: within one, a conversation is told once. `said_by` is the step of
    the bridge that says it. `column` names the account's column with the text, empty for rows of AutoReply; `help`
    explains that column to a person. `default` is told where nobody has written a text; empty: nothing. `variables` are
    the names that a text may hold in braces. What `passes_pause` goes out although the account is paused. `item` is a
    fixed name under which the message is stored once for each chat, where it should not be a new one each time.
    """

    key: str
    when: str
    once_per: str
    said_by: str
    column: str = ""
    help: str = ""
    default: str = ""
    variables: tuple[str, ...] = ()
    passes_pause: bool = False
    item: str = ""


GREETING = Occasion("greeting", "a chat begins", once_per="chat", said_by="relay, once the chat is connected")
CLOSED = Occasion(
    "closed",
    "somebody writes outside the hours",
    once_per="stretch of being closed",
    said_by="relay, before a message goes on",
)
QUEUE_DELAY = Occasion("queue_delay", "no agent has come yet", once_per="chat", said_by="look for who waits")
MEDIA = Occasion(
    "media",
    "somebody sends what the chat cannot show",
    once_per="day",
    said_by="relay, before a message goes on",
)
PAUSED = Occasion(
    "paused",
    "somebody writes while the account is paused",
    once_per="pause",
    said_by="relay, before a message goes on",
    column="pause_reply",
    help="What a customer who writes while the account is paused is told, once. Empty: nothing.",
    passes_pause=True,
)
HOLDING = Occasion(
    "holding",
    "Connect takes no more chats for now",
    once_per="chat",
    said_by="chat start, when Connect's quota is used up",
    column="holding_reply",
    help="What a customer is told when Connect takes no more chats for now, once a chat. Empty: nothing.",
    item="holding reply",
)

OCCASIONS = (GREETING, CLOSED, QUEUE_DELAY, MEDIA, PAUSED, HOLDING)


def choices() -> list[tuple[str, str]]:
    """Return the occasions whose texts are rows of AutoReply, for its forms."""
    return [(occasion.key, occasion.when) for occasion in OCCASIONS if not occasion.column]


def is_reply(item: str) -> bool:
    """Return whether a message's item id, which Connect's never look like, says that we told it without a person."""
    return item.partition(" ")[0] in {occasion.key for occasion in OCCASIONS}
