"""A proxy that tunnels, a TLS front for what is behind it, and an authority that nobody trusts by default."""

from __future__ import annotations

import asyncio
import base64
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

#: No resolver knows it: only who asks the proxy gets there.
HOST = "connect.parley.test"
VARIABLES = [
    *("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "all_proxy", "no_proxy"),
    *("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"),
]
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Proxy:
    """Tunnels every CONNECT to one port of this machine, whatever host was asked for, and counts."""

    target: int
    credentials: str = ""
    asked: list[str] = field(default_factory=list)
    refused: int = 0
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        verb, authority, _ = head.split(" ", 2)
        expected = base64.b64encode(self.credentials.encode()).decode()
        if self.credentials and f"Basic {expected}" not in head:
            self.refused += 1
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n")
        elif verb != "CONNECT":
            writer.write(b"HTTP/1.1 405 Method Not Allowed\r\n\r\n")
        else:
            self.asked.append(authority)
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await pipe(reader, writer, self.target)
        await writer.drain()


async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    there, back = await asyncio.open_connection("127.0.0.1", port)
    try:
        await asyncio.gather(_pump(reader, back), _pump(there, writer))
    finally:
        back.close()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(OSError, ssl.SSLError):
        while piece := await source.read(65536):
            sink.write(piece)
            await sink.drain()
    with suppress(OSError, ssl.SSLError):
        sink.close()


@contextmanager
def listening(serve: Serve, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Serve on a free port of this machine, in a thread; yield the port."""
    running: list[tuple[asyncio.AbstractEventLoop, asyncio.Event, int]] = []
    ready = threading.Event()

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        finally:
            writer.transport.abort()

    async def work() -> None:
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        loop.set_exception_handler(lambda _loop, _context: None)  # who is refused hangs up
        server = await asyncio.start_server(served, "127.0.0.1", 0, ssl=tls)
        running.append((loop, stop, server.sockets[0].getsockname()[1]))
        ready.set()
        await stop.wait()
        server.close()

    thread = threading.Thread(target=lambda: asyncio.run(work()), daemon=True)
    thread.start()
    assert ready.wait(20)
    loop, stop, port = running[0]
    try:
        yield port
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)


@dataclass
class Authority:
    """The file of a certificate authority, and a server's context with a certificate of it for HOST."""

    file: Path
    server: ssl.SSLContext


def authority(folder: Path) -> Authority:
    """Make an authority and a certificate of it."""
    own, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    name = _name("Parley's test authority")
    root = _signed(name, name, own, own.public_key(), x509.BasicConstraints(ca=True, path_length=0))
    alternatives = x509.SubjectAlternativeName([x509.DNSName(HOST)])
    leaf = _signed(name, _name(HOST), own, key.public_key(), alternatives)
    ca, chain = folder / "ca.pem", folder / "server.pem"
    ca.write_bytes(root.public_bytes(serialization.Encoding.PEM))
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    chain.write_bytes(secret + leaf.public_bytes(serialization.Encoding.PEM))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(chain)
    return Authority(ca, server)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _signed(
    issuer: x509.Name,
    subject: x509.Name,
    by: ec.EllipticCurvePrivateKey,
    key: ec.EllipticCurvePublicKey,
    extension: x509.ExtensionType,
) -> x509.Certificate:
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .issuer_name(issuer)
        .subject_name(subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key()), critical=False)
    )
    return made.sign(by, hashes.SHA256())
