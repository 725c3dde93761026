"""Amazon Connect's control plane. Sources: API Reference, administrator guide, botocore's service model."""

from __future__ import annotations

from sandbox.world.documented import Evidence, Here, Rule

RULES: tuple[Rule, ...] = (
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
