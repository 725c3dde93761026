"""A real nginx with our configuration, in front of whatever a test starts."""

from __future__ import annotations

import datetime as dt
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.conf import settings

from tests.config.web_kit import Said, Web, request, talk, until_it_listens
from tests.markers import tool

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
