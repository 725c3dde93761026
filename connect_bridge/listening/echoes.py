"""What Connect shows of our own messages: by it we know what Connect has taken, whatever it answered.

Connect echoes what we send, on the socket and in the transcript, without our ClientToken and perhaps with another text:
redaction and message processors rewrite it in flight.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from connect_bridge.connect.gateway import Item
from connect_bridge.connect.items import moment
from connect_bridge.connect.markers import escaped, is_marked
from connect_bridge.listening.rejected_messages import rejections

#: Echoes remembered: more than the parts of any message.
REMEMBERED = 200


class Echo(NamedTuple):
    """A message of ours as Connect has it, which may have rewritten its text. `at` is Connect's clock."""

    id: str
    text: str
    at: datetime


@dataclass(slots=True)
class OwnEchoes:
    """The echoes of one chat, the latest of them. `complete`: all of the chat's transcript was read once."""

    complete: bool = False
    _echoes: dict[str, Echo] = field(default_factory=dict)
    _agent_notes: set[str] = field(default_factory=set)

    @property
    def ids(self) -> Collection[str]:
        """The ids of our messages that Connect has shown us."""
        return self._echoes.keys()

    def note_agent_note(self, item: str) -> None:
        """Take note that this item is our word to the agent alone, whatever Connect makes of its mark."""
        self._agent_notes.add(item)
        self._echoes.pop(item, None)

    def note(self, items: Iterable[Item]) -> None:
        """Remember our messages among these, the InitialMessage included.

        But neither our words to the agent nor what nobody in the chat gets to see.
        """
        rejected = dict(rejections(items))
        for item in items:
            if item.id in self._agent_notes or is_marked(item.content):
                continue
            if item.id in rejected:
                self._echoes.pop(item.id, None)
                continue
            if item.participant_role == "CUSTOMER" and item.type == "MESSAGE":
                self._echoes[item.id] = Echo(item.id, item.content, moment(item))
        for old in list(self._echoes)[:-REMEMBERED]:
            del self._echoes[old]

    def find(self, parts: Sequence[str], known: Mapping[str, str]) -> tuple[str, str] | None:
        """Return which of the `parts` Connect has though we do not know that it took it, and its item's id; else None.

        Nobody else speaks as the customer, and one message is under way at a time. So it is what stands after the last
        one whose id we know, in Connect's own order of time. `known` are these ids with what we sent under each
        ("" where nobody knows), and all that was there before the first attempt.
        """
        echoes = sorted(self._echoes.values(), key=lambda echo: echo.at)
        last = max((place for place, echo in enumerate(echoes) if echo.id in known), default=-1)
        if last >= 0 or self.complete:  # a chat's first message is its InitialMessage, whose id no answer gave
            after = echoes[max(last, 0) + 1 :]
        else:
            after = [echo for echo in echoes if echo.text in parts]
        # What Connect took as it was and shows again is a late copy of that, sent by a bridge that was away.
        copies = {echo.text for echo in echoes[: last + 1] if escaped(known.get(echo.id, "")).endswith(echo.text)}
        matching = [echo for echo in after if echo.text in parts or echo.text not in copies]
        return (_likeliest(parts, matching[0].text), matching[0].id) if matching else None


def _likeliest(parts: Sequence[str], text: str) -> str:
    """Return which part the text is: itself, or what was rewritten into it, which is of about the same length."""
    return min(parts, key=lambda part: (part != text, abs(len(part) - len(text))))
