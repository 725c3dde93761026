"""The look for known weaknesses believes no source that knows nothing, and says loudly if it found none to ask."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import pytest
from django.conf import settings


@pytest.fixture
def audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", settings.BASE_DIR / ".ci" / "audit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Source:
    """Answers as pip-audit does: for the canary, and for everything."""

    def __init__(self, canary: Any, everything: Any = None) -> None:
        self.answers = [canary, everything]
        self.asked: list[str] = []

    def __call__(self, command: Sequence[str], _seconds: int) -> tuple[int, str] | None:
        self.asked.append(command[command.index("-s") + 1])
        answer = self.answers[0 if "known-weak" in command[-1] else 1]
        return None if answer is None else (0, answer if isinstance(answer, str) else json.dumps(answer))


def packages(*weak: str, **more: Any) -> dict[str, Any]:
    return {"dependencies": [{"name": "x", "version": "1", "vulns": [{"id": one} for one in weak], **more}]}


def run_audit(audit: ModuleType, source: Source) -> tuple[int, str]:
    said: list[str] = []
    return audit.audit(said.append, source), "\n".join(said)


@pytest.mark.parametrize(
    "canary",
    [None, "", "Traceback", "{}", packages(), {"dependencies": [{"name": "django", "skip_reason": "not found"}]}],
)
def test_where_no_source_is_to_be_believed_it_says_so_loudly_and_fails_nothing(audit: ModuleType, canary: Any) -> None:
    status, said = run_audit(audit, Source(canary, packages()))

    assert status == 0
    assert "ADVISORIES WERE NOT CHECKED" in said
    assert "no known weakness" not in said


def test_a_known_weakness_fails(audit: ModuleType) -> None:
    status, said = run_audit(audit, Source(packages("PYSEC-1"), packages("PYSEC-2")))

    assert status == 1
    assert "x 1: PYSEC-2" in said


def test_without_one_it_passes_quietly(audit: ModuleType) -> None:
    source = Source(packages("PYSEC-1"), packages())
    status, said = run_audit(audit, source)

    assert (status, source.asked) == (0, ["osv", "osv"])
    assert "NOT CHECKED" not in said


def test_a_source_that_leaves_a_package_out_does_not_count(audit: ModuleType) -> None:
    status, said = run_audit(audit, Source(packages("PYSEC-1"), packages(skip_reason="not on the index")))

    assert status == 0
    assert "ADVISORIES WERE NOT CHECKED" in said


def test_the_bill_names_everything_that_is_pinned(audit: ModuleType) -> None:
    text = (settings.BASE_DIR / "requirements.txt").read_text()
    packages = audit.pinned(text)
    made = audit.bill(packages)

    assert len(packages) == sum("==" in line for line in text.splitlines() if not line.startswith((" ", "#")))
    assert "pkg:pypi/django@" in json.dumps(made)
    assert {one["purl"] for one in made["components"]} == {f"pkg:pypi/{name}@{version}" for name, version in packages}
