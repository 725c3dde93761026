from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from django.conf import settings

from config import embedded

USE = """
import sys
from pathlib import Path
from config import embedded
with embedded.running(Path(sys.argv[1])) as server:
    print(server.url(), flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def var(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "var"
    place = embedded.place(tmp_path / "var")
    shutil.rmtree(place.lock.parent, ignore_errors=True)


def user_of(var: Path) -> subprocess.Popen[str]:
    """Start a process that needs the server, and return it when it has it."""
    command = [sys.executable, "-c", USE, str(var)]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, cwd=settings.BASE_DIR, stdin=pipe, stdout=pipe, text=True)
    assert process.stdout
    process.url = process.stdout.readline().strip()
    return process


def leave(process: subprocess.Popen[str]) -> None:
    process.communicate("\n", timeout=60)
    assert process.returncode == 0


def answers(url: str) -> bool:
    try:
        with psycopg.connect(url, connect_timeout=5):
            return True
    except psycopg.OperationalError:
        return False


@pytest.mark.whole
@pytest.mark.timeout(100)
def test_users_share_one_server_and_the_last_one_stops_it(var: Path) -> None:
    first = user_of(var)
    second = user_of(var)  # while the first is there: `manage.py doctor` beside a running `serve`
    assert first.url == second.url
    leave(first)
    assert answers(second.url)
    leave(second)
    assert not answers(second.url)


@pytest.mark.whole
@pytest.mark.timeout(100)
def test_a_user_that_was_killed_leaves_a_server_that_the_next_one_takes_over(var: Path) -> None:
    killed = user_of(var)
    killed.kill()
    killed.communicate()
    assert answers(killed.url)
    after = user_of(var)
    leave(after)
    assert not answers(after.url)


@pytest.mark.whole
def test_nobody_else_may_enter_where_the_data_and_the_socket_are(var: Path) -> None:
    process = user_of(var)
    place = embedded.place(var)
    assert [oct(folder.stat().st_mode)[-3:] for folder in (place.data, place.socket)] == ["700", "700"]
    leave(process)


def test_a_long_path_does_not_break_the_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    place = embedded.place(tmp_path / ("long" * 30))
    assert len(f"{place.socket}/.s.PGSQL.5432") < 108
