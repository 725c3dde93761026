"""Whom the company's directory vouches for has no other way in, and loses everything here with their place there."""

from __future__ import annotations

import re
import time

import pytest
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core import mail
from django.test import Client
from pytest_django.fixtures import Settings

from tests.people.sign_in_kit import (
    PASSWORD,
    Directory,
    ana,
    ben,
    directory,
    events,
    sign_in,
    sign_in_settings,
    through,
)

__all__ = ["ana", "ben", "directory", "sign_in_settings"]
pytestmark = pytest.mark.django_db


def test_a_password_here_does_not_let_in_whom_the_directory_vouches_for(ben: User) -> None:
    client = Client()

    answer = sign_in(client, "ben")

    assert answer.status_code == 403
    assert "_auth_user_id" not in client.session
    assert [event.about for event in events("local_means_refused")] == ["ben"]


def test_nobody_from_the_directory_sets_a_password_or_a_passkey(directory: Directory) -> None:
    directory.groups = ["leads"]
    client = Client()
    through(client)

    for path in ("password/set/", "password/change/", "password/reset/", "2fa/webauthn/add/"):
        params = {"password1": PASSWORD + "!", "password2": PASSWORD + "!", "oldpassword": PASSWORD}
        assert client.post(f"/accounts/{path}", params).status_code == 403, path

    assert not User.objects.get(username="ben").has_usable_password()


def test_a_reset_by_mail_gives_nothing_to_whoever_comes_from_the_directory(ben: User, ana: User) -> None:
    for address in ("ben@example.org", "nobody@example.org"):
        Client().post("/accounts/password/reset/", {"email": address})
    nothing = list(mail.outbox)
    Client().post("/accounts/password/reset/", {"email": "ana@example.org"})

    assert nothing == []
    assert [letter.to for letter in mail.outbox] == [["ana@example.org"]]


def test_a_link_that_was_sent_before_sets_no_password_either(ana: User) -> None:
    Client().post("/accounts/password/reset/", {"email": "ana@example.org"})
    [link] = re.findall(r"http\S+(/accounts/password/reset/key/\S+)", str(mail.outbox[0].body))
    SocialAccount.objects.create(user=ana, provider="company", uid="u-9")
    client = Client()
    form = client.get(link).headers["Location"]

    answer = client.post(form, {"password1": PASSWORD + "!", "password2": PASSWORD + "!"})

    assert answer.status_code == 403
    ana.refresh_from_db()
    assert not ana.check_password(PASSWORD + "!")


def test_nobody_cuts_their_tie_to_the_directory(ben: User) -> None:
    client = Client()
    through(client)

    client.post("/accounts/3rdparty/", {"account": SocialAccount.objects.get(user=ben).pk})

    assert SocialAccount.objects.filter(user=ben).exists()


def test_whoever_the_directory_gives_no_group_loses_what_they_have_here(ben: User, directory: Directory) -> None:
    inside = Client()
    through(inside)
    entered = inside.get("/admin/").status_code
    directory.groups = ["everybody"]

    through(Client())

    ben.refresh_from_db()
    assert entered == 200
    assert inside.get("/admin/").status_code == 302
    assert not ben.groups.exists()
    assert not ben.has_usable_password()


def test_a_session_from_the_directory_ends_however_busy_it_is(directory: Directory, settings: Settings) -> None:
    directory.groups = ["leads"]
    client = Client()
    through(client)
    session = client.session
    ways = session["account_authentication_methods"]
    session["account_authentication_methods"] = [{**one, "at": time.time() - 3601} for one in ways]
    session.save()

    before = client.get("/admin/").status_code
    settings.SESSION_COOKIE_AGE = 3600

    assert before == 200
    assert client.get("/admin/").status_code == 302


def test_whoever_is_disabled_loses_their_sessions_for_good(ana: User) -> None:
    client = Client()
    sign_in(client)
    ana.refresh_from_db()
    ana.is_active = False
    ana.save()
    ana.is_active = True
    ana.save()

    assert client.get("/admin/").status_code == 302
    assert not Session.objects.exists()
    assert [event.detail for event in events("rights_changed") if event.detail["right"] == "is_active"] == [
        {"right": "is_active", "now": "False"},
        {"right": "is_active", "now": "True"},
    ]
