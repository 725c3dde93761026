"""Start the web process, and talk to it or to a proxy in front of it byte by byte, as no decent client does."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

from django.conf import settings

#: Seconds that anything may take on a busy machine.
PATIENCE = 60.0
STUB = "tests.config.web_stub:application"
HOST = b"Host: 127.0.0.1\r\n"


@dataclass(frozen=True)
class Said:
    """What came back, until the other side closed. Times in seconds since the first byte went out."""

    raw: bytes
    first_at: float
    sent: int

    @property
    def status(self) -> int:
        return int(self.raw[9:12])

    @property
    def body(self) -> bytes:
        return self.raw.partition(b"\r\n\r\n")[2]

    @property
    def headers(self) -> dict[str, str]:
        lines = self.raw.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]
        return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}

    @property
    def error(self) -> str:
        """The code of a refusal, after a look at its form."""
        said = json.loads(self.body)
        assert set(said) == {"error", "request_id"}
        assert self.headers["content-type"] == "application/json"
        assert self.headers["x-request-id"] == said["request_id"] != ""
        assert self.headers["x-content-type-options"] == "nosniff"
        assert self.headers["cache-control"] == "no-store"
        return str(said["error"])


def talk(
    where: int | str, parts: Iterable[bytes] | bytes, pause: float = 0.0, tls: ssl.SSLContext | None = None
) -> Said:
    """Send these parts until something comes back, then read to the end. A port of this machine, or a unix socket."""
    link = _connected(where, tls)
    with link:
        began = time.monotonic()
        first_at, sent, raw = 0.0, 0, b""
        for part in [parts] if isinstance(parts, bytes) else parts:
            assert time.monotonic() - began < PATIENCE, "nobody minds"
            link.sendall(part)
            sent += len(part)
            if pause:
                link.settimeout(pause)
                try:
                    raw = link.recv(65_536)
                    break  # an answer, or the end: no decent client goes on
                except TimeoutError:
                    link.settimeout(PATIENCE)
        first_at = time.monotonic() - began
        link.settimeout(PATIENCE)
        while more := link.recv(65_536):
            first_at = first_at if raw else time.monotonic() - began
            raw += more
        return Said(raw, first_at, sent)


def _connected(where: int | str, tls: ssl.SSLContext | None) -> socket.socket:
    if isinstance(where, str):
        link = socket.socket(socket.AF_UNIX)
        link.settimeout(PATIENCE)
        link.connect(where)
        return link
    link = socket.create_connection(("127.0.0.1", where), timeout=PATIENCE)
    return tls.wrap_socket(link) if tls else link


def request(line: str = "POST /webhooks/twitter/1/", *headers: str, body: bytes = b"", host: bytes = HOST) -> bytes:
    """Return a request as bytes. Nothing is added but the host."""
    named = "".join(f"{header}\r\n" for header in headers).encode()
    return f"{line} HTTP/1.1\r\n".encode() + host + named + b"\r\n" + body


def drip(*first: bytes, then: bytes = b"x") -> Iterator[bytes]:
    """Give these parts, and then the last one for ever."""
    yield from first
    yield from repeat(then)


@dataclass(frozen=True)
class Web:
    """A running web process."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path

    def get(self, path: str) -> Any:
        """Return what a GET says, as JSON."""
        return json.loads(talk(self.port, request(f"GET {path}", "Connection: close")).body)


@contextmanager
def web(
    folder: Path, *options: str, application: str = STUB, server: str = "config.web", **environment: str
) -> Iterator[Web]:
    """Run the web process with these options."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    log = folder / f"web-{port}.log"
    command = [sys.executable, "-m", server, "-v", "0", "-b", "127.0.0.1", "-p", str(port), *options, application]
    nowhere = {"DATABASE_URL": "postgres://nobody@127.0.0.1:9/none", "PARLEY_VAR": str(folder)}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=settings.BASE_DIR, env={**os.environ, **nowhere, **environment}, stdout=output, stderr=output
        )
    try:
        until_it_listens(port, process, log)
        yield Web(port, process, log)
    finally:
        process.terminate()
        process.wait(PATIENCE)


def until_it_listens(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait for a server that was just started."""
    deadline = time.monotonic() + PATIENCE
    while True:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
