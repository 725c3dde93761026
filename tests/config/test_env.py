from __future__ import annotations

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from config.env import Env, give_aws_its_files


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


@pytest.mark.parametrize("value", ["$tr0ng,other", "$$a", "$HOME", "a$HOME"])
def test_a_key_may_begin_with_a_dollar(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARLEY_TEST", value)

    assert Env().str("PARLEY_TEST", "a default") == value
    assert Env().list("PARLEY_TEST", default=[]) == value.split(",")


@pytest.mark.parametrize("blank", ["", " ", "\t "])
def test_a_blank_value_counts_as_not_given(blank: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARLEY_TEST", blank)

    assert Env().str("PARLEY_TEST", "a default") == "a default"
    assert Env().bool("PARLEY_TEST", True) is True
    assert Env().int("PARLEY_TEST", 5) == 5
    assert Env().list("PARLEY_TEST", default=["a"]) == ["a"]
    with pytest.raises(ImproperlyConfigured, match="PARLEY_TEST is not set"):
        Env().str("PARLEY_TEST")


@pytest.mark.parametrize("kind", ["bool", "int", "float"])
@pytest.mark.parametrize("value", ["s3cret", "nan", "inf", "1,5", "::::", "--", "1e999"])
def test_a_value_that_cannot_be_is_refused_and_not_quoted(
    kind: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARLEY_TEST", value)

    with pytest.raises(ImproperlyConfigured, match="PARLEY_TEST is no such value: give") as refused:
        getattr(Env(), kind)("PARLEY_TEST", {"bool": False, "int": 1, "float": 1.0}[kind])
    assert value not in str(refused.value)


@pytest.mark.parametrize(("word", "meant"), [("TRUE", True), ("On", True), ("1", True), ("no", False), ("Off ", False)])
def test_yes_and_no_have_their_words(word: str, *, meant: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARLEY_TEST", word)

    assert Env().bool("PARLEY_TEST", not meant) is meant


def test_a_blank_key_among_others_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARLEY_TEST", "old, ,,older,")

    assert Env().list("PARLEY_TEST") == ["old", "older"]


@pytest.mark.parametrize("name", ["PARLEY_TEST_FILE", "AWS_SECRET_ACCESS_KEY_FILE"])
@pytest.mark.parametrize("content", [None, b"\xff\xfe", b" \n"])
def test_a_file_that_holds_nothing_for_us_is_said(
    name: str, content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that was to come from a file is not replaced by one of our own."""
    if content is not None:
        (tmp_path / "key").write_bytes(content)
    monkeypatch.setenv(name, str(tmp_path / "key"))

    def read() -> None:
        give_aws_its_files()
        Env().str("PARLEY_TEST", "a default")

    with pytest.raises(ImproperlyConfigured, match=f"{name}: the file that it names"):
        read()


#: Setting → what nobody can mean by it.
WRONG = {
    "API_TOKEN_DAYS": ("abc", "0", "-1", "9999"),
    "BEHIND_TLS_PROXY": ("maybe",),
    "CELERY_BROKER_URL": ("abc", "::::", "http://x"),
    "DATABASE_POOL_SIZE": ("0", "x"),
    "DATABASE_URL": ("abc", "::::", "mysql://x/y", "postgres://u:p@h:port/x"),
    "EMAIL_URL": ("abc", "::::", "smtp+tls://u:p@h:port"),
    "INBOUND_POLL_SECONDS": ("nan", "-1"),
    "LOG_LEVEL": ("loud", "-1"),
    "PORT": ("abc", "0", "70000"),
    "PUBLIC_BASE_URL": ("abc", "::::", "ftp://x", "https://[", "https://x:port"),
    "REDIS_URL": ("abc", "::::", "http://x", "redis://h:port/0"),
    "REQUIRE_MFA": ("enabled",),
    "RETAIN_WORDS_DAYS": ("-1", "99999999"),
    "SENTIMENT_SPLIT_CHARACTERS": ("0",),
    "SESSION_SECONDS": ("-5", "0"),
    "SSO_GROUPS": ("[]", "abc"),
    "TIME_ZONE": ("Mars/Olympus", "../x", "::::"),
    "WORKER_CONCURRENCY": ("0", "many"),
    "X_API_BASE_URL": ("abc", "::::", "https://["),
    "GRAPH_API_BASE_URL": ("ftp://x",),
    "TWILIO_API_BASE_URL": ("api.twilio.com",),
    "SANDBOX_WORLD_URL": ("abc",),
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_every_setting_is_refused_in_words(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(ImproperlyConfigured, match=name) as refused:
        runpy.run_path(str(settings.BASE_DIR / "config" / "settings.py"))
    assert "u:p@" not in str(refused.value)


#: Beside them: what says more than it means, or nothing.
FINE = {"TIME_ZONE": " ", "LOG_LEVEL": "debug", "PUBLIC_BASE_URL": "", "REDIS_URL": " ", "DATABASE_POOL_SIZE": ""}


@pytest.mark.parametrize("name", FINE)
def test_what_is_blank_is_the_default(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for one in FINE:
        monkeypatch.delenv(one, raising=False)
    monkeypatch.setenv(name, FINE[name])

    read = runpy.run_path(str(settings.BASE_DIR / "config" / "settings.py"))

    assert read["TIME_ZONE"] == "UTC"
    assert read["PUBLIC_BASE_URL"].startswith("http://127.0.0.1:")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("TIME_ZONE", "Mars/Olympus", "TIME_ZONE is no such zone"),
        ("OFFICE_HOURS", "Mon-Fri", "OFFICE_HOURS: 'Mon-Fri' is"),
    ],
)
def test_an_operator_reads_one_line(name: str, value: str, words: str, tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "PARLEY_VAR": str(tmp_path), name: value}
    environment["DATABASE_URL"] = "postgres://u:p@127.0.0.1:1/x"
    command = [sys.executable, "manage.py", "check"]

    run = subprocess.run(
        command, env=environment, cwd=settings.BASE_DIR, capture_output=True, text=True, timeout=120, check=False
    )

    assert run.returncode == 1
    [line] = run.stderr.splitlines()
    assert line.startswith(f"Parley's settings: {words}")
