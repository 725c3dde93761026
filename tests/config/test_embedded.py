"""Any number of processes share one private PostgreSQL, whatever is killed and whatever was left behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

from config import embedded, postgres_files, postmaster
from tests.config.embedded_kit import User, answers, until

USE = """
import sys
from pathlib import Path
from config import embedded
with embedded.running(Path(sys.argv[1])) as server:
    print(server.url(), flush=True)
    sys.stdin.readline()
"""


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


def server_pid(var: Path) -> int:
    pid = postmaster._pid(embedded.place(var))
    assert pid is not None
    return pid


@pytest.mark.whole
@pytest.mark.timeout(200)
def test_a_server_that_was_killed_is_started_again_by_whoever_needs_it(var: Path) -> None:
    user = user_of(var)
    killed = server_pid(var)
    os.kill(killed, signal.SIGKILL)
    until(lambda: postmaster._pid(embedded.place(var)) != killed and answers(user.url), "another server")
    leave(user)
    assert not answers(user.url)


@pytest.mark.whole
@pytest.mark.timeout(200)
@pytest.mark.parametrize("left", ["an early version's", "a file alone", "nothing"])
def test_files_that_were_begun_and_not_finished_are_made_anew(var: Path, left: str) -> None:
    here = embedded.place(var)
    leave(user_of(var))
    for name in (postgres_files.FINISHED, "postmaster.opts", "server.log"):
        (here.data / name).unlink()
    if left != "an early version's":
        shutil.rmtree(here.data)
        here.data.mkdir()
    if left == "a file alone":
        (here.data / "PG_VERSION").write_text("18\n")
    (here.data.parent / "data.making-1-1" / "base").mkdir(parents=True)
    leave(user_of(var))
    assert not list(here.data.parent.glob("data.making-*"))
    assert len(list(here.data.parent.glob("data.unfinished-*"))) == (left != "nothing")  # nothing is thrown away


@pytest.mark.whole
@pytest.mark.timeout(200)
def test_a_kill_while_the_files_are_made_does_no_harm(var: Path) -> None:
    here = embedded.place(var)
    process = subprocess.Popen(
        [sys.executable, "-c", USE, str(var)], cwd=settings.BASE_DIR, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    until(lambda: bool(list(here.data.parent.glob("data.making-*/base/1"))), "the beginning of initdb")
    process.kill()
    process.communicate()
    assert not here.data.exists()
    leave(user_of(var))


@pytest.mark.whole
@pytest.mark.timeout(200)
@pytest.mark.parametrize("said", ["{pid}\n", "", "1\n"])
def test_a_pid_file_that_was_left_behind_is_seen_through(var: Path, said: str) -> None:
    """Somebody else has the number by now, or the disk was full when it was written."""
    leave(user_of(var))
    here = embedded.place(var)
    owner = here.user or None
    stranger = subprocess.Popen(["sleep", "300"], user=owner)
    try:
        text = said.format(pid=stranger.pid)
        (here.data / "postmaster.pid").write_text(text + f"{here.data}\n1\n5432\n{here.socket}\n" if text else "")
        (here.socket / ".s.PGSQL.5432.lock").write_text(f"{stranger.pid}\n")
        if owner:
            for file in (here.data / "postmaster.pid", here.socket / ".s.PGSQL.5432.lock"):
                shutil.chown(file, owner)
        user = user_of(var)
        assert answers(user.url)
        leave(user)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


@pytest.mark.whole
@pytest.mark.timeout(200)
def test_files_of_another_version_are_refused_in_the_servers_own_words(var: Path) -> None:
    leave(user_of(var))
    (embedded.place(var).data / "PG_VERSION").write_text("9.6\n")
    user = User(var)
    assert "initialized by PostgreSQL version 9.6" in user.said
    assert "DATABASE_URL" in user.said
    assert "Traceback" not in user.said


@pytest.mark.whole
def test_settings_that_cannot_be_are_refused_in_the_servers_own_words(var: Path) -> None:
    leave(user_of(var))
    with (embedded.place(var).data / "postgresql.conf").open("a") as settings_file:
        settings_file.write("shared_buffers = 900TB\n")
    user = User(var)
    assert "shared_buffers" in user.said
    assert "Traceback" not in user.said
