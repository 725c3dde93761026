"""Guessing passwords and addresses is slowed down, and tells nothing."""

from __future__ import annotations

import re
import threading
import time

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.core.cache import caches
from django.core.mail.backends import locmem
from django.db import connection
from django.test import Client
from pytest_django.fixtures import Settings

from people import limits, reset
from tests.people.sign_in_kit import (
    ana,
    sign_in,
    sign_in_settings,
)

__all__ = ["ana", "sign_in_settings"]
pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("name", ["ana", "nobody", "ana@example.org", "nobody@example.org"])
def test_the_sixth_wrong_password_is_answered_429(ana: User, name: str) -> None:
    client = Client()

    answers = [sign_in(client, name, f"wrong {number}") for number in range(6)]

    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert answers[5].headers["Retry-After"] == "300"
    assert "Too many" in answers[5].content.decode()


def test_known_and_unknown_names_are_told_the_same(ana: User) -> None:
    def seen_by(name: str, number: int) -> str:
        words = sign_in(Client(), name, f"wrong {number}").content.decode().replace(name, "NAME")
        return re.sub(r'name="csrfmiddlewaretoken" value="\w+"|nonce="[^"]*"', "", words)

    assert [seen_by("ana", number) for number in range(6)] == [seen_by("nob", number) for number in range(6)]


def test_nobody_is_locked_out_from_elsewhere(ana: User) -> None:
    stranger, client = Client(REMOTE_ADDR="203.0.113.66"), Client()
    for number in range(7):
        sign_in(stranger, "ana", f"wrong {number}")

    sign_in(client)

    assert client.get("/admin/").status_code == 200


def test_many_names_do_not_wipe_the_count_of_one(ana: User) -> None:
    client = Client(REMOTE_ADDR="203.0.113.7")
    for number in range(5):
        sign_in(client, "ana", f"wrong {number}")
    for number in range(80):
        caches["default"].set(f"noise-{number}", number, 300)

    assert sign_in(client).status_code == 429


def test_what_is_over_leaves_the_cache() -> None:
    for number in range(40):
        caches["default"].set(f"over-{number}", number, -10)
    caches["default"].set("one-more", 1, 300)

    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM django_cache")
        assert cursor.fetchone()[0] < 40


@pytest.mark.parametrize(("failures", "seconds"), [(0, 0.0), (20, 0.0), (25, 0.5), (10_000, 2.0)])
def test_a_name_that_is_guessed_at_from_everywhere_gets_slower(failures: int, seconds: float) -> None:
    assert limits.delay_of(failures) == pytest.approx(seconds)


def test_each_attempt_at_a_name_that_is_guessed_at_waits(ana: User, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr(limits.time, "sleep", waited.append)
    for number in range(24):
        sign_in(Client(REMOTE_ADDR=f"203.0.113.{number}"), "ana", "wrong")

    assert waited == pytest.approx([0.1, 0.2, 0.3])


@pytest.mark.django_db(transaction=True)
def test_who_waits_holds_no_connection_that_others_need(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[object] = []
    monkeypatch.setattr(limits.time, "sleep", lambda _: held.append(connection.connection))
    for _ in range(limits.FREE + 1):
        limits.slowed_by_failure("ana")

    limits.slow_down("ana")

    assert held == [None]


def test_a_reset_link_leads_to_us_whatever_host_is_named(ana: User, settings: Settings) -> None:
    settings.PUBLIC_BASE_URL = "https://parley.example.com"
    settings.ALLOWED_HOSTS = ["*"]

    Client().post("/accounts/password/reset/", {"email": "ana@example.org"}, headers={"host": "evil.example"})

    [letter] = mail.outbox
    assert "https://parley.example.com/accounts/password/reset/key/" in str(letter.body)
    assert "evil.example" not in f"{letter.subject}{letter.body}"


@pytest.fixture
def slow_mail(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Give a mail server that takes until the event is set, and then fails."""
    over = threading.Event()

    def send(*_: object) -> None:
        over.wait(30)
        raise OSError("550 ana@example.org: no")

    monkeypatch.setattr(locmem.EmailBackend, "send_messages", send)
    return over


def test_how_long_a_reset_takes_tells_nobody_who_is_known(
    ana: User, slow_mail: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    took, answers = [], []
    for address in ("ana@example.org", "nobody@example.org"):
        begun = time.monotonic()
        answers.append(Client().post("/accounts/password/reset/", {"email": address}).headers["Location"])
        took.append(time.monotonic() - begun)
    slow_mail.set()
    for thread in threading.enumerate():
        if thread.name == "letter":
            thread.join(30)

    assert answers[0] == answers[1]
    assert min(took) >= reset.TAKES
    assert max(took) < 20  # the mail server takes longer
    assert "not sent: OSError" in caplog.text
    assert "ana@" not in caplog.text
