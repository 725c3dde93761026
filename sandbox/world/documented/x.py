"""X: direct messages, account activity, media. Source: docs.x.com."""

from __future__ import annotations

from sandbox.world.documented import Evidence, Here, Rule

RULES: tuple[Rule, ...] = (
    Rule(
        call="POST /2/dm_conversations/…",
        real="An app-only token may not write",
        source="docs.x.com, manage direct messages",
        evidence=Evidence.DOCUMENT,
        here=Here.SAME,
        does="403",
        test="tests/sandbox/test_messengers_send.py::test_x_app_only_token_may_not_write",
    ),
    Rule(
        call="direct_message_events",
        real="`&`, `<` and `>` in texts and names are escaped, once, as HTML entities",
        source="public reports: Twidere-Android 653, tweepy 451",
        evidence=Evidence.REPORT,
        here=Here.SAME,
        does="escaped in webhooks, in echoes and in the list of messages",
        test="tests/sandbox/test_messengers_kinds.py::test_x_escapes_three_characters_once_wherever_it_hands_text_out",
    ),
    Rule(
        call="dm.sent",
        real="What our own app sends, and what is written in X's own app, comes back, with the app's id",
        source="docs.x.com, Account Activity data objects",
        evidence=Evidence.DOCUMENT,
        here=Here.SAME,
        does="an echo with source_app_id and apps",
        test="tests/sandbox/test_messengers_kinds.py::test_x_escapes_three_characters_once_wherever_it_hands_text_out",
    ),
    Rule(
        call="chat.received",
        real="Encrypted chats carry ciphertext alone",
        source="docs.x.com, X Activity API",
        evidence=Evidence.DOCUMENT,
        here=Here.SAME,
        does="random bytes",
        test="tests/sandbox/test_messengers_kinds.py::test_x_chat_carries_only_ciphertext",
    ),
)
