"""Connect's participant service and websocket. Sources: API Reference, botocore's model, amazon-connect-chatjs."""

from __future__ import annotations

from sandbox.world.documented import Evidence, Here, Rule

RULES: tuple[Rule, ...] = (
    Rule(
        call="SendMessage",
        real="Content that breaks Connect's constraints is 400 ValidationException; of white space alone, by reports",
        source="Participant Service API Reference, SendMessage, Errors",
        evidence=Evidence.UNVERIFIED,
        here=Here.STRICTER,
        does="400 ValidationException for white space alone",
        test="tests/sandbox/test_refusals_of_connect.py::test_a_blank_message_is_refused",
    ),
    Rule(
        call="every call",
        real="AWS's common errors: 408, 409, 413, expired or unknown credentials, and codes that no page lists",
        source="AWS, Common Error Types",
        evidence=Evidence.DOCUMENT,
        here=Here.SAME,
        does="any status and code, while the fault `refuse` is on",
        test="tests/sandbox/test_refusals_of_connect.py::test_a_fault_refuses_with_any_status_and_code",
    ),
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
