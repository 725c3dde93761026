"""Meta's Graph for Messenger. Source: developers.facebook.com, Messenger Platform."""

from __future__ import annotations

from sandbox.world.documented import Evidence, Here, Rule

RULES: tuple[Rule, ...] = (
    Rule(
        call="POST /me/messages",
        real="More than 24 hours after the last message: error 10, subcode 2018278",
        source="Messenger Platform, error codes",
        evidence=Evidence.DOCUMENT,
        here=Here.SAME,
        does="10/2018278",
        test="tests/sandbox/test_messengers_send.py::test_graph_window_and_human_agent",
    ),
)
