"""Words of ours to the agent alone: over the customer's connection, marked as ours (connect/markers.py, ADR 9).

Connect shows them under the customer's name. What comes back of them is our own echo, so it is not captured: the
customer never gets it, and it counts nowhere as the customer's. They are said only while an agent is in the chat: a
bot would take them for the customer's words.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

import msgspec

from channels_app.toolkit.text import split_text
from connect_bridge.connect.gateway import FOR_AGENT, Refused, Unreachable
from connect_bridge.connect.transcript import read_transcript
from connect_bridge.listening.listener import Listener
from connect_bridge.runtime import BridgeRuntime


class AgentNote(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be said: `mark` and text. `token` is the ClientToken, the same for every attempt.

    `in_doubt`: an attempt before this one may have said it, not before `since` of our clock, if that is given.
    """

    mark: str
    text: str
    token: str
    in_doubt: bool = False
    since: datetime | None = None

    @property
    def line(self) -> str:
        """The whole line, as much of it as Connect takes."""
        return split_text(self.mark + self.text, FOR_AGENT)[0]

    def __repr__(self) -> str:
        return f"<AgentNote {self.token}>"


async def say_note(runtime: BridgeRuntime, listener: Listener, note: AgentNote, known: Collection[str] = ()) -> str:
    """Say it once and return its item id, of which the listener takes note. Raises GatewayError."""
    item = await _said(runtime, listener, note, known)
    listener.echoes.note_agent_note(item)
    return item


async def _said(runtime: BridgeRuntime, listener: Listener, note: AgentNote, known: Collection[str]) -> str:
    """Say it, or find that it was said. Raises GatewayError.

    A ClientToken is good within one connection only: if an attempt is in doubt, Connect's transcript tells. `known` are
    the items that are other notes.
    """
    if note.in_doubt and (item := await _said_before(runtime, listener, note, known)):
        return item
    await listener.connection.await_turn()
    if listener.chat.bot or not listener.listening:
        raise Unreachable("no agent is in the chat now")
    try:
        return await listener.connection.send(note.line, note.token)
    except Refused:
        await listener.open(backfill=True)
        raise Unreachable("the connection had expired and was renewed") from None


async def _said_before(runtime: BridgeRuntime, listener: Listener, note: AgentNote, known: Collection[str]) -> str:
    """Return the id of this note in Connect's transcript, "" if it is not there.

    Connect may have rewritten the text in flight. Then it is the only line with this mark that is not another one.
    """
    limiter = runtime.limiters.of(listener.chat.instance_id, "transcript")
    items = await read_transcript(runtime.participants, limiter, listener.connection.token, note.since)
    here = (item for item in items if not item.related_contact_id)  # an earlier chat's agent is another
    own = (item for item in here if item.participant_role == "CUSTOMER" and item.id not in known)
    marked = [item for item in own if item.content.startswith(note.mark.rstrip())]
    ours = [item for item in marked if item.content == note.line] or (marked if len(marked) == 1 else [])
    return ours[0].id if ours else ""
