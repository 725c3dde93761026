"""Whose certificates are trusted, by the environment that every tool reads.

AWS_CA_BUNDLE, REQUESTS_CA_BUNDLE, SSL_CERT_FILE or SSL_CERT_DIR, the first of them that is set, replaces the
certificate authorities that are trusted. All clients ask here, so that they agree.
"""

from __future__ import annotations

import os
import ssl
import tempfile
from functools import lru_cache
from pathlib import Path

_CA_FILES = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
_CA_FOLDER = "SSL_CERT_DIR"


class UnusableBundle(ValueError):
    """The environment names certificates that cannot be read. `str()` says which variable and why."""


def ca_bundle() -> str | None:
    """Return the file of the certificate authorities that the environment names; None: the library's own.

    Raises UnusableBundle.
    """
    for name in _CA_FILES:
        if path := os.environ.get(name, ""):
            if Path(path).is_dir():
                return _joined(name, path)
            if not Path(path).is_file():
                raise UnusableBundle(f"{name} names {path}, which is not there: correct it, or leave it out")
            return path
    folder = os.environ.get(_CA_FOLDER, "")
    return _joined(_CA_FOLDER, folder) if folder else None


def tls_context() -> ssl.SSLContext:
    """Return the context for TLS with the certificate authorities in force. Raises UnusableBundle."""
    return _context(ca_bundle())


@lru_cache(maxsize=4)
def _context(bundle: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=bundle)
    except (OSError, ssl.SSLError) as failure:
        raise UnusableBundle(f"{bundle} holds no certificates that can be read: {type(failure).__name__}") from None


@lru_cache(maxsize=4)
def _joined(name: str, folders: str) -> str:
    """Return one file with the certificates of folders: most libraries read none, and OpenSSL only hashed names."""
    files = [file for folder in folders.split(os.pathsep) if folder for file in sorted(Path(folder).glob("*"))]
    texts = [text for file in files if file.is_file() and "BEGIN CERTIFICATE" in (text := _text(file))]
    if not texts:
        raise UnusableBundle(f"{name} names {folders}, where no certificate is: correct it, or leave it out")
    with tempfile.NamedTemporaryFile("w", prefix="parley-ca-", suffix=".pem", delete=False) as file:
        file.write("\n".join(texts))
    return file.name


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
