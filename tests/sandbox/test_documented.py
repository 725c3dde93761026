from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from sandbox.world.documented import Here, Rule
from sandbox.world.documented.page import SERVICES, page

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reference" / "simulated-world.md"
RULES = [rule for rules in SERVICES.values() for rule in rules]


def test_the_page_says_what_the_rules_say() -> None:
    if os.environ.get("WRITE_DOCS"):
        PAGE.write_text(page())
    assert PAGE.read_text() == page(), "WRITE_DOCS=1 writes docs/reference/simulated-world.md anew; read it"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.call)
def test_each_rule_is_held_by_a_test_unless_it_is_not_kept(rule: Rule) -> None:
    if not rule.test:
        assert rule.here is Here.KINDER
        return
    path, _, name = rule.test.partition("::")
    assert re.search(rf"^(async )?def {re.escape(name.partition('[')[0])}\(", (ROOT / path).read_text(), re.MULTILINE)
