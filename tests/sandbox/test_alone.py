from __future__ import annotations

import os
from pathlib import Path

import pytest

from sandbox.alone import Taken, the_only_one, the_only_one_on


def test_a_second_sandbox_in_a_folder_is_refused_and_told_of_the_first(tmp_path: Path) -> None:
    with (
        the_only_one(tmp_path / "var", 8000),
        pytest.raises(Taken) as refused,
        the_only_one(tmp_path / "var", 8000),
    ):
        pass
    said = str(refused.value)
    assert str(tmp_path / "var") in said
    assert f"process {os.getpid()}, http://127.0.0.1:8000" in said
    assert f"kill {os.getpid()}" in said
    assert "PARLEY_VAR=/another/folder make demo PORT=8001" in said


def test_one_by_another_name_of_the_folder_too(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "var")
    with (
        the_only_one(tmp_path / "var", 8000),
        pytest.raises(Taken, match="A sandbox runs already"),
        the_only_one(tmp_path / "link", 8001),
    ):
        pass


def test_after_it_has_ended_the_next_one_may(tmp_path: Path) -> None:
    for port in (8000, 8001):
        with the_only_one(tmp_path, port):
            pass


def test_two_folders_are_apart(tmp_path: Path) -> None:
    with the_only_one(tmp_path / "one", 8000), the_only_one(tmp_path / "two", 8000):
        pass


@pytest.mark.django_db(transaction=True)
def test_two_sandboxes_on_one_database_are_refused_too(database_url: str) -> None:
    with (
        the_only_one_on(database_url, 8000),
        pytest.raises(Taken, match=rf"on this database \(process {os.getpid()}, .*:8000\).*PORT=8001"),
        the_only_one_on(database_url, 8000),
    ):
        pass
    with the_only_one_on(database_url, 8001):
        pass


@pytest.mark.django_db(transaction=True)
def test_two_databases_are_apart(database_url: str, postgres: str) -> None:
    with the_only_one_on(database_url, 8000), the_only_one_on(postgres, 8001):
        pass


def test_a_database_that_is_not_there_is_said() -> None:
    with pytest.raises(OSError, match=r"No database: .*DATABASE_URL"), the_only_one_on("postgres://x@127.0.0.1:9/x", 1):
        pass
