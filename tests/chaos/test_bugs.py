"""The bugs that are planted to try the checker must still fit the product; the runs that catch them are the rig's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chaos.bugs import BUGS
from tests.chaos.checker import RULES
from tests.chaos.nemeses import NEMESES

ROOT = Path(__file__).resolve().parents[2]
IMPORT = "import django; django.setup(); import importlib; importlib.import_module({module!r})"


def _start(name: str, **more: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join((str(ROOT / "tests" / "chaos" / "plant"), str(ROOT)))
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings", "PYTHONPATH": path, "PARLEY_PLANTED_BUG": name}
    command = [sys.executable, "-c", IMPORT.format(module=BUGS[name].module)]
    return subprocess.run(command, check=False, cwd=ROOT, env=env | more, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_still_fits_the_product(name: str):
    done = _start(name)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", BUGS)
def test_a_bug_names_nemeses_and_rules_that_there_are(name: str):
    assert set(BUGS[name].nemeses) <= NEMESES.keys()
    assert set(BUGS[name].rules) <= RULES.keys()


def test_a_parley_that_others_reach_carries_no_planted_bug():
    done = _start("missing_unique", PUBLIC_BASE_URL="https://parley.example.com")
    assert "is for tests on this machine" in done.stderr
