"""Which proxy, and whose certificates: what the environment means."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import requests

from channels_app.errors import Unavailable
from channels_app.toolkit import certificates
from channels_app.toolkit.certificates import UnusableBundle, ca_bundle
from channels_app.toolkit.http import Http
from channels_app.toolkit.outbound_proxy import UnusableProxy, proxy_for, shown
from sandbox import demo
from tests.outbound_proxy_kit import HOST, VARIABLES, Proxy, authority, listening

AMAZON = "https://connect.eu-west-1.amazonaws.com/contact/chat"


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def with_proxy(monkeypatch: pytest.MonkeyPatch, **more: str) -> None:
    for name, value in {"HTTPS_PROXY": "http://proxy.corp:3128", **more}.items():
        monkeypatch.setenv(name, value)


def test_without_a_word_everything_goes_direct() -> None:
    assert proxy_for(AMAZON) is None


@pytest.mark.parametrize(
    ("variables", "url", "proxy"),
    [
        ({"HTTPS_PROXY": "http://a:1"}, AMAZON, "http://a:1"),
        ({"HTTPS_PROXY": "http://a:1"}, "http://other.example/", None),
        ({"HTTP_PROXY": "http://a:1"}, "http://other.example/", "http://a:1"),
        ({"HTTP_PROXY": "http://a:1", "REQUEST_METHOD": "GET"}, "http://other.example/", None),
        ({"HTTPS_PROXY": "http://a:1"}, "wss://ws.amazonaws.com/x", "http://a:1"),
        ({"HTTP_PROXY": "http://a:1"}, "ws://ws.amazonaws.com/x", "http://a:1"),
        ({"ALL_PROXY": "http://a:1"}, AMAZON, "http://a:1"),
        ({"ALL_PROXY": "http://a:1", "HTTPS_PROXY": "http://b:2"}, AMAZON, "http://b:2"),
        ({"https_proxy": "http://small:1", "HTTPS_PROXY": "http://big:2"}, AMAZON, "http://small:1"),
        ({"HTTPS_PROXY": "proxy.corp:3128"}, AMAZON, "http://proxy.corp:3128"),
        ({"HTTPS_PROXY": "http://proxy.corp"}, AMAZON, "http://proxy.corp:80"),
        ({"HTTPS_PROXY": "https://me:pw@proxy.corp"}, AMAZON, "https://me:pw@proxy.corp:443"),
    ],
)
def test_the_variable_of_the_scheme_counts(monkeypatch, variables, url, proxy) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert proxy_for(url) == proxy


@pytest.mark.parametrize(
    ("listed", "url", "direct"),
    [
        ("*", AMAZON, True),
        ("amazonaws.com", AMAZON, True),
        (".amazonaws.com", AMAZON, True),
        ("*.amazonaws.com", AMAZON, True),
        ("AMAZONAWS.COM", AMAZON, True),
        ("amazonaws.com:443", AMAZON, True),
        ("amazonaws.com:8443", AMAZON, False),
        ("naws.com", AMAZON, False),
        ("example.com, amazonaws.com", AMAZON, True),
        ("example.com amazonaws.com", AMAZON, True),
        ("", AMAZON, False),
        ("10.0.0.0/8", "https://10.1.2.3/", True),
        ("10.0.0.0/8", "https://11.1.2.3/", False),
        ("10.0.0.0/8", "https://10.example/", False),
        ("10.1.2.3", "https://10.1.2.3:8443/", True),
        ("10.1.2.3:8443", "https://10.1.2.3/", False),
        ("fd00::/8", "https://[fd00::1]/", True),
        ("[fd00::1]:443", "https://[fd00::1]/", True),
        ("fd00::1", "https://[fd00::2]/", False),
        ("nonsense/xx", AMAZON, False),
    ],
)
@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
def test_no_proxy_names_hosts_domains_addresses_networks_and_ports(monkeypatch, name, listed, url, direct) -> None:
    with_proxy(monkeypatch, **{name: listed})
    assert (proxy_for(url) is None) == direct


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "127.9.9.9", "localhost:1", "[::1]:1", "[::ffff:127.0.0.1]"])
def test_this_machine_goes_direct_where_no_proxy_names_it(monkeypatch, host) -> None:
    with_proxy(monkeypatch, HTTP_PROXY="http://proxy.corp:3128")
    assert proxy_for(f"http://{host}/") == "http://proxy.corp:3128"
    monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.0/8,::1")
    assert proxy_for(f"http://{host}/") is None


def test_the_sandbox_goes_direct_to_its_world_and_keeps_what_else_does(monkeypatch) -> None:
    with_proxy(monkeypatch, HTTP_PROXY="http://proxy.corp:3128", NO_PROXY="intranet.corp")
    monkeypatch.setattr(os, "environ", dict(os.environ))
    demo.move_in("http://127.0.0.1:9", 8000, "postgres://x/y")
    assert proxy_for("http://127.0.0.1:9/") is None
    assert proxy_for("http://intranet.corp/") is None
    assert proxy_for("http://other.example/") == "http://proxy.corp:3128"


def test_the_sandbox_leaves_a_real_parleys_services_behind(monkeypatch) -> None:
    names = [f"{name}{end}" for name in (*demo.LEFT_BEHIND, "DATABASE_URL", "PORT") for end in ("", "_FILE")]
    monkeypatch.setattr(os, "environ", dict(os.environ) | dict.fromkeys(names, "/run/secrets/real"))
    demo.move_in("http://127.0.0.1:9", 8000, "postgres://x/y")
    assert "/run/secrets/real" not in os.environ.values()


@pytest.mark.parametrize("value", ["socks5://a:1", "http://", "http://a:port", "ftp://a"])
def test_what_is_no_proxy_is_said_without_its_password(monkeypatch, value) -> None:
    with_proxy(monkeypatch, HTTPS_PROXY=value.replace("//a", "//me:hunter2@a"))
    with pytest.raises(UnusableProxy, match="HTTPS_PROXY") as caught:
        proxy_for(AMAZON)
    assert "hunter2" not in str(caught.value)


def test_a_proxy_is_shown_without_its_password() -> None:
    assert shown("http://me:hunter2@proxy.corp:3128") == "http://proxy.corp:3128"


def test_the_first_of_the_variables_names_the_bundle(monkeypatch, tmp_path: Path) -> None:
    one, two = tmp_path / "one.pem", tmp_path / "two.pem"
    one.touch(), two.touch()
    monkeypatch.setenv("SSL_CERT_FILE", str(one))
    assert ca_bundle() == str(one)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(two))
    assert ca_bundle() == str(two)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "gone.pem"))
    with pytest.raises(UnusableBundle, match="gone"):
        ca_bundle()


def test_a_bundle_without_a_certificate_is_said(monkeypatch, tmp_path: Path) -> None:
    (tmp_path / "empty.pem").touch()
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "empty.pem"))
    with pytest.raises(UnusableBundle, match="empty"):
        certificates.tls_context()
    monkeypatch.delenv("SSL_CERT_FILE")
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    with pytest.raises(UnusableBundle, match="SSL_CERT_DIR"):
        ca_bundle()


def test_messengers_are_reached_through_the_proxy_too(monkeypatch, tmp_path: Path) -> None:
    ca = authority(tmp_path)

    async def answer(reader, writer) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    with listening(answer, ca.server) as target:
        proxy = Proxy(target, credentials="me:pw")
        with listening(proxy.serve) as proxy.port:
            monkeypatch.setenv("HTTPS_PROXY", f"http://me:pw@127.0.0.1:{proxy.port}")
            with pytest.raises(Unavailable, match="certificate is not trusted"):
                Http().request("GET", f"https://{HOST}/x")
            monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(ca.file))
            assert Http().request("GET", f"https://{HOST}/x").status_code == requests.codes.no_content
            assert proxy.asked == [f"{HOST}:443"] * 2
            monkeypatch.setenv("HTTPS_PROXY", proxy.url)
            with pytest.raises(Unavailable, match="wants a user name and password"):
                Http().request("GET", f"https://{HOST}/x")
            monkeypatch.setenv("HTTPS_PROXY", "socks5://127.0.0.1:1")
            with pytest.raises(Unavailable, match="socks5"):
                Http().request("GET", f"https://{HOST}/x")
