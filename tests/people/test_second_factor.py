"""Codes work once; a session goes on only as far as its factors let it."""

from __future__ import annotations

import time
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.signals import authenticator_added
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, hotp_value
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client, RequestFactory
from pytest_django.fixtures import Settings

from tests.people.sign_in_kit import (
    SECRET,
    ana,
    code_of,
    events,
    sign_in,
    sign_in_settings,
)

__all__ = ["ana", "sign_in_settings"]
pytestmark = pytest.mark.django_db


def test_a_code_that_was_used_is_not_taken_again(ana: User, monkeypatch: pytest.MonkeyPatch) -> None:
    factor = TOTP.activate(ana, SECRET).instance
    now = 1_790_000_010.0
    monkeypatch.setattr(time, "time", lambda: now)
    step = int(now) // 30
    codes = {at: format_hotp_value(hotp_value(SECRET, step + at)) for at in (-1, 0, 1)}
    first = factor.wrap().validate_code(codes[0])
    cache.clear()

    assert first
    assert not factor.wrap().validate_code(codes[0])
    assert not factor.wrap().validate_code(codes[-1])
    assert factor.wrap().validate_code(codes[1])
    monkeypatch.setattr(time, "time", lambda: now + 31)
    assert not factor.wrap().validate_code(codes[1])


def test_the_code_that_set_an_app_up_lets_nobody_in(ana: User, django_capture_on_commit_callbacks: Any) -> None:
    client = Client()
    sign_in(client)
    client.get("/accounts/2fa/totp/activate/")
    secret = client.session["mfa.totp.secret"]
    code = code_of(secret)
    with django_capture_on_commit_callbacks(execute=True):
        client.post("/accounts/2fa/totp/activate/", {"code": code})
    other = Client()
    sign_in(other)

    other.post("/accounts/2fa/authenticate/", {"code": code})

    assert Authenticator.objects.filter(user=ana, type="totp").exists()
    assert "_auth_user_id" not in other.session


@pytest.mark.parametrize("required", [True, False])
def test_who_came_by_a_password_alone_is_not_let_on_by_a_factor_of_the_owner(
    ana: User, settings: Settings, django_capture_on_commit_callbacks: Any, *, required: bool
) -> None:
    settings.REQUIRE_MFA = required
    thief, owner = Client(), Client()
    for client in (thief, owner):
        sign_in(client)
    owner.get("/accounts/2fa/totp/activate/")
    code = code_of(owner.session["mfa.totp.secret"])

    with django_capture_on_commit_callbacks(execute=True):
        owner.post("/accounts/2fa/totp/activate/", {"code": code})

    assert owner.get("/admin/").status_code == 200
    assert "/accounts/login/" in thief.get("/admin/", follow=True).redirect_chain[-1][0]
    assert [event.about for event in events("session_ended")] == ["ana"]


def test_where_a_factor_is_required_a_session_goes_no_further_once_it_is_taken_away(
    ana: User, settings: Settings, django_capture_on_commit_callbacks: Any
) -> None:
    settings.REQUIRE_MFA = True
    client = Client()
    sign_in(client)
    TOTP.activate(ana, SECRET)
    before = client.get("/admin/").status_code

    with django_capture_on_commit_callbacks(execute=True):
        client.post("/accounts/2fa/totp/deactivate/")

    assert not Authenticator.objects.filter(user=ana, type="totp").exists()
    assert (before, client.get("/admin/").headers.get("Location")) == (200, "/accounts/2fa/totp/activate/")


def test_a_further_factor_ends_no_session(ana: User, rf: RequestFactory) -> None:
    here, there = Client(), Client()
    for client in (here, there):
        sign_in(client)
    TOTP.activate(ana, SECRET)
    request = rf.get("/")
    request.session, request.user = here.session, ana
    for kind in ("webauthn", "recovery_codes"):
        added = Authenticator.objects.create(user=ana, type=kind, data={})
        authenticator_added.send(sender=Authenticator, request=request, user=ana, authenticator=added)

    assert there.get("/admin/").status_code == 200
