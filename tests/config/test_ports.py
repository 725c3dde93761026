from __future__ import annotations

import argparse
import errno
import http.server
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from config import ports
from config.ports import port_number, refuse_taken_port, url_of
from config.processes import INSTANCE, product, until_it_answers

NONSENSE = ["abc", "70000", "0", "-1", "", "8000.5", "65536", "80 80"]


@pytest.mark.parametrize("text", NONSENSE)
def test_what_is_no_port_is_said_to_be_none(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=f"{re.escape(repr(text))} is no port.*1 to 65535"):
        port_number(text)


def ran(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {**os.environ, "DATABASE_URL": "postgres://nobody@127.0.0.1:9/none", **environment}
    return subprocess.run(
        [sys.executable, *arguments], cwd=settings.BASE_DIR, env=variables, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        (["manage.py", "serve", "--port", "abc"], {}),
        (["manage.py", "sandbox", "--port", "70000"], {}),
        (["manage.py", "simulator", "--port=-1"], {}),
        (["-m", "config.web", "-p", "70000", "config.asgi:application"], {}),
        (["manage.py", "serve"], {"PORT": "abc"}),
        (["manage.py", "serve"], {"PORT": "0"}),
    ],
)
def test_every_command_says_it_without_a_trace(
    arguments: list[str], environment: dict[str, str], tmp_path: Path
) -> None:
    done = ran(*arguments, PARLEY_VAR=str(tmp_path), **environment)
    assert done.returncode not in (0, -6)
    assert "is no port: give a number from 1 to 65535" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "command",
    [
        ["manage.py", "serve", "--port"],
        ["manage.py", "simulator", "--port"],
        ["-m", "config.web", "config.asgi:application", "-p"],
    ],
)
def test_a_taken_port_is_refused_by_every_command(command: list[str], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = ran(*command, str(port), PARLEY_VAR=str(tmp_path))
    assert done.returncode == 1
    assert f"Cannot listen on 127.0.0.1 port {port}: Address already in use" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_privileged_port_is_called_so(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing(socket.socket):
        def bind(self, _address: Any) -> None:
            raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(ports.socket, "socket", Refusing)
    with pytest.raises(OSError, match=r"port 80: Permission denied. Ports below 1024 .*--port 8080.*proxy"):
        refuse_taken_port("127.0.0.1", 80)


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_an_address_that_is_not_ours_is_called_so(host: str) -> None:
    with pytest.raises(OSError, match=rf"{re.escape(host)} is no address of this machine. Correct HOST"):
        refuse_taken_port(host, 8000)


def test_a_taken_port_of_ipv6_is_seen() -> None:
    if not socket.has_dualstack_ipv6():
        pytest.skip("NOT TESTED: no IPv6 here")
    with (
        socket.create_server(("::1", 0), family=socket.AF_INET6) as other,
        pytest.raises(OSError, match="Cannot listen on ::1"),
    ):
        refuse_taken_port("::1", other.getsockname()[1])


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),
        ("::", "http://[::1]:80"),
        ("::1", "http://[::1]:80"),
        ("10.1.2.3", "http://10.1.2.3:80"),
    ],
)
def test_where_this_machine_reaches_what_listens(host: str, url: str) -> None:
    assert url_of(host, 80) == url


class Alive(http.server.BaseHTTPRequestHandler):
    """A web that says it is alive, as the instance that it was told to be."""

    instance = ""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("X-Parley-Instance", self.instance)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def answering() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Alive) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


async def test_another_parleys_answer_is_not_taken_for_ours(answering: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Alive, "instance", "another's")
    with pytest.raises(OSError, match=rf"Another Parley has just taken port {answering}"):
        await until_it_answers(answering)
    monkeypatch.setattr(Alive, "instance", INSTANCE)
    assert await until_it_answers(answering) == f"http://127.0.0.1:{answering}"


def test_the_web_says_whose_it_is(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "X-Parley-Instance" not in client.get("/-/alive/").headers
    (web,) = product(8000)[-1]
    monkeypatch.setenv("PARLEY_INSTANCE", web.environment["PARLEY_INSTANCE"])
    assert client.get("/-/alive/").headers["X-Parley-Instance"] == INSTANCE
