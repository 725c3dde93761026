"""Over HTTPS the cookies are this host's alone; the demo over plain http works with ordinary ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from django.conf import settings

TOLD = """
import json
from django.conf import settings

names = (
    "SESSION_COOKIE_NAME", "CSRF_COOKIE_NAME", "SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SESSION_COOKIE_PATH",
    "SESSION_COOKIE_DOMAIN", "CSRF_COOKIE_PATH", "CSRF_COOKIE_DOMAIN", "SECRET_KEY_FALLBACKS", "SECURE_SSL_REDIRECT",
)
print(json.dumps({name: getattr(settings, name) for name in names}))
"""


def settings_at(public: str) -> dict[str, object]:
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DATABASE_URL": "postgres://nobody@127.0.0.1:1/none",  # never asked
        "SECRET_KEY": "k" * 50,
        "SECRET_KEY_FALLBACKS": "former,older",
        "FIELD_ENCRYPTION_KEYS": "f" * 50,
        "PUBLIC_BASE_URL": public,
    }
    done = subprocess.run(
        [sys.executable, "-c", TOLD], env=environment, cwd=settings.BASE_DIR, capture_output=True, text=True, check=True
    )
    values: dict[str, object] = json.loads(done.stdout)
    return values


@pytest.mark.parametrize(
    ("public", "prefix", "secure"),
    [("https://parley.example.com", "__Host-", True), ("http://127.0.0.1:8000", "", False)],
)
def test_cookies_are_bound_to_the_host_where_there_is_tls(public: str, prefix: str, *, secure: bool) -> None:
    values = settings_at(public)

    assert (values["SESSION_COOKIE_NAME"], values["CSRF_COOKIE_NAME"]) == (f"{prefix}sessionid", f"{prefix}csrftoken")
    assert values["SESSION_COOKIE_SECURE"] is values["CSRF_COOKIE_SECURE"] is secure
    # What the prefix demands of them: https://datatracker.ietf.org/doc/html/rfc6265bis section 4.1.3.2
    assert (values["SESSION_COOKIE_PATH"], values["CSRF_COOKIE_PATH"]) == ("/", "/")
    assert values["SESSION_COOKIE_DOMAIN"] is values["CSRF_COOKIE_DOMAIN"] is None
    assert values["SECRET_KEY_FALLBACKS"] == ["former", "older"]
    assert values["SECURE_SSL_REDIRECT"] is False
