"""The product's processes and their command lines: the same on a laptop as in production."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from http import HTTPStatus
from http.client import HTTPException
from urllib.request import urlopen

from django.conf import settings

from connect_bridge.supervisor import Program

#: Tasks that one worker process runs at a time. Each waits 50 to 300 ms for a messenger, so many more than cores.
WORKER_THREADS = "16"
#: Celery warns at length when root runs it. Here root is a container's or a laptop's; production has a user of its own.
ABOUT_ROOT = "ignore:You're running the worker with superuser"
#: Seconds between two looks at whether the web answers.
LOOK_AGAIN = 0.1


def host() -> str:
    """Return the address that the web binds to."""
    return os.environ.get("HOST", "127.0.0.1")


def product(port: int) -> list[list[Program]]:
    """Return web, bridge, worker and beat as groups to start in this order; the web stops first.

    HOST (default 127.0.0.1) is the address that the web binds to, WORKER_CONCURRENCY the worker's threads.
    They inherit this process' environment, and DATABASE_URL so that none starts a private server of its own.
    """
    python = sys.executable
    environment = {"DATABASE_URL": os.environ.get("DATABASE_URL") or settings.DATABASE_URL, "PORT": str(port)}
    threads = os.environ.get("WORKER_CONCURRENCY", WORKER_THREADS)
    web = ["-m", "config.web", "-b", host(), "-p", str(port), "config.asgi:application"]
    celery = ["-W", ABOUT_ROOT, "-m", "celery", "-q", "-A", "config"]
    worker = [
        *celery,
        "worker",
        "-P",
        "threads",
        "-c",
        threads,
        "-l",
        os.environ.get("LOG_LEVEL") or settings.LOG_LEVEL,
    ]
    return [
        [
            Program("bridge", [python, str(settings.BASE_DIR / "manage.py"), "bridge"], environment),
            Program("worker", [python, *worker, "--without-gossip", "--without-mingle"], environment),
            Program("beat", [python, *celery, "beat", "-l", "WARNING"], environment),
        ],
        [Program("web", [python, *web], environment)],
    ]


def refuse_taken_port(port: int) -> None:
    """Raise OSError, saying what to do, if the web could not listen there."""
    family = socket.AF_INET6 if ":" in host() else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host(), port))
        except OSError as problem:
            raise OSError(
                f"Cannot listen on {host()} port {port}: {problem.strerror}. Likely something else runs there "
                f"(perhaps another Parley). Stop it, or choose another port: --port {port + 1}"
            ) from None


async def until_it_answers(port: int) -> str:
    """Wait until the web on this machine answers, for ever if need be, and return its address."""
    address = f"http://{'127.0.0.1' if host() == '0.0.0.0' else host()}:{port}"  # noqa: S104 - compared, not bound
    while not await asyncio.to_thread(_answers, f"{address}/-/alive/"):  # noqa: ASYNC110 - another process's event
        await asyncio.sleep(LOOK_AGAIN)
    return address


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=5) as answer:  # noqa: S310 - http, on this machine
            return bool(answer.status == HTTPStatus.OK)
    except (OSError, HTTPException):
        return False
