"""What an exception quotes stays out of the logs; where it came from and what kind it is does not."""

from __future__ import annotations

import asyncio
import io
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
import requests
from celery import Celery, Task
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, transaction
from django.test import Client

from config.logs import Discreet, MaskPaths
from customers.models import Identity
from tests.factories import IdentityFactory

WORDS, NUMBER, TOKEN = "my card is 4111", "+4915112345678", "EAAGm0PX4ZCpsBAKZC"
#: Nothing that is started here asks a database.
NOWHERE = "postgres://nobody@127.0.0.1:1/none"


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """Give what our handler writes."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(Discreet(settings.LOGGING["formatters"]["line"]["format"]))
    handler.addFilter(MaskPaths())
    logging.getLogger().addHandler(handler)
    yield out
    logging.getLogger().removeHandler(handler)


def a_row_that_is_there() -> None:
    row = IdentityFactory(kind="whatsapp", external_id=NUMBER)
    with transaction.atomic():
        Identity.objects.bulk_create(
            [Identity(customer=row.customer, home=row.home, kind="whatsapp", external_id=NUMBER)]
        )


def a_row_that_cannot_be() -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE said (text text, at timestamptz NOT NULL)")
        cursor.execute("INSERT INTO said (text) VALUES (%s)", [WORDS])


def an_address_with_a_token() -> None:
    requests.get(f"http://127.0.0.1:1/me?access_token={TOKEN}", timeout=1)


def a_text_that_is_no_number() -> None:
    try:
        int(WORDS)
    except ValueError as failure:
        raise RuntimeError(f"cannot read {WORDS}") from failure


def several_at_once() -> None:
    raise ExceptionGroup(WORDS, [ValueError(NUMBER), KeyError(TOKEN)])


FAILURES: dict[Callable[[], None], str] = {
    a_row_that_is_there: "psycopg.errors.UniqueViolation: 23505 ",
    a_row_that_cannot_be: "psycopg.errors.NotNullViolation: 23502",
    an_address_with_a_token: "requests.exceptions.ConnectionError",
    a_text_that_is_no_number: "ValueError",
    several_at_once: "KeyError",
}
pytestmark = pytest.mark.django_db


def is_discreet(said: str, failure: Callable[[], None]) -> None:
    assert FAILURES[failure] in said
    assert f"in {failure.__name__}" in said
    for words in (WORDS, NUMBER, TOKEN):
        assert words not in said.replace("cannot read {WORDS}", "").replace("ValueError(NUMBER)", "")


@pytest.mark.parametrize("failure", FAILURES)
def test_a_request_that_fails(failure: Callable[[], None], lines: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(raise_request_exception=False)
    monkeypatch.setattr("connect_bridge.operations.health.exposition", failure)

    assert client.get("/-/metrics/").status_code == 500
    is_discreet(lines.getvalue(), failure)


@pytest.mark.parametrize("failure", FAILURES)
def test_a_task_that_fails(failure: Callable[[], None], lines: io.StringIO) -> None:
    app = Celery("here", broker="memory://", set_as_current=False)
    task: Task = app.task(name="here.fails")(failure)

    task.apply()

    assert "Task here.fails" in lines.getvalue()
    is_discreet(lines.getvalue(), failure)


@pytest.mark.parametrize("failure", FAILURES)
def test_whatever_says_that_something_failed(failure: Callable[[], None], lines: io.StringIO) -> None:
    try:
        failure()
    except Exception as problem:
        logging.getLogger("daphne.server").exception("Exception inside application: %s", problem)  # noqa: TRY401 - as daphne says it

    is_discreet(lines.getvalue(), failure)


def test_a_task_of_asyncio_that_nobody_asked_for(lines: io.StringIO) -> None:
    async def fails() -> None:
        raise ValueError(WORDS)

    async def run() -> None:
        lost = asyncio.ensure_future(fails())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        del lost

    asyncio.run(run())

    assert "never retrieved" in lines.getvalue()
    assert WORDS not in lines.getvalue()


def test_words_of_our_own_and_of_the_system_stay(lines: io.StringIO) -> None:
    for failure in (
        ImproperlyConfigured("SECRET_KEY is not set"),
        ConnectionRefusedError(111, "Connection refused"),
        ImportError("cannot import name 'a' from 'b'"),
    ):
        logging.getLogger("parley").error("it failed", exc_info=failure)

    assert "SECRET_KEY is not set" in lines.getvalue()
    assert "ConnectionRefusedError: Connection refused" in lines.getvalue()
    assert "ImportError: cannot import name 'a' from 'b'" in lines.getvalue()


#: What ends a process, and what its threads and Twisted catch: each fails with words of a customer's.
ENDS = """
import sys, threading
import django; django.setup()
from twisted.internet import defer
from twisted.logger import Logger, globalLogBeginner, globalLogPublisher
from twisted.python import failure, log
from config.web import log_as_we_do
globalLogPublisher.addObserver(log_as_we_do)
globalLogBeginner.beginLoggingTo([lambda _: None], redirectStandardIO=False, discardBuffer=True)  # as Daphne does

def fails(word):
    raise ValueError(" ".join((word, *sys.argv[1:])))

def caught(word):
    try: fails(word)
    except ValueError: return failure.Failure()

class Last:
    def __del__(self): fails("collected")

def in_a_thread(): fails("thread")
def nowhere(): defer.fail(caught("deferred"))

one = threading.Thread(target=in_a_thread); one.start(); one.join()
log.err(caught("legacy"), "it was asked to say why")
Logger().failure("it was told", caught("new"))
nowhere()
Last()
kept = Last()
kept.itself = kept
fails("process")
"""


@pytest.mark.parametrize("debug", ["", "true"])
def test_what_ends_a_process_a_thread_or_a_callback(debug: str) -> None:
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings", "DEBUG": debug, "DATABASE_URL": NOWHERE}
    done = subprocess.run(
        [sys.executable, "-c", ENDS, WORDS, NUMBER],
        check=False,
        cwd=settings.BASE_DIR,
        env=environment,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 1
    for place in (
        "in in_a_thread",
        "in __del__",
        "in caught",
        "in fails",
        "it was asked to say why",
        "it was told",
        "in <module>",
    ):
        assert place in done.stderr, done.stderr
    assert done.stderr.count("ValueError") >= 6
    assert ("DEBUG=true shows it" in done.stderr) is not bool(debug)
    for words in (WORDS, NUMBER):
        assert (words in done.stderr) is bool(debug), done.stderr


def test_a_person_who_breaks_off_is_no_failure() -> None:
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings", "DATABASE_URL": NOWHERE}
    code = "import django; django.setup(); raise KeyboardInterrupt"

    done = subprocess.run(
        [sys.executable, "-c", code], check=False, cwd=settings.BASE_DIR, env=environment, capture_output=True
    )

    assert b"DEBUG=true" not in done.stderr
