"""A customer's message in the parts that Connect takes, each with the token by which Connect knows it again. Pure."""

from __future__ import annotations

from channels_app.toolkit.placeholders import EMPTY
from channels_app.toolkit.text import TextLimit, cut_text, is_blank
from connect_bridge.connect.gateway import LONGEST_FOR_BOT
from connect_bridge.connect.markers import escaped
from connect_bridge.storage.relaying import Pending

#: A longer text is cut, and says so: ten parts for a bot. No messenger's own limit is higher. The database keeps it
#: all.
LONGEST_TEXT = 10 * LONGEST_FOR_BOT
CUT = "[the rest of this message is too long to show: {left} more characters]"


def shown(text: str) -> str:
    """Return what of a text the agent gets to see.

    Not too much, nothing that looks like our own word, and a line that says so where there would be nothing.
    """
    if is_blank(text):
        return EMPTY
    if len(text) <= LONGEST_TEXT:
        return escaped(text)
    return escaped(text[:LONGEST_TEXT]) + CUT.format(left=len(text) - LONGEST_TEXT)


def next_part(message: Pending, limit: TextLimit) -> str:
    """Return what to send next, "" when all of the message is with Connect. Never blank: Connect refuses that."""
    left = shown(message.text)[message.relayed :]
    return next((part for part in cut_text(left, limit) if not is_blank(part)), "")


def position_after(message: Pending, part: str) -> int:
    """Return how many characters of the message are done with once Connect has this part.

    Blanks that are not sent, before it or at the end of the text, are done with, too.
    """
    whole = shown(message.text)
    begin = whole.find(part, message.relayed) if part else -1
    end = begin + len(part) if begin >= 0 else len(whole)
    return len(whole) if is_blank(whole[end:]) else end


def token(message: Pending, part: str) -> str:
    """Return the ClientToken: the message's id, and for a part of it also where it begins and how long it is.

    And after what: a message that is let go again, though Connect took it once, must be another to Connect.
    """
    whole = len(part) == len(shown(message.text))
    place = () if whole else (str(message.relayed), str(len(part)))
    return ":".join((str(message.id), *place, *((message.item,) if message.item else ())))
