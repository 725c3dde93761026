"""Where webhooks of alerts may go. A canary listens on loopback: whatever a person gives, it hears nothing."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from django.utils import timezone

from analytics.alerts import outgoing_addresses
from analytics.alerts.notify import deliver_due
from analytics.alerts.rules import evaluate
from analytics.models import AlertEvent, AlertRule
from tests.analytics.alerts.kit import RULE_FORM, chats, rule_of
from tests.analytics.dashboards.kit import RIGHTS, login
from tests.analytics.kit import BAD


class Canary:
    """Takes connections, counts them, and answers each with what it is told, byte by byte if it has to."""

    def __init__(self) -> None:
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.server.getsockname()[1]
        self.connects = 0
        self.answer: Callable[[socket.socket], None] = lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        self.thread = threading.Thread(target=self._take, daemon=True)
        self.thread.start()

    def _take(self) -> None:
        while True:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            self.connects += 1
            with connection:
                connection.recv(65_536)
                with suppress(OSError):
                    self.answer(connection)


@pytest.fixture
def canary() -> Iterator[Canary]:
    listener = Canary()
    yield listener
    listener.server.shutdown(socket.SHUT_RDWR)
    listener.server.close()
    listener.thread.join(10)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Names and their addresses, in place of the resolver's."""
    addresses: dict[str, list[str]] = {}
    real = socket.getaddrinfo

    def look_up(host: str, port: int, *rest: Any, **more: Any) -> Any:
        return [answer for address in addresses.get(host, [host]) for answer in real(address, port, *rest, **more)]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return addresses


@pytest.fixture
def reached(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every address that somebody tries to connect to."""
    tried: list[Any] = []
    real = socket.socket.connect

    def connect(self: socket.socket, where: Any) -> None:
        tried.append(where)
        real(self, where)

    monkeypatch.setattr(socket.socket, "connect", connect)
    return tried


INSIDE = [
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f.1",
    "localhost",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]",
    "[2001:0:7f00:1::]",
    "[fec0::1]",
    "[fe80::1]",
    "[fd00:ec2::254]",
    "[ff02::1]",
    "0.0.0.0",
    "10.0.0.1",
    "100.64.0.1",
    "169.254.169.254",
    "168.63.129.16",
    "192.0.0.192",
    "192.88.99.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
]


@pytest.mark.parametrize("host", INSIDE)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_nothing_goes_inside(host: str, scheme: str, canary: Canary, reached: list[Any]) -> None:
    for port in ("", f":{canary.port}"):
        with pytest.raises(outgoing_addresses.Forbidden):
            outgoing_addresses.post_json(f"{scheme}://{host}{port}/", {"a": 1})

    assert (canary.connects, reached) == (0, [])


@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["93.184.216.34", "127.0.0.1"], ["::1", "93.184.216.34"]])
def test_a_name_that_leads_inside_is_not_followed(
    addresses: list[str], names: dict[str, list[str]], reached: list[Any]
) -> None:
    names["hooks.example.com"] = addresses

    with pytest.raises(outgoing_addresses.Forbidden, match="leads inside"):
        outgoing_addresses.post_json("https://hooks.example.com/", {"a": 1})

    assert reached == []


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example.com:8443/",
        "https://name:word@hooks.example.com/",
        "http://hooks.example.com/",
        "ftp://hooks.example.com/",
        "file:///etc/passwd",
        "https://hooks.example.com\\@127.0.0.1/",
        "https://hooks.example.com:99999/",
        "https:///x",
    ],
)
def test_an_address_of_another_form_is_refused(url: str, reached: list[Any]) -> None:
    with pytest.raises((outgoing_addresses.Forbidden, OSError)):
        outgoing_addresses.post_json(url, {"a": 1})

    assert reached == []


def test_with_a_list_only_what_it_names_is_told(settings: Any, canary: Canary, reached: list[Any]) -> None:
    settings.ALERT_WEBHOOK_HOSTS = [f"127.0.0.1:{canary.port}"]

    outgoing_addresses.post_json(f"http://127.0.0.1:{canary.port}/hook", {"a": 1})
    with pytest.raises(outgoing_addresses.Forbidden, match="ALERT_WEBHOOK_HOSTS"):
        outgoing_addresses.post_json("https://93.184.216.34/", {"a": 1})

    assert reached == [("127.0.0.1", canary.port)]


def test_a_clouds_own_address_is_never_told_though_named(settings: Any, reached: list[Any]) -> None:
    settings.ALERT_WEBHOOK_HOSTS = ["169.254.169.254"]

    with pytest.raises(outgoing_addresses.Forbidden):
        outgoing_addresses.post_json("http://169.254.169.254/", {"a": 1})

    assert reached == []


@pytest.mark.parametrize("host", ["64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1", "::ffff:169.254.169.254"])
def test_nor_by_an_address_that_leads_to_it(host: str, settings: Any, reached: list[Any]) -> None:
    settings.ALERT_WEBHOOK_HOSTS = [f"[{host}]"]

    with pytest.raises(outgoing_addresses.Forbidden):
        outgoing_addresses.post_json(f"http://[{host}]/", {"a": 1})

    assert reached == []


def test_no_redirect_is_followed_and_no_proxy_used(
    settings: Any, canary: Canary, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, elsewhere = Canary(), f"HTTP/1.1 307 Temporary\r\nLocation: http://127.0.0.1:{canary.port}/x\r\n\r\n"
    settings.ALERT_WEBHOOK_HOSTS = [f"127.0.0.1:{canary.port}"]
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
    canary.answer = lambda connection: connection.sendall(elsewhere.encode())

    with pytest.raises(outgoing_addresses.NotTaken, match="307"):
        outgoing_addresses.post_json(f"http://127.0.0.1:{canary.port}/hook", {"a": 1})

    assert (canary.connects, proxy.connects) == (1, 0)
    proxy.server.shutdown(socket.SHUT_RDWR)
    proxy.server.close()


def test_an_answer_that_drips_is_cut(settings: Any, canary: Canary, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.ALERT_WEBHOOK_HOSTS = [f"127.0.0.1:{canary.port}"]
    monkeypatch.setattr(outgoing_addresses, "TOTAL", 0.4)
    over = threading.Event()

    def drip(connection: socket.socket) -> None:
        while not over.wait(0.05):
            connection.sendall(b"H")

    canary.answer = drip
    begun = time.monotonic()
    with pytest.raises((outgoing_addresses.NotTaken, OSError)):
        outgoing_addresses.post_json(f"http://127.0.0.1:{canary.port}/hook", {"a": 1})
    over.set()

    assert time.monotonic() - begun < outgoing_addresses.STEP


@pytest.mark.parametrize("number", ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946"])
def test_the_internet_is_the_internet(number: str) -> None:
    assert outgoing_addresses.is_public(ipaddress.ip_address(number))


@pytest.mark.django_db
def test_an_alert_does_not_reach_a_listener_inside(canary: Canary) -> None:
    rule = rule_of(webhook_url=f"http://127.0.0.1:{canary.port}/hook")
    chats(3, BAD)
    evaluate(rule.pk, timezone.now())

    deliver_due()

    assert canary.connects == 0
    assert "https://" in AlertEvent.objects.get().trouble


@pytest.mark.django_db
@pytest.mark.parametrize("url", ["https://127.0.0.1/", "https://[::ffff:10.0.0.1]/", "https://example.com:8443/"])
def test_the_form_refuses_what_would_not_be_told(url: str) -> None:
    answer = login(*RIGHTS).post("/dashboards/alerts/new/", {**RULE_FORM, "webhook_url": url})

    assert "ALERT_WEBHOOK_HOSTS" in answer.content.decode()
    assert not AlertRule.objects.exists()
