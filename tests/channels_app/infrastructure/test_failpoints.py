"""Failpoints: inert in production, exact in tests, and every one of them somewhere in the product."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from channels_app.infrastructure import failpoints
from channels_app.infrastructure.failpoints import KILLED, PLACES, Action, FailpointReached, Failpoints, parse

ROOT = Path(__file__).resolve().parents[3]
APPS = ("channels_app", "connect_bridge")


def test_a_failpoint_does_nothing_unless_a_test_asked_when_the_process_started():
    assert failpoints.failpoint is failpoints._nothing


def test_every_place_is_in_the_product_once():
    calls = [
        name
        for app in APPS
        for path in (ROOT / app).rglob("*.py")
        for name in re.findall(r'\bfailpoint\("(\w+)"', path.read_text())
    ]
    assert sorted(calls) == sorted(PLACES)


def test_all_rows_of_the_failure_model_have_a_place():
    assert {f"{way}{row}" for way in "IO" for row in range(1, 13)} <= PLACES.keys()


def test_a_specification_names_place_verb_pass_and_seconds():
    assert parse("I6:exit:2, O5:sleep:1:0.5,I8:error") == [
        Action("I6", "exit", 2),
        Action("O5", "sleep", 1, 0.5),
        Action("I8", "error"),
    ]


@pytest.mark.parametrize("wrong", ["I99:exit", "I6", "I6:explode", "I6:exit:soon"])
def test_a_wrong_specification_is_refused_by_its_own_words(wrong: str):
    with pytest.raises(ImproperlyConfigured, match=re.escape(repr(wrong))):
        parse(wrong)


def test_an_error_is_raised_at_its_pass_alone_and_as_the_place_wants_it():
    failpoint = Failpoints([Action("I8", "error", 2)])
    failpoint("I8", ValueError)
    failpoint("I9", ValueError)
    with pytest.raises(ValueError, match="I8"):
        failpoint("I8", ValueError)
    failpoint("I8", ValueError)


def test_an_error_has_a_name_of_its_own_where_the_place_has_none():
    with pytest.raises(FailpointReached):
        Failpoints([Action("I4", "error")])("I4")


def test_a_sleep_stands_still():
    began = time.monotonic()
    Failpoints([Action("O5", "sleep", 1, 0.2)])("O5")
    assert time.monotonic() - began >= 0.2


def _python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings", **environment}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, check=False, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)


def test_exit_kills_the_process_without_a_word():
    imported = "from channels_app.infrastructure.failpoints import failpoint"
    code = f"{imported}\ntry: failpoint('I6')\nfinally: print('last words')"
    done = _python(code, PARLEY_FAILPOINTS="I6:exit")
    assert (done.returncode, done.stdout) == (KILLED, "")


def test_a_parley_that_others_reach_refuses_to_start_with_failpoints():
    code = "from django.conf import settings; settings.FAILPOINTS"
    done = _python(code, PARLEY_FAILPOINTS="I6:exit", PUBLIC_BASE_URL="https://parley.example.com")
    assert done.returncode == 1
    assert "PARLEY_FAILPOINTS is for tests on this machine" in done.stderr
