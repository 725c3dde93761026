"""What CI calls can be called as it stands there: an option that none of the programs knows would end every run."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from connect_bridge.storage.ownership import BRIDGE_TTL
from tests.at import MOMENTS, ZONES, asked
from tests.chaos import nemeses
from tests.chaos.__main__ import asked as asked_of_chaos

ROOT = Path(__file__).resolve().parents[2]
LINES = [line for line in (ROOT / ".ci" / "run").read_text().splitlines() if line.startswith("make ")]


def _dry(line: str) -> str:
    """Return what a line would run; nothing is installed or run."""
    assert line.startswith("make ")
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"git() {{ echo 0a1e472f; }}; {line.replace('make ', 'make -n ', 1)}"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def _words_for(program: str) -> Iterator[list[str]]:
    for line in LINES:
        for command in _dry(line).splitlines():
            if f"-m {program} " in command:  # others may go over several lines
                words = shlex.split(command)
                yield words[words.index(program) + 1 :]


def test_each_of_its_lines_names_something_to_make() -> None:
    assert len(LINES) >= 4
    for line in LINES:
        assert _dry(line), line


def test_tests_at_another_time_understand_what_it_says() -> None:
    ((moment, zone, for_pytest),) = (asked(words) for words in _words_for("tests.at"))
    assert moment in MOMENTS
    assert zone in ZONES
    command = [sys.executable, "-m", "pytest", *for_pytest, "--collect-only", __file__]
    understood = subprocess.run(command, cwd=ROOT, check=False)
    assert understood.returncode == 0, "pytest does not know one of these options"


def test_chaos_understands_what_it_says() -> None:
    compositions = {asked_of_chaos(words).composition for words in _words_for("tests.chaos")}
    assert compositions == {"embedded", "redis"}


@pytest.mark.parametrize("program", ["tests.at", "tests.chaos", "bench"])
def test_programs_outside_django_start(program: str) -> None:
    """In this process Django is set up, which hides what they must not import."""
    command = [sys.executable, "-m", program, "--help"]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=60)
    assert "usage" in done.stdout.lower() + done.stderr.lower(), done.stderr
    assert "Traceback" not in done.stderr


def test_the_chaos_rig_knows_how_long_a_bridge_may_be_silent() -> None:
    assert nemeses.LEASE == BRIDGE_TTL


@pytest.mark.parametrize("words", [["noon"], [], ["--seed"], ["midnight", "-q"]])
def test_what_it_does_not_know_is_refused(words: list[str]) -> None:
    with pytest.raises(SystemExit):
        asked(words)


def test_a_moment_is_not_taken_from_what_is_meant_for_pytest() -> None:
    assert asked(["night", "--zone", "Europe/Madrid", "--", "-n", "2", "-m", "not browser"]) == (
        "night",
        "Europe/Madrid",
        ["-n", "2", "-m", "not browser"],
    )
