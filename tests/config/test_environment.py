from __future__ import annotations

import os
from pathlib import Path

import pytest

from config.environment import Env, give_aws_its_files


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_value_from_a_file_is_the_same_with_and_without_a_line_break_at_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    name = f"PARLEY_TEST_{len(end)}"
    (tmp_path / "keys").write_bytes(f"second,first{end}".encode())
    monkeypatch.setenv(f"{name}_FILE", str(tmp_path / "keys"))
    assert Env().list(name) == ["second", "first"]


def test_awss_own_variables_may_come_from_files_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"AWS_SECRET_ACCESS_KEY": "s3cret\n", "AWS_ENDPOINT_URL_CONNECT": "http://here\n"}.items():
        monkeypatch.setenv(name, "the file counts")
        (tmp_path / name).write_text(value)
        monkeypatch.setenv(f"{name}_FILE", str(tmp_path / name))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "not ours to read"))
    give_aws_its_files()
    assert os.environ["AWS_SECRET_ACCESS_KEY"] == "s3cret"
    assert os.environ["AWS_ENDPOINT_URL_CONNECT"] == "http://here"
    assert "AWS_SHARED_CREDENTIALS" not in os.environ
