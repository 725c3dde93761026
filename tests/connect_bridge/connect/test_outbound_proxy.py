"""All three clients of Amazon Connect go out by the same road: proxy, exceptions, certificates."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from connect_bridge.connect.control_plane import BotoConnect
from connect_bridge.connect.gateway import ChatRequest, GatewayError, NoWay, SetUp
from connect_bridge.connect.participant_api import AwsParticipants
from connect_bridge.connect.websocket import ChatSocket
from sandbox.world.settings import Settings
from tests.outbound_proxy_kit import HOST, VARIABLES, Authority, Proxy, authority, listening, pipe
from tests.sandbox.kit import running

REQUEST = ChatRequest(
    instance_id="instance",
    flow_id="flow",
    display_name="Ana",
    attributes={},
    initial_message="Hello",
    client_token="one",
)
URL = f"https://{HOST}"


@pytest.fixture
def ca(tmp_path: Path) -> Authority:
    return authority(tmp_path)


@pytest.fixture
def proxy(ca: Authority, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """Run the simulated Connect behind TLS, where only a proxy finds it."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name in ("CONNECT", "CONNECTPARTICIPANT"):
        monkeypatch.setenv(f"AWS_ENDPOINT_URL_{name}", URL)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with running(Settings(quotas=False)) as world:
        port = int(world.url.rpartition(":")[2])
        world.world.base_url = URL
        with listening(lambda reader, writer: pipe(reader, writer, port), ca.server) as front:
            made = Proxy(front)
            with listening(made.serve) as made.port:
                yield made


async def whole_chat() -> None:
    """Start a chat, connect to it, hear over its websocket what is said."""
    control, participants = BotoConnect(), AwsParticipants(URL)
    received: asyncio.Queue[str] = asyncio.Queue()
    try:
        started = await control.start_chat(REQUEST)
        connection = await participants.connect(started.participant_token)
        socket = await ChatSocket.open(connection.socket_url, lambda item: received.put_nowait(item.content), print)
        await participants.send_message(connection.token, "through the proxy", "two")
        while await asyncio.wait_for(received.get(), 20) != "through the proxy":
            pass
        socket.close()
    finally:
        await participants.close()
        control.close()


async def failures() -> list[GatewayError]:
    """Return what each of the three says when there is no way."""
    control, participants = BotoConnect(), AwsParticipants(URL)
    result = []
    try:
        for call in (
            control.start_chat(REQUEST),
            participants.connect("token"),
            ChatSocket.open(f"wss://{HOST}/ws/x", print, print),
        ):
            with pytest.raises(GatewayError) as caught:
                await call
            result.append(caught.value)
    finally:
        await participants.close()
        control.close()
    return result


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize("bundle", ["AWS_CA_BUNDLE", "SSL_CERT_FILE"])
async def test_calls_messages_and_the_websocket_go_through_the_proxy(proxy, ca, monkeypatch, name, bundle):
    monkeypatch.setenv(name, proxy.url)
    monkeypatch.setenv(bundle, str(ca.file))
    await whole_chat()
    assert set(proxy.asked) == {f"{HOST}:443"}
    assert len(proxy.asked) >= 3


async def test_a_folder_of_certificates_counts_for_all(proxy, ca, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    monkeypatch.setenv("SSL_CERT_DIR", str(ca.file.parent))
    await whole_chat()


async def test_name_and_password_are_given_to_the_proxy(proxy, ca, monkeypatch):
    proxy.credentials = "me:p@ss"
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:p%40ss@127.0.0.1:{proxy.port}")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(ca.file))
    await whole_chat()
    assert proxy.refused == 0


async def test_a_proxy_that_wants_a_password_is_named_as_the_cause_and_its_own_is_not_shown(proxy, ca, monkeypatch):
    proxy.credentials = "me:secret"
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:hunter2@127.0.0.1:{proxy.port}")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(ca.file))
    for failure in await failures():
        assert isinstance(failure, NoWay)
        assert "the proxy wants a user name and password" in str(failure)
        assert "hunter2" not in str(failure)


async def test_an_authority_that_nobody_named_is_not_trusted(proxy, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    for failure in await failures():
        assert isinstance(failure, NoWay)
        assert "certificate is not trusted" in str(failure)


async def test_what_no_proxy_names_goes_direct(proxy, ca, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    monkeypatch.setenv("NO_PROXY", "example.com,.parley.test")
    result = await failures()
    assert proxy.asked == []
    assert all("its name is not known" in str(failure) or "cannot be reached" in str(failure) for failure in result)


async def test_a_proxy_or_a_bundle_that_cannot_be_used_is_for_a_person_to_mend(proxy, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "socks5://127.0.0.1:1080")
    assert {(type(one), "socks5" in str(one)) for one in await failures()} == {(SetUp, True)}
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    monkeypatch.setenv("AWS_CA_BUNDLE", "/nowhere/ca.pem")
    assert {(type(one), "/nowhere/ca.pem" in str(one)) for one in await failures()} == {(SetUp, True)}
