"""Whether a note to the agent was sent before: Connect's transcript tells."""

from __future__ import annotations

from typing import cast

import pytest

from connect_bridge.automation.agent_notes import AgentNote, say_note
from connect_bridge.connect.gateway import Item, Unreachable
from connect_bridge.connect.markers import NOT_DELIVERED
from connect_bridge.runtime import BridgeRuntime
from tests.connect_bridge.listening.kit import OneChat, said

NOTE = AgentNote(mark=NOT_DELIVERED, text="Not delivered: 1111 2222", token="t", in_doubt=True)


def as_item(text: str, name: str, **fields: object) -> Item:
    return said(NOT_DELIVERED + text, 3, id=name, participant_role="CUSTOMER", **fields)


#: What the transcript has, which items are known, and which one is this note.
TOLD: dict[str, tuple[list[Item], list[str], str]] = {
    "as it was": ([as_item(NOTE.text, "it")], [], "it"),
    "rewritten": ([as_item("Not delivered: [CARD]", "it")], [], "it"),
    "beside another": (
        [as_item("Not delivered: x", "other"), as_item("Not delivered: [CARD]", "it")],
        ["other"],
        "it",
    ),
    "another alone": ([as_item("Not delivered: x", "other")], ["other"], ""),
    "one of an earlier chat": ([as_item(NOTE.text, "past", related_contact_id="earlier")], [], ""),
    "an agent's": ([said(NOTE.line, 3, id="hers")], [], ""),
}


@pytest.mark.parametrize(("items", "known", "expected"), TOLD.values(), ids=TOLD)
async def test_in_doubt_the_transcript_tells_whether_it_was_said(monkeypatch, items, known, expected):
    chat = OneChat(*items)
    listener = chat.listener(monkeypatch)
    await listener.open(backfill=False)
    if expected:
        assert await say_note(cast("BridgeRuntime", chat), listener, NOTE, known) == expected
    else:
        with pytest.raises(Unreachable, match="no agent"):  # so it would be said now
            await say_note(cast("BridgeRuntime", chat), listener, NOTE, known)
