"""Amazon Connect's control plane. Sources: API Reference, administrator guide, botocore's service model."""

from __future__ import annotations

from sandbox.world.documented import Evidence, Here, Rule

RULES: tuple[Rule, ...] = (
    Rule(
        call="StopContact",
        real="A chat that is over: ContactNotFoundException, 410",
        source="Amazon Connect API Reference, StopContact",
        evidence=Evidence.MODEL,
        here=Here.SAME,
        does="410 ContactNotFoundException",
        test="tests/sandbox/test_contacts.py::TODO",
    ),
)
