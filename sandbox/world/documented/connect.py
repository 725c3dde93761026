"""Amazon Connect's control plane. Sources: API Reference, administrator guide, botocore's service model."""

from __future__ import annotations

from sandbox.world.documented import Evidence, Here, Rule, kinder, same, unsure

CONTACTS = "tests/sandbox/test_contacts.py::"
JOINING = "tests/sandbox/test_custom_participants.py::"
START = "API Reference, StartChatContact"
CUSTOM = "administrator guide, chat-customize-flow"
FORBIDDEN = f"{CONTACTS}test_what_the_model_forbids_is_refused_with_its_errors"
PRESENT = f"{JOINING}test_no_custom_participant_while_an_agent_or_a_lex_bot_is_there"


RULES: tuple[Rule, ...] = (
    same(
        "every call",
        "A member that is missing, of another type, too long or out of its values: 400",
        "service model",
        f"{CONTACTS}test_missing_and_unknown_members_and_broken_json_are_refused",
        Evidence.MODEL,
    ),
    same(
        "every call",
        "Above its rate (StartChatContact 5 a second, burst 8): 429 TooManyRequests or ThrottlingException",
        "administrator guide, service quotas",
        "tests/sandbox/test_quotas_and_faults.py::test_above_the_rate_starting_chats_is_too_many_requests",
    ),
    same(
        "StartChatContact",
        "More concurrent active chats than the quota: 429 LimitExceededException",
        START,
        f"{CONTACTS}test_the_quota_of_concurrent_chats_frees_itself",
    ),
    same(
        "StartChatContact",
        "A repeated ClientToken returns the first contact, even one that is over: its tokens are dead (403)",
        f"{START}; amazon-connect-chat-ui-examples, issues 131 and 133",
        f"{CONTACTS}test_a_repeated_client_token_returns_the_same_contact_even_when_it_is_over",
        Evidence.REPORT,
    ),
    same("StartChatContact", "DisplayName of 1 to 256 characters", "service model", FORBIDDEN, Evidence.MODEL),
    same("StartChatContact", "Attributes: 32,768 bytes in all; names of letters, digits, - and _", START, FORBIDDEN),
    same("StartChatContact", "SupportedMessagingContentTypes must have text/plain", START, FORBIDDEN),
    same("StartChatContact", "ChatDurationInMinutes from 60 to 10,080", START, FORBIDDEN, Evidence.MODEL),
    same("StartChatContact", "RelatedContactId not together with PersistentChat", START, FORBIDDEN),
    same("StartChatContact", "PersistentChat: the source must exist, and be over", START, FORBIDDEN),
    unsure("StartChatContact", "A DisplayName that is blank", START, "400 InvalidRequestException", FORBIDDEN),
    unsure(
        "StartChatContact",
        "An InitialMessage that SendMessage would not take: blank, over 16,384 bytes, of a type not advertised",
        START,
        "400 InvalidRequestException",
        FORBIDDEN,
    ),
    same(
        "StartChatContact",
        "A customer who has not connected within five minutes loses the chat",
        START,
        "tests/sandbox/test_websocket.py::test_a_customer_who_never_connects_loses_the_chat",
    ),
    same(
        "StopContact",
        "A chat that is over: 410 ContactNotFoundException",
        "API Reference, StopContact",
        f"{CONTACTS}test_stopping_ends_a_chat_in_any_state_and_only_once",
        Evidence.MODEL,
    ),
    same(
        "StartContactStreaming",
        "Two topics a contact at most",
        "administrator guide, service quotas",
        f"{JOINING}test_a_contact_streams_to_two_topics_at_most",
    ),
    kinder(
        "StartContactStreaming",
        "A topic that is FIFO, of another region, or does not admit Connect is refused",
        "administrator guide, chat-message-streaming",
        "any topic is taken, and nothing is published to it",
    ),
    same(
        "UpdateContactAttributes",
        "Works after the end, and merges; 32,768 bytes in all",
        "API Reference, UpdateContactAttributes",
        f"{CONTACTS}test_attributes_are_merged_and_readable_after_the_end",
    ),
    same(
        "CreatePersistentContactAssociation",
        "Past items come before the new ones, and only backwards without a StartPosition",
        "administrator guide, chat-persistence",
        f"{CONTACTS}test_a_persistent_chat_brings_its_past_along",
    ),
    kinder(
        "StartChatContact",
        "PersistentChat needs the stored transcript, about half a minute after the end; 100 past contacts, 5 MB",
        "administrator guide, chat-persistence",
        "a chat can be continued as soon as it is over, and however long it was",
    ),
    unsure(
        "CreateParticipant",
        "Streaming must be on",
        CUSTOM,
        "400 InvalidRequestException",
        f"{JOINING}test_no_custom_participant_without_streaming",
    ),
    unsure(
        "CreateParticipant",
        "None can be added while an agent or a Lex bot is on the contact",
        CUSTOM,
        "400 InvalidRequestException",
        PRESENT,
    ),
    same("CreateParticipant", "One who is there is disconnected when an agent or a bot joins", CUSTOM, PRESENT),
    unsure(
        "CreateParticipant",
        "CreateParticipantConnection should be called within 15 seconds",
        CUSTOM,
        "then the participant is gone, and their token dead (403)",
        f"{JOINING}test_a_custom_participant_connects_in_time_or_is_gone",
    ),
    same(
        "CreateParticipant",
        "Only the role CUSTOM_BOT, and with a DisplayName",
        "API Reference, CreateParticipant",
        f"{JOINING}test_a_custom_participant_has_its_role_and_a_name",
    ),
    same(
        "CreateParticipant",
        "One custom participant in a chat: 402 ServiceQuotaExceededException",
        "administrator guide, feature specifications",
        f"{JOINING}test_one_custom_bot_may_join_and_nobody_else",
    ),
    same(
        "GetCurrentMetricData",
        "ESTIMATED_WAIT_TIME only grouped by queue and channel",
        "API Reference, GetCurrentMetricData",
        f"{CONTACTS}test_waiting_times_come_from_the_queue_or_from_the_world",
    ),
    same(
        "routing",
        "Ten chats an agent at most",
        "administrator guide, service quotas",
        "tests/sandbox/test_flows.py::test_an_agent_has_ten_chats_and_the_eleventh_waits_for_one_to_end",
    ),
    kinder(
        "UpdateParticipantRoleConfig",
        "Idle and auto-disconnect timers, from 2 to 480 minutes, end chats",
        "administrator guide, chat timeouts",
        "the configuration is taken, and no timer runs",
    ),
    kinder(
        "every call",
        "Without the right in IAM: 403 AccessDeniedException",
        "Service Authorization Reference",
        "signatures and rights are not looked at; the fault `auth` refuses",
    ),
    Rule(
        call="StartChatContact",
        real="An instance or a flow that is not there: 404 ResourceNotFoundException",
        source="API Reference, StartChatContact, Errors; amazon-connect-chat-ui-examples #55",
        evidence=Evidence.REPORT,
        here=Here.KINDER,
        does="404 for ids that are not among `instances` and `flows` of its settings; by default every id is there",
        test="tests/sandbox/test_refusals_of_connect.py::test_a_flow_or_an_instance_that_is_not_there_is_404",
    ),
    Rule(
        call="StartChatContact",
        real="A flow that was saved and never published is refused; the code is not documented",
        source="API Reference, StartChatContact and DescribeContactFlow (ContactFlowNotPublishedException)",
        evidence=Evidence.UNVERIFIED,
        here=Here.SAME,
        does="400 InvalidRequestException for `unpublished_flows` of its settings",
        test="tests/sandbox/test_refusals_of_connect.py::test_a_flow_that_is_not_published_is_refused",
    ),
)
