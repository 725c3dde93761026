"""Connect's participant service. Sources: API Reference, botocore's model, amazon-connect-chatjs and its issues."""

from __future__ import annotations

from functools import partial

from sandbox.world.documented import Evidence, Here, Rule, kinder, same, unsure

SERVICE = "tests/sandbox/test_participant_service.py::"
TRANSCRIPT = "tests/sandbox/test_transcript.py::"
FILES = "tests/sandbox/test_attachments.py::"
CONTENT = f"{SERVICE}test_content_is_limited_in_bytes_and_to_the_types_of_the_chat"
POSITIONS = f"{TRANSCRIPT}test_positions_and_tokens_that_do_not_exist"
REFERENCE = "Participant Service API Reference"


_kinder = partial(kinder, evidence=Evidence.REPORT)

RULES: tuple[Rule, ...] = (
    same(
        "every call",
        "After the end of the chat: 403 AccessDeniedException",
        REFERENCE,
        f"{SERVICE}test_after_the_end_every_call_is_denied",
    ),
    same(
        "every call",
        "With the participant's token in the place of the connection's: 403",
        "amazon-connect-chatjs, issue 120",
        f"{SERVICE}test_a_participant_token_is_no_connection_token",
        Evidence.REPORT,
    ),
    same(
        "every call",
        "A connection token lives one day; the participant token gets another",
        f"{REFERENCE}, CreateParticipantConnection",
        f"{SERVICE}test_a_connection_token_expires_and_the_participant_token_gets_a_new_one",
    ),
    same(
        "every call",
        "Above the instance's rate (SendMessage and SendEvent 10 a second, burst 15): 429 ThrottlingException",
        "administrator guide, service quotas",
        "tests/sandbox/test_quotas_and_faults.py::test_above_the_rate_the_participant_service_throttles",
    ),
    unsure(
        "SendEvent",
        "Its rate is listed together with SendMessage's",
        "administrator guide, service quotas",
        "one bucket for both",
        "tests/sandbox/test_quotas_and_faults.py::test_messages_and_events_share_a_bucket_and_instances_do_not",
    ),
    same(
        "CreateParticipantConnection",
        "ConnectParticipant for a customer only after StartContactStreaming",
        "administrator guide, chat-message-streaming",
        "tests/sandbox/test_custom_participants.py::test_a_customer_is_connected_without_a_socket_only_while_streaming",
    ),
    same(
        "CreateParticipantConnection",
        "A Type, unless ConnectParticipant; none that is for calls",
        REFERENCE,
        f"{SERVICE}test_a_connection_needs_a_type_that_chats_have",
    ),
    same("SendMessage", "16,384 bytes, and not empty: 400 ValidationException", "service model", CONTENT),
    unsure("SendMessage", "Content that is blank", REFERENCE, "400 ValidationException", CONTENT),
    same("SendMessage", "A content type that StartChatContact did not name: 400", REFERENCE, CONTENT),
    same(
        "SendMessage",
        "A repeated ClientToken is said once",
        REFERENCE,
        f"{SERVICE}test_a_repeated_client_token_says_it_once_on_each_connection",
    ),
    unsure(
        "SendMessage",
        "For how long, and over how many connections, a ClientToken is remembered",
        REFERENCE,
        "within one connection only",
        f"{SERVICE}test_a_repeated_client_token_says_it_once_on_each_connection",
    ),
    same(
        "SendMessage",
        "A Lex bot reads 1,024 characters",
        "administrator guide, feature specifications",
        "tests/sandbox/test_flows.py::test_a_text_that_lex_cannot_take_is_not_understood",
    ),
    _kinder(
        "SendMessage",
        "What a customer says before the flow greets may be dropped by bots",
        "public reports",
        "it is kept; only the bot does not answer it",
    ),
    same(
        "SendEvent",
        "Receipts with more than two active participants: 409 ConflictException",
        f"{REFERENCE}, SendEvent",
        f"{SERVICE}test_receipts_conflict_when_more_than_two_are_present",
        Evidence.MODEL,
    ),
    same(
        "SendEvent",
        "connection.acknowledged is not taken since 31 Dec 2024, nor are events that Connect makes",
        f"{REFERENCE}, SendEvent",
        f"{SERVICE}test_events_that_a_participant_may_not_send",
    ),
    same(
        "SendEvent",
        "amazon-connect-chatjs sends one constant ClientToken with every receipt, and all count",
        "amazon-connect-chatjs, its source",
        f"{SERVICE}test_chatjs_sends_one_constant_token_with_every_receipt_and_none_is_lost",
        Evidence.REPORT,
    ),
    same(
        "GetTranscript",
        "ScanDirection FORWARD without a StartPosition, or with an empty one: 400",
        "amazon-connect-chatjs, issue 19 and README",
        f"{TRANSCRIPT}test_forwards_needs_a_start",
        Evidence.REPORT,
    ),
    same(
        "GetTranscript",
        "Backwards by default, ten items, the newest first; an empty StartPosition is none",
        f"{REFERENCE}, GetTranscript; amazon-connect-chatjs sends one",
        f"{TRANSCRIPT}test_by_default_the_ten_newest_come_the_newest_first",
        Evidence.MODEL,
    ),
    unsure(
        "GetTranscript",
        "AbsoluteTime is yyyy-MM-ddThh:mm:ss.SSSZ",
        f"{REFERENCE}, StartPosition",
        "any other form is 400",
        POSITIONS,
    ),
    unsure("GetTranscript", "StartPosition with two members", REFERENCE, "400 ValidationException", POSITIONS),
    same("GetTranscript", "MaxResults from 0 to 100", "service model", POSITIONS, Evidence.MODEL),
    unsure(
        "GetTranscript",
        "A ContactId of another chat: 200 with nothing in it",
        "amazon-connect-chatjs, issue 28",
        "400 ValidationException",
        POSITIONS,
    ),
    same(
        "GetTranscript",
        "NextToken may be an empty string, which may not be sent",
        "amazon-connect-chatjs, issue 28; service model",
        f"{TRANSCRIPT}test_an_empty_token_is_refused",
        Evidence.REPORT,
    ),
    unsure(
        "GetTranscript",
        "What the last page's NextToken is",
        REFERENCE,
        "none; by the faults token_empty and token_same an empty one, or the same for ever",
        f"{TRANSCRIPT}test_the_last_page_may_have_a_token_that_leads_nowhere",
    ),
    unsure(
        "GetTranscript",
        "Whether pages overlap",
        REFERENCE,
        "not; by the fault page_overlap they do",
        f"{TRANSCRIPT}test_pages_may_overlap",
    ),
    unsure(
        "GetTranscript",
        "Whether members that are not set are absent or null",
        REFERENCE,
        "absent; by the fault null_members null, on the websocket too",
        f"{TRANSCRIPT}test_members_that_are_not_set_may_be_null",
    ),
    same(
        "GetTranscript",
        "Typing is not kept, nor are idle, returned and autodisconnection",
        f"{REFERENCE}, GetTranscript",
        f"{SERVICE}test_typing_is_not_in_the_transcript",
    ),
    _kinder(
        "GetTranscript",
        "Holds participant.invited and transfer.failed, too",
        f"{REFERENCE}, GetTranscript",
        "these events do not happen here",
    ),
    same(
        "StartAttachmentUpload",
        "Only the listed file types: no .ogg, .amr, .webp",
        "administrator guide, feature specifications",
        f"{FILES}test_file_types_that_amazon_does_not_take",
    ),
    same(
        "StartAttachmentUpload",
        "20 MB a file and 35 files a chat: 402 ServiceQuotaExceededException",
        "administrator guide, feature specifications",
        f"{FILES}test_size_and_number_are_quotas",
    ),
    same(
        "UploadMetadata",
        "Every header of HeadersToInclude must come with the PUT, to the letter",
        "amazon-connect-streams, issue 712",
        f"{FILES}test_the_upload_must_be_what_was_announced_and_in_time",
        Evidence.REPORT,
    ),
    same(
        "CompleteAttachmentUpload",
        "A second time: 409 ConflictException",
        "service model",
        f"{FILES}test_announcing_is_idempotent_and_completing_twice_conflicts",
        Evidence.MODEL,
    ),
    same(
        "CompleteAttachmentUpload",
        "A scan may reject the file in a later item",
        REFERENCE,
        f"{FILES}test_a_scan_may_reject_a_file_later",
    ),
    same(
        "GetAttachment",
        "UrlExpiryInSeconds from 5 to 300; not for files that are not approved",
        "service model",
        f"{FILES}test_a_download_url_is_bound_to_its_signature_and_its_chat",
        Evidence.MODEL,
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
        real="A message processor may reject a text or fail on it (MessageProcessingStatus): then nobody gets it,"
        " unless the flow says otherwise for failures; how the sender learns of it is not said",
        source="Administrator guide, redaction-message-processing; API Reference, MessageProcessingMetadata",
        evidence=Evidence.UNVERIFIED,
        here=Here.STRICTER,
        does="the setting `refuses_in_flight`; the item is for its sender alone, with its status, and the answer says"
        " PROCESSING, or that status with `told_in_answer`",
        test="tests/sandbox/test_participant_service.py::test_a_processor_passes_texts_on_to_nobody",
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
    Rule(
        call="every call",
        real="AWS's common errors: 408, 409, 413, expired or unknown credentials, and codes that no page lists",
        source="AWS, Common Error Types",
        evidence=Evidence.DOCUMENT,
        here=Here.SAME,
        does="any status and code, while the fault `refuse` is on",
        test="tests/sandbox/test_refusals_of_connect.py::test_a_fault_refuses_with_any_status_and_code",
    ),
)
