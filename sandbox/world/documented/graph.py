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
    Rule(
        call="webhooks",
        real="The signature is over the body with escaped unicode in lower case",
        source="Webhooks: getting started",
        evidence=Evidence.DOCUMENT,
        here=Here.SAME,
        does="escapes, then signs",
        test="tests/sandbox/test_messengers_signatures.py::test_meta_escapes_what_is_not_ascii_in_lower_case",
    ),
    Rule(
        call="message: stickers",
        real="The thumb comes as a sticker with one of three ids",
        source="public report: restfb 666",
        evidence=Evidence.REPORT,
        here=Here.SAME,
        does="the three ids",
        test="tests/sandbox/test_messengers_kinds.py::test_messenger_events",
    ),
    Rule(
        call="message: attachments",
        real="A share's payload may be text or null instead of an object",
        source="public reports",
        evidence=Evidence.UNVERIFIED,
        here=Here.SAME,
        does="variant string_payload",
        test="tests/sandbox/test_messengers_kinds.py::test_messenger_events",
    ),
    Rule(
        call="standby",
        real="What another app has to answer lies in standby, beside messaging",
        source="Messenger Platform, Handover protocol",
        evidence=Evidence.DOCUMENT,
        here=Here.SAME,
        does="standby alone",
        test="tests/sandbox/test_messengers_kinds.py::test_messenger_standby_lies_beside_messaging",
    ),
    Rule(
        call="messaging_handovers",
        real="pass_thread_control names the app that owns the thread now",
        source="Webhook events: messaging_handovers",
        evidence=Evidence.DOCUMENT,
        here=Here.SAME,
        does="pass_thread_control",
        test="tests/sandbox/test_messengers_kinds.py::test_messenger_events",
    ),
    Rule(
        call="message_echoes",
        real="The Page's own inbox answers with its own app_id, sender and recipient swapped",
        source="Webhook events: message_echoes",
        evidence=Evidence.DOCUMENT,
        here=Here.SAME,
        does="app_id 263902037430900",
        test="tests/sandbox/test_messengers_kinds.py::test_messenger_echo_has_the_two_swapped",
    ),
    Rule(
        call="reply window",
        real="Documents disagree whether a reaction or a link into a thread opens it",
        source="Messenger Platform, Send a message; error 10/2018278",
        evidence=Evidence.DOCUMENT,
        here=Here.STRICTER,
        does="only what is written or tapped opens it",
        test="tests/sandbox/test_messengers_kinds.py::test_what_is_not_written_opens_no_window",
    ),
)
