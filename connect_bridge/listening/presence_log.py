"""Who is in a chat, written down as the chat tells of it: events, the serving agent, the latest segment."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from connect_bridge.connect.gateway import Item
from connect_bridge.connect.items import Reading
from connect_bridge.connect.presence import RENAMED, ParticipantEvent, Presence
from connect_bridge.runtime import BridgeRuntime
from connect_bridge.storage.chats import CHAT_EVENTS, CHAT_NEWS, Chat
from connect_bridge.storage.side_events import SHOW_HELD_BACK


@dataclass(slots=True)
class PresenceLog:
    """The presence of one chat, and what of it the database has. Noting anything again does no harm."""

    runtime: BridgeRuntime
    chat: Chat
    _presence: Presence = field(init=False)
    _written_agent: str = field(init=False)
    _latest: str = ""
    _held_back: bool = True  # side events may wait for a person to be there

    def __post_init__(self) -> None:
        self._presence = Presence.restored(self.chat.events or ())
        self._written_agent = self._presence.agent

    @property
    def agent(self) -> str:
        """The name of the agent who serves, "" if none is there."""
        return self._presence.agent

    async def note(self, items: Sequence[Item], readings: Sequence[Reading]) -> None:
        """Write down who came and left, who serves, and in which segment. What is older than what was noted is not.

        Raises psycopg.Error.
        """
        events = [
            (item.id, event) for item, event in zip(items, readings, strict=True) if isinstance(event, ParticipantEvent)
        ]
        moves = [(item, event) for item, event in events if self._presence.take(event) and event.kind != RENAMED]
        if moves:
            await self.runtime.execute(CHAT_EVENTS, self._rows(moves))
        await self._note_segment(items)
        self._latest = max([self._latest, *(item.absolute_time for item in items)])

    async def _note_segment(self, items: Iterable[Item]) -> None:
        chat, persons = self.chat, self._presence
        newer = [item.contact_id for item in items if item.contact_id and item.absolute_time >= self._latest]
        segment = newer[-1] if newer else chat.contact_id
        bot = not persons.anybody if persons.knows else chat.bot
        if (persons.agent, bot, segment) != (self._written_agent, chat.bot, chat.contact_id):
            params = {"contact": chat.contact, "contact_id": segment, "agent": persons.agent, "bot": bot}
            await self.runtime.execute(CHAT_NEWS, params)
            self._written_agent, chat.bot, chat.contact_id = persons.agent, bot, segment
        self._held_back |= bot
        if self._held_back and not bot:
            await self.runtime.execute(SHOW_HELD_BACK, {"contact": chat.contact})
            self._held_back = False

    def _rows(self, moves: Sequence[tuple[str, ParticipantEvent]]) -> dict[str, Any]:
        return {
            "contact": self.chat.contact,
            "items": [(item or event.at.isoformat())[:64] for item, event in moves],
            "participants": [event.participant[:64] for _, event in moves],
            "roles": [event.role[:16] for _, event in moves],
            "kinds": [event.kind for _, event in moves],
            "names": [event.name[:256] for _, event in moves],
            "at": [event.at for _, event in moves],
        }
