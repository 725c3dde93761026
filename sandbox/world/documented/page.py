"""docs/reference/simulated-world.md, made from the rules."""

from __future__ import annotations

from collections.abc import Sequence

from sandbox.world.documented import Rule, ai, connect, graph, participant, twilio, websocket, x

SERVICES: dict[str, Sequence[Rule]] = {
    "Amazon Connect": connect.RULES,
    "Amazon Connect participant service": participant.RULES,
    "Amazon Connect chat websocket": websocket.RULES,
    "Amazon Comprehend and Amazon Lex": ai.RULES,
    "X": x.RULES,
    "Meta Graph (Messenger)": graph.RULES,
    "Twilio (WhatsApp)": twilio.RULES,
}
HEAD = """\
# The simulated world

What `make demo`, the tests, the chaos runs and the benches talk to instead of Amazon, X, Meta and Twilio. Each row is
one thing that the real service is documented, or reported, to refuse, limit, order or do oddly; what this world does
about it; and the test that holds it. Where documents disagree, this world takes the stricter reading. Parameters are
also checked against botocore's service models. Nobody here has called a real service: *not verified* says where even
the documents leave it open.

This page is made from `sandbox/world/documented/`; `WRITE_DOCS=1` with its test writes it anew.
"""
COLUMNS = "| Call | The real service | Source | Evidence | This world | Test |\n|---|---|---|---|---|---|"


def page() -> str:
    """Return the page as Markdown."""
    return "\n".join([HEAD, *(_section(service, rules) for service, rules in SERVICES.items())])


def _section(service: str, rules: Sequence[Rule]) -> str:
    return "\n".join([f"## {service}", "", COLUMNS, *(_row(rule) for rule in rules), ""])


def _row(rule: Rule) -> str:
    test = f"`{rule.test}`" if rule.test else "none: it is allowed here"
    here = f"{rule.here}: {rule.does}"
    cells = (f"`{rule.call}`", rule.real, rule.source, rule.evidence, here, test)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
