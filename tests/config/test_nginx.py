"""The proxy configuration that ships, in a real nginx before a real web process. Numbers are rows of the catalogue."""

from __future__ import annotations

import datetime as dt
import os
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.conf import settings

from channels_app.registry import channels
from tests.config.web_kit import HANDSHAKE, Said, Web, drip, product, request, talk, until_it_listens, web, whatsapp
from tests.markers import tool

pytestmark = pytest.mark.nginx

DEPLOY = settings.BASE_DIR / "deploy"
MEBI = 1024 * 1024
TO_TWITTER = "POST /webhooks/twitter/1/"
CHUNKED = request(TO_TWITTER, "Transfer-Encoding: chunked")
MAIN = """
daemon off;
{user}
pid {folder}/nginx.pid;
error_log stderr;
events {{ }}
http {{
    {temporary}
    include {folder}/parley.conf;
}}
"""


@dataclass(frozen=True)
class Nginx:
    """A running nginx: its port for plain HTTP, and that for TLS."""

    port: int
    tls_port: int
    web: Web
    log: Path

    def refused(self, parts: Any, pause: float = 0.0) -> Said:
        """Send, and make sure that the application heard nothing of it."""
        before = self.web.get("/calls")["calls"]
        said = talk(self.port, parts, pause, to_the_end=False)
        assert self.web.get("/calls")["calls"] == before
        return said


def changed(text: str, *pairs: tuple[str, str]) -> str:
    """Return a shipped configuration with what an operator would change."""
    for old, new in pairs:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


@contextmanager
def nginx(folder: Path, upstream: str, *lines: tuple[str, str], tls: bool = False) -> Iterator[tuple[int, int, Path]]:
    """Run the shipped configuration before this upstream; give its ports and its access log."""
    port, tls_port = ports()
    site = changed(
        (DEPLOY / "nginx.conf").read_text(),
        ("server 127.0.0.1:8000;", f"server {upstream};"),
        ("listen 80 default_server;", f"listen 127.0.0.1:{port} default_server;"),
        ("/etc/nginx/parley.d/", f"{folder}/parley.d/"),
        ("/var/log/nginx/parley.log", f"{folder}/access.log"),
        *lines,
    )
    (folder / "parley.d").mkdir()
    (folder / "parley.conf").write_text(site)
    if tls:
        _encrypt(folder, tls_port)
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;" if os.geteuid() == 0 else ""  # or its workers could not enter the tests' folder
    (folder / "nginx.conf").write_text(MAIN.format(user=user, folder=folder, temporary=temporary))
    log = folder / "nginx.log"
    with log.open("wb") as output:
        command = [tool("nginx") or "nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")]
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        until_it_listens(port, process, log)
        yield port, tls_port, folder / "access.log"
    finally:
        process.terminate()
        process.wait(60)


def ports() -> tuple[int, int]:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        return int(one.getsockname()[1]), int(other.getsockname()[1])


def _encrypt(folder: Path, port: int) -> None:
    """Add the shipped TLS lines, with a certificate of our own."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    (folder / "fullchain.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    (folder / "privkey.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    )
    lines = changed(
        (DEPLOY / "nginx-tls.conf").read_text(),
        ("listen 443 ssl http2;", f"listen 127.0.0.1:{port} ssl http2;"),
        ("/etc/ssl/parley/fullchain.pem", f"{folder}/fullchain.pem"),
        ("/etc/ssl/parley/privkey.pem", f"{folder}/privkey.pem"),
    )
    (folder / "parley.d" / "tls.conf").write_text(lines)


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    """Give nginx before a web process that counts what reaches it, over a port, and impatient where it may be."""
    folder = tmp_path_factory.mktemp("nginx")
    with (
        web(folder, "--body-seconds", "1") as server,
        nginx(
            folder, f"127.0.0.1:{server.port}", ("client_header_timeout 10s;", "client_header_timeout 1s;")
        ) as running,
    ):
        port, tls_port, log = running
        yield Nginx(port, tls_port, server, log)


ROWS = [
    ("3 declared too large", 413, "too_large", request(TO_TWITTER, "Content-Length: 262145")),
    ("3 for Meta", 413, "too_large", request("POST /webhooks/messenger/1/", f"Content-Length: {3 * MEBI + 1}")),
    ("3 for a page", 413, "too_large", request("POST /admin/login/", f"Content-Length: {3 * MEBI + 1}")),
    ("4 endless", 413, "too_large", [CHUNKED, *[b"8000\r\n" + b"x" * 32_768 + b"\r\n"] * 9]),
    ("7 two lengths", 400, "bad_request", request(TO_TWITTER, "Content-Length: 3", "Transfer-Encoding: chunked")),
    (
        "7 two lengths the other way round",
        400,
        "bad_request",
        request(TO_TWITTER, "Transfer-Encoding: chunked", "Content-Length: 3"),
    ),
    ("8 header of 64 KB", 431, "headers_too_large", request(TO_TWITTER, "X-Long: " + "x" * 65_536)),
    ("9 address of 16 KB", 414, "address_too_long", request("GET /webhooks/twitter/1/?" + "x" * 16_384)),
    ("10 TRACE", 405, "method", request("TRACE /webhooks/twitter/1/")),
    ("13 Host that is none", 400, "bad_request", request(TO_TWITTER, host=b"Host: a b\r\n")),
    ("metrics", 403, "forbidden", request("GET /-/metrics/")),
    ("metrics, encoded", 403, "forbidden", request("GET /%2d/metrics/")),
    ("metrics, by another way", 403, "forbidden", request("GET /admin/..//-/metrics/")),
]


@pytest.mark.parametrize(("status", "word", "parts"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_it_is_refused_in_json_and_the_application_not_called(
    proxy: Nginx, status: int, word: str, parts: bytes | list[bytes]
) -> None:
    said = proxy.refused(parts)
    assert (said.status, said.error) == (status, word)


def test_5_headers_that_come_too_slowly_end_the_connection(proxy: Nginx) -> None:
    said = proxy.refused(drip(b"GET / HTTP/1.1\r\nX-Slow: "), pause=0.05)
    assert said.raw == b""  # nginx has no words for it
    assert '"GET /" 408 ' in proxy.log.read_text()


def test_6_a_body_that_comes_too_slowly_is_ended_by_the_web_process(proxy: Nginx) -> None:
    for first in (request(TO_TWITTER, "Content-Length: 100000"), CHUNKED):
        said = proxy.refused(drip(first, then=b"1\r\nx\r\n"), pause=0.05)
        assert (said.status, said.error) == (408, "too_slow")


def test_the_log_does_not_show_the_query_of_a_handshake(proxy: Nginx) -> None:
    talk(proxy.port, request("GET /webhooks/messenger/1/?hub.verify_token=secret-word", "Connection: close"))
    assert "/webhooks/messenger/1/" in proxy.log.read_text()
    assert "secret-word" not in proxy.log.read_text()


@pytest.mark.parametrize("path", ["/agent/", "/%61gent/", "//agent/", "/media/", "/accounts/password/reset/key/"])
def test_the_log_does_not_show_what_opens_a_page(proxy: Nginx, path: str) -> None:
    talk(proxy.port, request(f"GET {path}SIGNED-word/more/?next=x", "Connection: close"))
    log = proxy.log.read_text()
    assert "/..." in log
    assert "SIGNED-word" not in log


def test_3_what_is_as_large_as_the_channels_cap_passes(proxy: Nginx) -> None:
    for kind, channel in channels().items():
        body = b"x" * channel.max_body
        said = talk(
            proxy.port,
            request(f"POST /webhooks/{kind}/1/", f"Content-Length: {len(body)}", body=body),
            to_the_end=False,
        )
        assert b'"size": %d,' % len(body) in said.body, kind


def test_a_websocket_passes(proxy: Nginx) -> None:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=60) as link:
        link.sendall(HANDSHAKE)
        assert link.recv(65_536).startswith(b"HTTP/1.1 101 ")
        link.sendall(b"\x81\x82\x00\x00\x00\x00hi")
        assert link.recv(65_536) == b"\x81\x02hi"


def test_a_client_cannot_say_where_the_site_begins(proxy: Nginx) -> None:
    said = talk(proxy.port, request("GET /x/-/health/", "Daphne-Root-Path: /x"), to_the_end=False)
    assert b'"root": ""' in said.body


def test_without_a_web_process_the_provider_is_asked_to_come_again(tmp_path: Path) -> None:
    nobody, _ = ports()
    with nginx(tmp_path, f"127.0.0.1:{nobody}") as (port, _, _):
        said = talk(port, request(TO_TWITTER, "Content-Length: 0"), to_the_end=False)
    assert (said.status, said.error, said.headers["retry-after"]) == (503, "unavailable", "5")


PUBLIC = "https://parley.example.com"


@pytest.mark.whole
def test_the_product_behind_it_with_tls_and_a_unix_socket(tmp_path: Path, empty_database: str) -> None:
    gate = tmp_path / "web.sock"
    environment = {"PUBLIC_BASE_URL": PUBLIC, "WEBHOOK_REQUIRE_HTTPS": "true"}
    with (
        product(tmp_path, empty_database, "-u", str(gate), **environment) as parley,
        nginx(tmp_path, f"unix:{gate}", tls=True) as (plain, encrypted, _),
    ):
        tls = ssl.create_default_context(cafile=str(tmp_path / "fullchain.pem"))
        tls.check_hostname = False

        def ask(parts: bytes, port: int = encrypted) -> Said:
            return talk(port, parts, tls=tls if port == encrypted else None, to_the_end=False)

        path = f"{parley.whatsapp}?a=%7E&b=c+d"
        good = ask(whatsapp(PUBLIC, path, 1))
        assert (good.status, good.headers["x-parley-status"]) == (200, "accepted")
        assert [good.raw.lower().count(name) for name in (b"\r\nx-request-id:", b"\r\nx-content-type-options:")] == [
            1,
            1,
        ]

        forged = ask(whatsapp(PUBLIC, path, 2).replace(b"Host: parley.", b"Host: evil."))
        assert (forged.status, forged.error) == (400, "bad_host")  # row 13
        clear = ask(whatsapp(PUBLIC, path, 3, "X-Forwarded-Proto: https"), plain)
        assert (clear.status, clear.error) == (403, "https_required")  # row 14
        for path in ("/api/v1/messages/", "/%61pi/v1/messages/", "/connect/contact-events/"):
            answer = ask(request(f"GET {path}", "Authorization: Token t", host=b"Host: parley.example.com\r\n"), plain)
            assert (answer.status, answer.error, "location" in answer.headers) == (403, "https_required", False)
        page = ask(request("GET /admin/login/?next=/", host=b"Host: evil.example\r\n"), plain)
        assert (page.status, page.headers["location"]) == (301, f"{PUBLIC}/admin/login/?next=/")
        assert ask(request("GET /accounts/login/", host=b"Host: parley.example.com\r\n")).status == 200
        assert ask(request("GET /-/metrics/")).error == "forbidden"
        assert parley.stored() == ["accepted"]
