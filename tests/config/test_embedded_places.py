"""Where the private PostgreSQL cannot live, it says why."""

from __future__ import annotations

import os
import pwd
import shutil
from pathlib import Path

import pytest

from config import embedded, postgres_as_root, postgres_files, postgres_place
from tests.config.embedded_kit import SOMEBODY, User, ordinary_user


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
