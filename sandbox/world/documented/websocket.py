"""The chat websocket. Sources: Participant Service API Reference; amazon-connect-chatjs, its source and its issues."""

from __future__ import annotations

from sandbox.world.documented import Evidence, Here, Rule, same

SOCKET = "tests/sandbox/test_websocket.py::"
CONNECTING = "Participant Service API Reference, CreateParticipantConnection"
CHATJS = "amazon-connect-chatjs, its source"


RULES: tuple[Rule, ...] = (
    same(
        "opening",
        "The URL must be opened within 100 seconds",
        CONNECTING,
        f"{SOCKET}test_a_url_opens_once_given_out_and_only_in_time",
    ),
    same(
        "opening",
        "Five open websockets a participant",
        "administrator guide, feature specifications",
        f"{SOCKET}test_five_sockets_for_a_participant_and_no_sixth",
    ),
    same(
        "opening",
        "The connection ends at ConnectionExpiry, after about an hour",
        f"{CONNECTING}; amazon-connect-chatjs, issue 298",
        f"{SOCKET}test_a_socket_ends_at_its_expiry_while_a_newer_one_lives",
        Evidence.REPORT,
    ),
    same(
        "aws/subscribe",
        "A socket that has not subscribed does not connect the customer: the flow does not start",
        "administrator guide, chat-message-streaming",
        f"{SOCKET}test_the_flow_starts_only_when_the_customer_has_subscribed",
    ),
    same(
        "aws/heartbeat",
        "Heartbeats and pings are answered as amazon-connect-chatjs expects",
        CHATJS,
        f"{SOCKET}test_control_frames_are_answered_as_the_client_expects",
        Evidence.REPORT,
    ),
    Rule(
        call="aws/heartbeat",
        real="What the service does with a client that sends none",
        source="Amazon API Gateway, quotas: ten minutes idle",
        evidence=Evidence.UNVERIFIED,
        here=Here.STRICTER,
        does="closes after ten minutes",
        test=f"{SOCKET}test_a_socket_that_sends_no_heartbeat_is_closed",
    ),
    same(
        "aws/chat",
        "One's own messages are echoed, with the id that SendMessage gave",
        "amazon-connect-chatjs, issue 123",
        f"{SOCKET}test_own_messages_are_echoed_with_the_id_that_sending_gave",
        Evidence.REPORT,
    ),
    same(
        "aws/chat",
        "What was missed is not told again: it is in the transcript only",
        "amazon-connect-chatjs, its README",
        f"{SOCKET}test_what_was_missed_while_away_is_only_in_the_transcript",
    ),
    Rule(
        call="aws/chat",
        real="The order of frames is not promised, and a frame may come twice",
        source="amazon-connect-chatjs, its README",
        evidence=Evidence.DOCUMENT,
        here=Here.SAME,
        does="by the faults frame_shuffle, frame_double and frame_drop",
        test="tests/sandbox/test_quotas_and_faults.py::test_frames_are_dropped_doubled_and_shuffled",
    ),
    same(
        "aws/chat",
        "A transfer changes the ContactId and keeps the InitialContactId and the customer's tokens",
        "administrator guide, chat contacts",
        f"{SOCKET}test_a_transfer_keeps_the_initial_contact_id_and_the_customers_tokens",
    ),
    same(
        "aws/chat",
        "participant.left of an agent is not the end: a disconnect flow may speak before chat.ended",
        "amazon-connect-chatjs, issue 223",
        f"{SOCKET}test_the_end_by_the_agent_runs_the_disconnect_flow_and_chat_ended_is_last",
        Evidence.REPORT,
    ),
    same(
        "aws/chat",
        "Receipts come as MESSAGEMETADATA",
        CHATJS,
        f"{SOCKET}test_receipts_come_as_message_metadata",
        Evidence.REPORT,
    ),
    Rule(
        call="aws/chat",
        real="A bot's words come in pieces under one id (Lex streaming)",
        source="API Reference, ParticipantConfiguration.ResponseMode",
        evidence=Evidence.DOCUMENT,
        here=Here.KINDER,
        does="bots speak in one piece",
    ),
)
