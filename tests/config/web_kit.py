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
from urllib.parse import urlencode, urlsplit

import psycopg
from django.conf import settings
from twilio.request_validator import RequestValidator

#: Seconds that anything may take on a busy machine.
PATIENCE = 90.0
STUB = "tests.config.web_stub:application"
WHATSAPP = {"account_sid": "AC" + "0" * 32, "auth_token": "auth-token-of-tests", "number": "+34600777888"}
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
    port: int,
    parts: Iterable[bytes] | bytes,
    pause: float = 0.0,
    *,
    tls: ssl.SSLContext | None = None,
    to_the_end: bool = True,
) -> Said:
    """Send these parts and return what comes back, up to the connection's end or that of the answer.

    With a pause (seconds) after each part, sending stops when something comes back.
    """
    link = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    link = tls.wrap_socket(link) if tls else link
    with link:
        began = time.monotonic()
        sent, raw = 0, b""
        for part in [parts] if isinstance(parts, bytes) else parts:
            assert time.monotonic() - began < PATIENCE, "nobody minds"
            link.sendall(part)
            sent += len(part)
            if pause:
                link.settimeout(pause)
                try:
                    raw = link.recv(65_536)
                    break  # an answer, or the end
                except TimeoutError:
                    link.settimeout(PATIENCE)
        first_at = time.monotonic() - began
        link.settimeout(PATIENCE)
        while not (raw and _complete(raw) and not to_the_end) and (more := link.recv(65_536)):
            first_at = first_at if raw else time.monotonic() - began
            raw += more
        return Said(raw, first_at, sent)


def _complete(raw: bytes) -> bool:
    said = Said(raw, 0.0, 0)
    return len(said.body) >= int(said.headers.get("content-length", sys.maxsize))


def request(line: str = "POST /webhooks/twitter/1/", *headers: str, body: bytes = b"", host: bytes = HOST) -> bytes:
    """Return a request as bytes. Nothing is added but the host."""
    named = "".join(f"{header}\r\n" for header in headers).encode()
    return f"{line} HTTP/1.1\r\n".encode() + host + named + b"\r\n" + body


HANDSHAKE = request(
    "GET /live",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)


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


@dataclass(frozen=True)
class Product:
    """The product's web process on a database of its own, and an account of each kind that its tests need."""

    web: Web
    database: str
    whatsapp: str

    def stored(self) -> list[str]:
        """Return the states of all deliveries."""
        with psycopg.connect(self.database) as connection:
            rows = connection.execute("SELECT state FROM channels_app_webhookdelivery ORDER BY received_at")
            return [state for (state,) in rows]


@contextmanager
def product(folder: Path, database: str, *options: str, **environment: str) -> Iterator[Product]:
    """Migrate the database, add an account, and run the web process as `serve` would."""
    variables = {"DATABASE_URL": database, "PARLEY_VAR": str(folder), "LOG_LEVEL": "WARNING", **environment}
    _manage(variables, "migrate", "-v", "0")
    keys = [f"{key}={value}" for key, value in WHATSAPP.items()]
    pairs = [word for pair in keys for word in ("--set", pair)]
    account = json.loads(_manage(variables, "addaccount", "whatsapp", "Acme", *pairs, "--json"))
    with web(folder, *options, application="config.asgi:application", **variables) as running:
        yield Product(running, database, urlsplit(account["webhook_url"]).path)


def _manage(environment: dict[str, str], *words: str) -> str:
    command = [sys.executable, "manage.py", *words]
    done = subprocess.run(
        command, cwd=settings.BASE_DIR, env=os.environ | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def whatsapp(base: str, path: str, number: int, *headers: str) -> bytes:
    """Return a customer's numbered message as Twilio sends and signs it. The path may have a query."""
    address = f"whatsapp:{WHATSAPP['number']}"
    fields = {
        "MessageSid": f"SM{number:032}",
        "AccountSid": WHATSAPP["account_sid"],
        "To": address,
        "From": "whatsapp:+34611222333",
    }
    fields |= {"Body": "hola", "NumMedia": "0"}
    body = urlencode(fields).encode()
    signature = RequestValidator(WHATSAPP["auth_token"]).compute_signature(base + path, fields)
    return request(
        f"POST {path}",
        "Content-Type: application/x-www-form-urlencoded",
        f"Content-Length: {len(body)}",
        f"X-Twilio-Signature: {signature}",
        *headers,
        body=body,
        host=f"Host: {urlsplit(base).netloc}\r\n".encode(),
    )
