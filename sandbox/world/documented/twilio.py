"""Twilio's API for WhatsApp. Source: twilio.com/docs."""

from __future__ import annotations

from sandbox.world.documented import Evidence, Here, Rule

RULES: tuple[Rule, ...] = (
    Rule(
        call="POST /Messages.json",
        real="Outside the window a message is accepted and fails afterwards with 63016",
        source="twilio.com/docs/api/errors/63016",
        evidence=Evidence.DOCUMENT,
        here=Here.SAME,
        does="a callback with 63016",
        test="tests/sandbox/test_messengers_send.py::test_twilio_tells_a_closed_window_afterwards",
    ),
)
