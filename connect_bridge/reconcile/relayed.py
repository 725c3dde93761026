"""What was relayed of customers' messages against what Connect's transcript has under the customer's name. Pure.

One message may be several items, and only its last one's id is known; of a chat's InitialMessage none is. So an item is
known by its id; else by its text, as what comes next of a message; else, since Connect may have rewritten it in flight
(redaction, message processors), by its place: it stands between items that are known.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from channels_app.toolkit.text import is_blank, split_text
from connect_bridge.connect.gateway import FOR_AGENT, FOR_BOT, Item


@dataclass(slots=True)
class Relayed:
    """A customer's message, and what of it is still to be found in Connect's transcript.

    `earlier` is what came before its last part and was not found: it may be in a former chat, or have been rewritten.
    """

    id: uuid.UUID
    sequence: int
    item: str | None
    left: str
    begun: bool = False
    ended: bool = False
    rewritten: bool = False
    earlier: str = ""

    def is_ended_by(self, item: Item) -> bool:
        """Take the item if it has this message's id, which is that of the last part."""
        if not self.left or item.id != self.item:
            return False
        before = _before(self.left, item.content)
        if before is None:
            self.rewritten = True
            before = "" if self.begun else _before(self.left, split_text(self.left, FOR_BOT)[-1])
        rest = before or ""
        # What comes first of it may be in a former chat.
        self.left, self.earlier = (rest, "") if self.begun else ("", rest)
        self.begun = self.ended = True
        return True

    def goes_on_with(self, item: Item) -> bool:
        """Take the item if its text is what comes next of this message."""
        rest = _after(self.left, item.content)
        if not self.left or not item.content or rest is None:
            return False
        self.left = rest
        self.begun = True
        return True

    def may_be(self, item: Item) -> bool:
        """Take the item as a part that was rewritten, if one is missing and no id says otherwise."""
        missing = self.earlier or self.left
        if not missing or (self.item is not None and not self.ended):
            return False
        parts = [split_text(missing, limit)[0] for limit in (FOR_BOT, FOR_AGENT)]
        part = min(parts, key=lambda part: abs(len(part) - len(item.content)))
        rest = _after(missing, part) or ""
        self.left, self.earlier = ("", rest) if self.earlier else (rest, "")
        self.rewritten = True
        return True


def _after(text: str, part: str) -> str | None:
    """Return what of a text comes after the part with which it begins, None if it does not.

    Blanks that are a part of their own are never sent, so they are not missed.
    """
    begin = text.find(part)
    return _seen(text[begin + len(part) :]) if begin >= 0 and is_blank(text[:begin]) else None


def _before(text: str, part: str) -> str | None:
    """Return what of a text comes before the part with which it ends, None if it does not. Blanks as in _after."""
    begin = text.rfind(part)
    return _seen(text[:begin]) if begin >= 0 and is_blank(text[begin + len(part) :]) else None


def _seen(text: str) -> str:
    return "" if is_blank(text) else text


@dataclass(slots=True)
class Matched:
    """What became of the items: whose each is, in their order, and those that are nobody's."""

    owners: Sequence[tuple[Item, Relayed | None]]

    @property
    def places(self) -> Iterator[Relayed]:
        return (owner for _, owner in self.owners if owner is not None)

    @property
    def unmatched(self) -> Iterator[Item]:
        return (item for item, owner in self.owners if owner is None)


def match(sent: Sequence[Relayed], items: Sequence[Item]) -> Matched:
    """Match messages, by sequence, with the customer's items, by Connect's time."""
    by_item = {message.item: message for message in sent if message.item is not None}
    owners: list[Relayed | None] = []
    for item in items:
        named = by_item.get(item.id)
        if named is not None:
            owners.append(named if named.is_ended_by(item) else None)
        else:
            owners.append(next((message for message in sent if message.goes_on_with(item)), None))
    for place, (item, owner) in enumerate(zip(items, owners, strict=True)):
        if owner is None:
            owners[place] = next((message for message in _between(sent, owners, place) if message.may_be(item)), None)
    return Matched(list(zip(items, owners, strict=True)))


def _between(sent: Sequence[Relayed], owners: Sequence[Relayed | None], place: int) -> Iterator[Relayed]:
    """Yield the messages that can stand at this place: not before what stands before it, nor after what follows."""
    before = next((message.sequence for message in reversed(owners[:place]) if message is not None), 0)
    after = next((message.sequence for message in owners[place + 1 :] if message is not None), None)
    return (message for message in sent if message.sequence >= before and (after is None or message.sequence <= after))
