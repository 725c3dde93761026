"""Processes that start before their database: they wait, say so, and stop when they are told to."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
import requests
from django.conf import settings

from config.processes import product

#: Seconds that anything may take on a busy machine.
PATIENCE = 120.0
#: Process → what it says while it waits. The web says it to whoever asks.
SAYS = {"bridge": "waits for the database", "worker": "Trying again in", "beat": "Trying again in", "web": ""}


@pytest.mark.whole
@pytest.mark.timeout(3 * PATIENCE)
@pytest.mark.parametrize("name", SAYS)
def test_without_a_database_it_waits_says_so_and_stops(name: str, tmp_path: Path, free_port: int) -> None:
    programs = {program.name: program for group in product(free_port) for program in group}
    environment = {
        **os.environ,
        "PARLEY_VAR": str(tmp_path),
        "PORT": str(free_port),
        "DATABASE_URL": "postgres://nobody@127.0.0.1:9/none",
    }
    log = tmp_path / "log"
    with (
        log.open("w") as output,
        subprocess.Popen(
            programs[name].command, cwd=settings.BASE_DIR, env=environment, stdout=output, stderr=output
        ) as process,
    ):
        try:
            deadline = time.monotonic() + PATIENCE
            while not (says_down(free_port) if name == "web" else SAYS[name] in log.read_text()):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE)
            assert "Traceback" not in log.read_text()
        finally:
            process.kill()


def says_down(port: int) -> bool:
    try:
        answer = requests.get(f"http://127.0.0.1:{port}/-/health/", timeout=30)
    except requests.ConnectionError:
        return False
    assert answer.status_code == 503
    return bool(answer.json() == {"status": "down", "problems": ["database: OperationalError"]})
