"""Somebody who signs in by password, a company's directory that vouches for somebody else, and what was recorded."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from cryptography.hazmat.primitives.asymmetric import rsa
from django.contrib.auth.models import Group, User
from django.core.cache import cache
from django.test import Client
from pytest_django.fixtures import Settings

from config.env import Env
from config.sso import providers
from people.models import SecurityEvent

PASSWORD = "a long enough password"
LOGIN = "/accounts/login/"
SECRET = "JBSWY3DPEHPK3PXP"


@pytest.fixture
def ana() -> User:
    user = User.objects.create_user("ana", "ana@example.org", PASSWORD)
    user.groups.add(Group.objects.get(name="Supervisor"))
    return user


def sign_in(client: Client, name: str = "ana", password: str = PASSWORD) -> Any:
    return client.post(LOGIN, {"login": name, "password": password})


def code_of(secret: str) -> str:
    return format_hotp_value(hotp_value(secret, int(time.time()) // 30))


class Directory(ThreadingHTTPServer):
    """An OpenID Connect provider: it vouches for whoever comes, with the groups that the test says."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Desk)
        self.groups: list[str] = []
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.base = f"http://127.0.0.1:{self.server_port}"

    def answer(self, path: str) -> dict[str, Any]:
        about = {"sub": "u-1", "preferred_username": "ben", "email": "ben@example.org", "groups": self.groups}
        names = {"authorization": "authorize", "token": "token", "userinfo": "userinfo"}
        ends = {f"{name}_endpoint": f"{self.base}/{end}" for name, end in names.items()}
        return {
            "/.well-known/openid-configuration": lambda: {
                "issuer": self.base,
                "jwks_uri": f"{self.base}/jwks",
                **ends,
            },
            "/token": lambda: {"access_token": "t", "token_type": "Bearer", "id_token": self._vouched(about)},
            "/userinfo": lambda: about,
            "/jwks": lambda: {"keys": [self._public()]},
        }[path]()

    def _vouched(self, about: dict[str, Any]) -> str:
        now = int(time.time())
        claims = {"iss": self.base, "aud": "parley", "iat": now, "exp": now + 300, **about}
        return jwt.encode(claims, self.key, "RS256", headers={"kid": "k1"})

    def _public(self) -> dict[str, Any]:
        key = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))
        return {**key, "kid": "k1", "use": "sig", "alg": "RS256"}


class Desk(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = json.dumps(self.server.answer(urlsplit(self.path).path)).encode()  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - the library's name

    def log_message(self, *_arguments: Any) -> None:
        """Say nothing."""


@pytest.fixture
def directory(settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Directory]:
    server = Directory()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    for name, value in {
        "OIDC_SERVER_URL": server.base,
        "OIDC_CLIENT_ID": "parley",
        "OIDC_CLIENT_SECRET": "s",
        "OIDC_NAME": "Acme ID",
    }.items():
        monkeypatch.setenv(name, value)
    settings.SOCIALACCOUNT_PROVIDERS = providers(Env())
    settings.SSO_GROUPS = {"leads": "Supervisor", "reports": "Manager"}
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def through(client: Client) -> Any:
    """Go through the directory's sign-in, as a browser does."""
    away = client.post("/accounts/oidc/company/login/")
    asked = parse_qs(urlsplit(away.headers["Location"]).query)
    return client.get("/accounts/oidc/company/login/callback/", {"code": "c", "state": asked["state"][0]})


@pytest.fixture(autouse=True)
def sign_in_settings(settings: Settings) -> None:
    """Count in the cache of an installation without Redis; passwords need not cost time here."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.CACHES = {
        "default": {
            "BACKEND": "config.cache.SteadyCache",
            "LOCATION": "django_cache",
            "OPTIONS": {"MAX_ENTRIES": 30},
        }
    }
    cache.clear()


@pytest.fixture
def ben(directory: Directory) -> User:
    """Somebody whom the directory vouches for, and who has a password here all the same."""
    directory.groups = ["leads"]
    through(Client())
    user = User.objects.get(username="ben")
    user.set_password(PASSWORD)
    user.save()
    return user


def events(name: str) -> list[SecurityEvent]:
    return list(SecurityEvent.objects.filter(event=name).order_by("at"))
