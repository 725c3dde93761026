"""What the real services are documented to do, rule by rule, and what this world does about each.

One module a service, each with its `RULES`. The page docs/reference/simulated-world.md is made from them, and a test
holds page, rules and tests together. A rule comes from a provider's document, or from people whom the real service
refused; never from what the product happens to send.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Evidence(StrEnum):
    """How we know what the real service does. Nobody here has called it."""

    MODEL = "service model"
    DOCUMENT = "provider's document"
    REPORT = "public report"
    UNVERIFIED = "not verified"


class Here(StrEnum):
    """How this world stands to the real service."""

    SAME = "does the same"
    STRICTER = "is stricter"
    KINDER = "allows more"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One documented refusal, limit, order or quirk.

    `call` is the operation or event; `real` what the real service does; `source` where that is said; `here` and `does`
    what this world does; `test` the test that holds it, as path::function, empty only where this world allows more.
    """

    call: str
    real: str
    source: str
    evidence: Evidence
    here: Here
    does: str
    test: str = ""


def same(call: str, real: str, source: str, test: str, evidence: Evidence = Evidence.DOCUMENT) -> Rule:
    """Return a rule that this world keeps as it is written."""
    return Rule(call=call, real=real, source=source, evidence=evidence, here=Here.SAME, does="as documented", test=test)


def unsure(call: str, real: str, source: str, does: str, test: str) -> Rule:
    """Return a rule of which how the real service goes about it is not documented: a strict reading is taken."""
    return Rule(
        call=call, real=real, source=source, evidence=Evidence.UNVERIFIED, here=Here.STRICTER, does=does, test=test
    )


def kinder(call: str, real: str, source: str, does: str, evidence: Evidence = Evidence.DOCUMENT) -> Rule:
    """Return a rule that this world does not keep."""
    return Rule(call=call, real=real, source=source, evidence=evidence, here=Here.KINDER, does=does)
