"""What every channel owes, whoever writes it: run over all that the registry finds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from channels_app import errors, providers
from channels_app.registry import channels
from tests.channels_app.conformance import CHECKS

TESTS = Path(__file__).parent / "providers"
KINDS = sorted(channels())
LINES = 220


def failures(cls: type[errors.SendFailed] = errors.SendFailed) -> list[type[errors.SendFailed]]:
    return [cls, *(one for sub in cls.__subclasses__() for one in failures(sub))]


def test_every_file_is_a_channel_of_its_name() -> None:
    files = {path.stem for path in Path(providers.__path__[0]).glob("*.py")} - {"__init__"}
    assert set(KINDS) == files


@pytest.mark.parametrize("kind", KINDS)
def test_it_has_tests_of_its_own(kind: str) -> None:
    assert list(TESTS.glob(f"test_{kind}*.py"))


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_one_file_that_can_be_read_at_a_sitting(kind: str) -> None:
    lines = (Path(providers.__path__[0]) / f"{kind}.py").read_text().splitlines()
    assert sum(bool(line.strip()) for line in lines) <= LINES


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("kind", KINDS)
def test_a_channel_conforms(kind: str, check: Callable[[str], None]) -> None:
    check(kind)


@pytest.mark.parametrize("failure", failures())
def test_every_failure_has_a_code_of_its_own(failure: type[errors.SendFailed]) -> None:
    assert isinstance(failure.retryable, bool)
    assert [one for one in failures() if one.code == failure.code] == [failure]
