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
    Rule(
        call="SendMessage",
        real="A message processor or redaction may rewrite a text in flight; the item keeps the id that was answered",
        source="API Reference, StartContactMediaProcessing and MessageProcessingMetadata",
        evidence=Evidence.DOCUMENT,
        here=Here.SAME,
        does="the setting `rewrites`; everybody, the sender's own echo too, gets the rewritten text",
        test="tests/sandbox/test_participant_service.py::test_a_processor_rewrites_texts_in_flight_and_the_id_stays",
    ),
    Rule(
        call="SendMessage",
        real="A repeated ClientToken is the same message; how long, and over which connections, is not said",
        source="API Reference, SendMessage",
        evidence=Evidence.UNVERIFIED,
        here=Here.STRICTER,
        does="it is the same only over the same connection",
        test="tests/sandbox/test_participant_service.py::test_a_repeated_client_token_says_it_once_on_each_connection",
    ),
    Rule(
        call="AbsoluteTime",
        real="Connect's own clock, which is not ours",
        source="amazon-connect-chatjs, README",
        evidence=Evidence.REPORT,
        here=Here.SAME,
        does="the setting `clock_ahead`, in seconds, for items and for the ends of tokens and sockets",
        test="tests/sandbox/test_participant_service.py::test_connects_clock_may_be_another_than_ours",
    ),
    Rule(
        call="participant.joined, participant.left",
        real="Several agents and supervisors may be in one chat, each with events of their own; the disconnect flow"
        " starts when the last agent has left",
        source="Administrator guide, chat with several participants",
        evidence=Evidence.DOCUMENT,
        here=Here.SAME,
        does="the desktop's `join`, as AGENT or SUPERVISOR",
        test="tests/sandbox/test_flows.py::test_several_agents_are_in_a_chat_and_only_the_last_one_to_leave_ends_it",
    ),
    Rule(
        call="participant.joined",
        real="Six participants in one chat at most",
        source="Administrator guide, Amazon Connect service quotas",
        evidence=Evidence.DOCUMENT,
        here=Here.SAME,
        does="the desktop's `join` is refused with 409",
        test="tests/sandbox/test_flows.py::test_a_chat_has_six_participants_at_most",
    ),
)
