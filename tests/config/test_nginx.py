"""The proxy configuration that ships, in a real nginx before a real web process. Numbers are rows of the catalogue."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from channels_app.registry import channels
from tests.config.nginx_kit import CHUNKED, MEBI, TO_TWITTER, Nginx, nginx, ports
from tests.config.web_kit import HANDSHAKE, Said, drip, product, request, talk, web, whatsapp

pytestmark = pytest.mark.nginx


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
