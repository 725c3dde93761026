"""Amazon Connect's control plane. Sources: API Reference, administrator guide, botocore's service model."""

from __future__ import annotations

from sandbox.world.documented import Evidence, Here, Rule

RULES: tuple[Rule, ...] = (
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
    Rule(
        call="StartChatContact",
        real="An InitialMessage needs content; whether white space alone is enough is not documented",
        source="API Reference, ChatMessage",
        evidence=Evidence.UNVERIFIED,
        here=Here.STRICTER,
        does="400 InvalidRequestException for an InitialMessage of white space alone",
        test="tests/sandbox/test_refusals_of_connect.py::test_a_chat_does_not_begin_with_a_blank_message",
    ),
    Rule(
        call="StopContact",
        real="A chat that is over: 410 ContactNotFoundException",
        source="API Reference, StopContact",
        evidence=Evidence.MODEL,
        here=Here.SAME,
        does="410 ContactNotFoundException",
        test="tests/sandbox/test_contacts.py::test_stopping_ends_a_chat_in_any_state_and_only_once",
    ),
)
