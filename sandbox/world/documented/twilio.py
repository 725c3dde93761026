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
    Rule(
        call="incoming message",
        real="The answers of a Flow come as JSON in InteractiveData, without a text",
        source="WhatsApp Flows",
        evidence=Evidence.UNVERIFIED,
        here=Here.SAME,
        does="InteractiveData and an empty Body",
        test="tests/sandbox/test_messengers_kinds.py::test_whatsapp_forms",
    ),
    Rule(
        call="incoming message",
        real="A user without a number has a business-scoped id as From",
        source="WhatsApp business-scoped user IDs",
        evidence=Evidence.DOCUMENT,
        here=Here.SAME,
        does="From=whatsapp:US…",
        test="tests/sandbox/test_messengers_kinds.py::test_whatsapp_user_without_a_number",
    ),
)
