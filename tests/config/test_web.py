"""What the web process turns away before the application sees it. Numbers are rows of the catalogue of bad inputs."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, cycle, repeat
from pathlib import Path
from typing import Any

import psutil
import pytest
from django.conf import settings

from channels_app.registry import channels
from config.http_limits import BODY_SECONDS, HEAD_SECONDS, TimeLimits, cap_of
from config.processes import product
from tests.config.web_kit import HANDSHAKE, Said, Web, drip, request, talk, web

TO_TWITTER = "POST /webhooks/twitter/1/"
MEBI = 1024 * 1024


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with web(tmp_path_factory.mktemp("web")) as running:
        yield running


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """Give a web process with little time_limits, for those who are to lose it."""
    with web(tmp_path_factory.mktemp("web"), "--head-seconds", "1", "--body-seconds", "3") as running:
        yield running


def refused(server: Web, parts: Any) -> Said:
    """Send, and make sure that the application heard nothing of it."""
    before = server.get("/calls")["calls"]
    said = talk(server.port, parts)
    assert server.get("/calls")["calls"] == before
    assert said.headers["connection"] == "close"
    return said


CHUNKED = request(TO_TWITTER, "Transfer-Encoding: chunked")
ROWS = [
    ("3 declared too large, before a byte of it came", 413, "too_large", request(TO_TWITTER, "Content-Length: 262145")),
    ("3 a number that is no size", 413, "too_large", request(TO_TWITTER, f"Content-Length: {'9' * 400}")),
    ("3 in other letters", 413, "too_large", request("POST /%77ebhooks/twitter/1/", "Content-Length: 262145")),
    ("3 for Meta", 413, "too_large", request("POST /webhooks/messenger/1/", f"Content-Length: {3 * MEBI + 1}")),
    ("3 for a page", 413, "too_large", request("POST /admin/login/", f"Content-Length: {3 * MEBI + 1}")),
    ("3 asked before sent", 413, "too_large", request(TO_TWITTER, "Content-Length: 262145", "Expect: 100-continue")),
    ("4 one chunk too large", 413, "too_large", [CHUNKED, b"40001\r\n" + b"x" * 262_145 + b"\r\n0\r\n\r\n"]),
    ("7 two lengths", 400, "bad_request", request(TO_TWITTER, "Content-Length: 3", "Transfer-Encoding: chunked")),
    (
        "7 in the other order",
        400,
        "bad_request",
        request(TO_TWITTER, "Transfer-Encoding: chunked", "Content-Length: 3"),
    ),
    ("7 identity", 400, "bad_request", request(TO_TWITTER, "Transfer-Encoding: identity", "Content-Length: 0")),
    ("7 Content-Length twice", 400, "bad_request", request(TO_TWITTER, "Content-Length: 3", "Content-Length: 4")),
    ("7 hidden by a blank", 400, "bad_request", request(TO_TWITTER, "Transfer-Encoding : chunked")),
    ("7 encoding nobody knows", 400, "bad_request", request(TO_TWITTER, "Transfer-Encoding: xchunked")),
    ("7 length with a sign", 400, "bad_request", request(TO_TWITTER, "Content-Length: +3")),
    ("7 chunk that is none", 400, "bad_request", CHUNKED + b"three\r\n"),
    ("8 header of 64 KB", 431, "headers_too_large", request(TO_TWITTER, "X-Long: " + "x" * 65_536)),
    ("8 64 KB without an end", 431, "headers_too_large", request(TO_TWITTER)[:-2] + b"x" * 65_536),
    ("8 many middling headers", 431, "headers_too_large", request(TO_TWITTER, *["X-Long: " + "x" * 4_096] * 16)),
    ("8 thousands of small headers", 431, "headers_too_large", request(TO_TWITTER, *["X: y"] * 2_000)),
    ("9 address of 16 KB", 414, "address_too_long", request("GET /webhooks/twitter/1/?" + "x" * 16_384)),
    ("9 address without an end", 414, "address_too_long", b"GET /" + b"x" * 65_536),
    ("TLS to a port without", 400, "bad_request", b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n"),
    ("header name with a blank", 400, "bad_request", request(TO_TWITTER, "X Y: z")),
]


@pytest.mark.parametrize(("status", "word", "parts"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_it_is_refused_in_json_the_connection_closed_and_the_application_not_called(
    server: Web, status: int, word: str, parts: Any
) -> None:
    said = refused(server, parts)
    assert (said.status, said.error) == (status, word)
    assert said.raw.count(b"HTTP/1.1 ") == 1


def test_3_what_is_as_large_as_the_cap_passes(server: Web) -> None:
    for kind, channel in channels().items():
        body = b"x" * channel.max_body
        parts = request(f"POST /webhooks/{kind}/1/", f"Content-Length: {len(body)}", "Connection: close", body=body)
        assert b'"size": %d,' % len(body) in talk(server.port, parts).body


def test_3_a_client_that_sends_on_regardless_gets_to_read_its_answer(server: Web) -> None:
    said = refused(server, [request(TO_TWITTER, "Content-Length: 99999999"), *repeat(b"x" * 65_536, 64)])
    assert (said.status, said.error, said.sent > 4 * MEBI) == (413, "too_large", True)


def test_17_a_form_of_a_million_fields_costs_no_more_than_its_bytes(server: Web) -> None:
    body = b"&a=b" * (3 * MEBI // 4)
    form = "Content-Type: application/x-www-form-urlencoded"
    parts = request("POST /admin/login/", form, f"Content-Length: {len(body)}", "Connection: close", body=body)
    before = sum(psutil.Process(server.process.pid).cpu_times()[:2])
    assert talk(server.port, parts).status == 200
    assert sum(psutil.Process(server.process.pid).cpu_times()[:2]) - before < 0.5


def test_4_an_endless_body_is_cut_off_at_the_cap(server: Web) -> None:
    before = server.get("/calls")["calls"]
    said = talk(server.port, drip(CHUNKED, then=b"8000\r\n" + b"x" * 32_768 + b"\r\n"), pause=0.05)
    assert (said.status, said.error) == (413, "too_large")
    assert 256 * 1024 < said.sent < MEBI
    assert server.get("/calls")["calls"] == before


SLOW = {
    "5 headers": (1, drip(b"POST / HTTP/1.1\r\nX-Slow: ")),
    "5 request line": (1, drip(b"POST /")),
    "5 a header after the other": (1, chain([b"POST / HTTP/1.1\r\n"], cycle([b"X", b":", b" ", b"y", b"\r", b"\n"]))),
    "5 nothing more": (1, [b"POST / HTTP/1.1\r\n", b""]),
    "5 second request": (1, [request("GET /") + b"GET"]),
    "6 body": (3, drip(request(TO_TWITTER, "Content-Length: 100000"))),
    "6 large body": (3, drip(request("POST /webhooks/messenger/1/", "Content-Length: 3000000"))),
    "6 chunks": (3, drip(CHUNKED, then=b"1\r\nx\r\n")),
    "6 no end of the chunks": (3, [CHUNKED, b"1\r\nx\r\n0\r\n"]),
    "6 no body at all": (3, [request(TO_TWITTER, "Content-Length: 1"), b""]),
}


def test_5_6_whoever_is_slower_than_the_limit_in_all_is_answered_408(hasty: Web) -> None:
    before = hasty.get("/calls")["calls"]
    with ThreadPoolExecutor(len(SLOW)) as pool:
        answers = dict(
            zip(SLOW, pool.map(lambda row: talk(hasty.port, row[1], pause=0.02), SLOW.values()), strict=True)
        )
    second = answers.pop("5 second request")
    assert second.raw.startswith(b"HTTP/1.1 200 ")
    assert second.raw.count(b"HTTP/1.1 408 ") == 1
    for name, said in answers.items():
        assert (said.status, said.error) == (408, "too_slow"), name
        assert said.first_at >= SLOW[name][0], name
    assert hasty.get("/calls")["calls"] == before + 1  # the first half of the second request's connection


def test_5_6_the_limits_that_count_when_nobody_says_otherwise() -> None:
    assert (HEAD_SECONDS, BODY_SECONDS) == (10, 15)
    assert TimeLimits() == TimeLimits(10, 15)
    command = product(8000)[-1][0].command
    assert "config.web" in command
    assert not [word for word in command if "seconds" in word]


def test_a_connection_that_waits_between_two_requests_is_left_alone(hasty: Web) -> None:
    with socket.create_connection(("127.0.0.1", hasty.port), timeout=30) as link:
        for wait in (1.5, 3.5):
            link.settimeout(wait)
            with pytest.raises(TimeoutError):
                link.recv(1)
            link.settimeout(30)
            link.sendall(request("POST /", "Content-Length: 1"))
            time.sleep(0.1)  # so that it comes in two pieces, and the clock starts
            link.sendall(b"x")
            assert link.recv(65_536).startswith(b"HTTP/1.1 200 ")


def test_a_websocket_outlives_every_limit(hasty: Web) -> None:
    with socket.create_connection(("127.0.0.1", hasty.port), timeout=30) as link:
        link.sendall(HANDSHAKE)
        assert link.recv(65_536).startswith(b"HTTP/1.1 101 ")
        link.settimeout(3.5)
        with pytest.raises(TimeoutError):
            link.recv(1)
        link.settimeout(30)
        link.sendall(b"\x81\x82\x00\x00\x00\x00hi")
        assert link.recv(65_536) == b"\x81\x02hi"


def test_requests_that_come_together_are_answered_in_turn_up_to_the_bad_one(server: Web) -> None:
    together = request("GET /a") + request("POST /b", "Content-Length: 1", body=b"x") + request("GET /" + "c" * 9_000)
    said = talk(server.port, together)
    assert [said.raw.count(f"HTTP/1.1 {status} ".encode()) for status in (200, 414)] == [2, 1]


def test_the_proxys_request_id_comes_back(server: Web) -> None:
    said = talk(server.port, request(TO_TWITTER, "X-Request-ID: from-the-proxy", "Content-Length: 262145"))
    assert said.headers["x-request-id"] == "from-the-proxy"


def test_a_client_cannot_say_where_the_site_begins(server: Web) -> None:
    said = talk(server.port, request("GET /x/-/health/", "Daphne-Root-Path: /x", "Connection: close"))
    assert b'"root": ""' in said.body


def test_caps_go_by_channel_and_by_what_django_takes_elsewhere() -> None:
    assert cap_of(b"/webhooks/messenger/1/") == channels()["messenger"].max_body
    assert cap_of(b"/webhooks/twitter/1/?x=/webhooks/messenger/") == channels()["twitter"].max_body
    assert cap_of(b"/webhooks/unknown/1/") == max(channel.max_body for channel in channels().values())
    assert cap_of(b"/admin/") == settings.DATA_UPLOAD_MAX_MEMORY_SIZE


def test_plain_daphne_runs_the_product_too(tmp_path: Path) -> None:
    with web(tmp_path, application="config.asgi:application", server="daphne") as running:
        assert talk(running.port, request("GET /-/alive/", "Connection: close")).status == 200
