"""The product's processes and their command lines: the same on a laptop as in production."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from http import HTTPStatus
from http.client import HTTPException
from urllib.request import Request, urlopen

from django.conf import settings

from config.ports import url_of
from config.supervisor import Program

#: Celery warns at length when root runs it. Here root is a container's or a laptop's; production has a user of its own.
ABOUT_ROOT = "ignore:You're running the worker with superuser"
#: What our web says of itself, so that we do not take another's for ours.
INSTANCE = secrets.token_hex(8)
#: Seconds between two looks at whether the web answers.
LOOK_AGAIN = 0.1


def host() -> str:
    """Return the address that the web binds to."""
    return os.environ.get("HOST") or "127.0.0.1"


def product(port: int) -> list[list[Program]]:
    """Return web, bridge, worker and beat as groups to start in this order; the web stops first.

    HOST (default 127.0.0.1) is the address that the web binds to, WORKER_CONCURRENCY the worker's threads.
    They inherit this process' environment, and DATABASE_URL so that none starts a private server of its own.
    """
    python = sys.executable
    environment = {"DATABASE_URL": os.environ.get("DATABASE_URL") or settings.DATABASE_URL, "PORT": str(port)}
    environment["PARLEY_INSTANCE"] = INSTANCE
    web = ["-m", "config.web", "-b", host(), "-p", str(port), "config.asgi:application"]
    celery = ["-W", ABOUT_ROOT, "-m", "celery", "-q", "-A", "config"]
    worker = [
        *celery,
        "worker",
        "-P",
        "threads",
        "-c",
        str(settings.WORKER_CONCURRENCY),
        "-l",
        os.environ.get("LOG_LEVEL") or settings.LOG_LEVEL,  # the sandbox sets it after the settings were read
    ]
    return [
        [
            Program("bridge", [python, str(settings.BASE_DIR / "manage.py"), "bridge"], environment),
            Program("worker", [python, *worker, "--without-gossip", "--without-mingle"], environment),
            Program("beat", [python, *celery, "beat", "-l", "WARNING"], environment),
        ],
        [Program("web", [python, *web], environment)],
    ]


async def until_it_answers(port: int) -> str:
    """Wait until our web answers on this machine, for ever if need be, and return its address.

    Raises OSError if somebody else's answers there: both were told the same port at the same moment.
    """
    address = url_of(host(), port)
    while (whose := await asyncio.to_thread(_answers, f"{address}/-/alive/")) is None:  # noqa: ASYNC110 - of another process
        await asyncio.sleep(LOOK_AGAIN)
    if whose != INSTANCE:
        raise OSError(f"Another Parley has just taken port {port}. Stop it, or choose another port: --port {port + 1}")
    return address


def _answers(url: str) -> str | None:
    """Return which instance answers, None while none does. By a name that the web knows, whatever it binds to."""
    try:
        request = Request(url, headers={"Host": "localhost"})  # noqa: S310 - http, on this machine
        with urlopen(request, timeout=5) as answer:  # noqa: S310 - the same
            return str(answer.headers.get("X-Parley-Instance", "")) if answer.status == HTTPStatus.OK else None
    except (OSError, HTTPException):
        return None
