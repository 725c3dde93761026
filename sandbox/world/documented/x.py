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
)
