from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from config import embedded, postgres_as_root, postgres_files, postgres_place, postmaster
from tests.config.embedded_kit import SOMEBODY, User, answers, ordinary_user, remove, until

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
    remove(tmp_path / "var")


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


@pytest.fixture
def base() -> Iterator[Path]:
    """Give a folder of ours that others may enter, and not write into."""
    made = Path(tempfile.mkdtemp(prefix="parley-odd-", dir="/tmp"))
    made.chmod(0o755)
    yield made
    made.chmod(0o755)
    shutil.rmtree(made)


def refused(var: Path, user: str | None, reason: str) -> None:
    said = User(var, user=user).said
    assert reason in said
    assert "DATABASE_URL" in said
    assert "Traceback" not in said


def test_a_place_where_nobody_may_write_is_refused_with_the_reason(base: Path) -> None:
    base.chmod(0o555)
    with ordinary_user() as somebody:
        refused(base / "var", somebody, "Permission denied")


def test_a_file_in_the_folders_place_is_refused_with_the_reason(base: Path) -> None:
    (base / "var").write_text("")
    with ordinary_user() as somebody:
        refused(base / "var", somebody, "name another folder by PARLEY_VAR")


def test_a_user_without_a_name_is_told_that_initdb_insists_on_one(base: Path) -> None:
    base.chmod(0o777)
    with ordinary_user() as somebody:
        if somebody is None:
            pytest.skip("NOT TESTED: only root can be somebody else. sudo make test")
        refused(base / "var", "54321", "user id 54321 has no name")


def test_a_socket_folder_that_somebody_else_made_is_refused(base: Path) -> None:
    base.chmod(0o777)
    with ordinary_user() as somebody:
        if somebody is None:
            pytest.skip("NOT TESTED: only root can be somebody else. sudo make test")
        mark = embedded._mark(Path(os.path.realpath(base / "a folder with spaces")))
        squatted = Path("/tmp") / f"parley-{pwd.getpwnam(SOMEBODY).pw_uid}-{mark}"
        squatted.mkdir()
        try:
            refused(base / "a folder with spaces", somebody, "belongs to somebody else")
        finally:
            squatted.rmdir()


def test_a_full_disk_is_said_before_anything_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=3 * 1024**2))
    home = tmp_path / "home"
    home.mkdir()
    here = postgres_place.Place(tmp_path, home / "data", tmp_path / "socket", tmp_path / "lock", None)
    with pytest.raises(postgres_place.Unable, match=r"full: 3 MB are free.*PARLEY_VAR"):
        postgres_files.make_data_folder(here)
    assert not list(home.iterdir())


def test_without_useradd_root_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_as_root, "SYSTEM_USER", "parley-nobody-has-this")
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(postgres_place.Unable, match=r"refuses to.*no such program.*ordinary one.*DATABASE_URL"):
        postgres_as_root._ensure_user()


def test_bytes_count_for_the_length_of_a_socket_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    place = embedded.place(Path("/" + "ü" * 60))
    assert len(os.fsencode(place.socket / ".s.PGSQL.5432")) < 108
