"""Connect's participant service and websocket. Sources: API Reference, botocore's model, amazon-connect-chatjs."""

from __future__ import annotations

from sandbox.world.documented import Evidence, Here, Rule

RULES: tuple[Rule, ...] = (
    Rule(
        call="every call",
        real="After the end of the chat: 403 AccessDeniedException",
        source="Participant Service API Reference",
        evidence=Evidence.DOCUMENT,
        here=Here.SAME,
        does="403 AccessDeniedException",
        test="tests/sandbox/test_participant_service.py::test_after_the_end_every_call_is_denied",
    ),
)
