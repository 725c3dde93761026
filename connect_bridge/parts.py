"""A customer's message in the parts that Connect takes, each with the token by which Connect knows it again. Pure."""

from __future__ import annotations

from channels_app.text import TextLimit, Unit, split_text
from connect_bridge.gateway import LARGEST_MESSAGE, LONGEST_FOR_BOT
from connect_bridge.marks import escaped
from connect_bridge.store import Pending

FOR_BOT = TextLimit(most=LONGEST_FOR_BOT)
FOR_AGENT = TextLimit(most=LARGEST_MESSAGE, unit=Unit.UTF8_BYTES)
#: A longer text is cut, and says so: ten parts for a bot. No messenger's own limit is higher; the store keeps it all.
LONGEST_TEXT = 10 * LONGEST_FOR_BOT
CUT = "[the rest of this message is too long to show: {left} more characters]"


def shown(text: str) -> str:
    """Return what of a text the agent gets to see: not too much, and nothing that looks like our own word."""
    if len(text) <= LONGEST_TEXT:
        return escaped(text)
    return escaped(text[:LONGEST_TEXT]) + CUT.format(left=len(text) - LONGEST_TEXT)


def next_part(message: Pending, limit: TextLimit) -> str:
    """Return what to send next, "" when all of the message is with Connect."""
    left = shown(message.text)[message.relayed :]
    return split_text(left, limit)[0] if left else ""


def token(message: Pending, part: str) -> str:
    """Return the ClientToken: the message's id, and for a part of it also where it begins and how long it is."""
    if len(part) == len(shown(message.text)):
        return str(message.id)
    return f"{message.id}:{message.relayed}:{len(part)}"
