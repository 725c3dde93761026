"""What happens at sign-in and to rights and tokens is recorded; logs and unencrypted requests tell nothing."""

from __future__ import annotations

import logging

import pytest
from allauth.mfa.totp.internal.auth import TOTP
from django.contrib.auth.models import Group, User
from django.db import DatabaseError, transaction
from django.http import HttpResponse
from django.test import Client, RequestFactory
from pytest_django.fixtures import Settings

from config.logs import MaskPaths
from people.middleware import Encrypted
from people.models import ApiToken, SecurityEvent
from people.token_revocation import end_tokens
from people.tokens import make_token
from tests.people.sign_in_kit import (
    PASSWORD,
    SECRET,
    Directory,
    ana,
    code_of,
    directory,
    events,
    sign_in,
    sign_in_settings,
    through,
)

__all__ = ["ana", "directory", "sign_in_settings"]
pytestmark = pytest.mark.django_db


def test_what_happens_at_sign_in_is_logged_and_on_the_audit_page(
    ana: User, admin_client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="parley.security")
    TOTP.activate(ana, SECRET)
    client = Client()
    sign_in(client, "ana", "a wrong word")
    sign_in(client)
    client.post("/accounts/2fa/authenticate/", {"code": "000000"})
    client.post("/accounts/2fa/authenticate/", {"code": code_of(SECRET)})
    ana.groups.add(Group.objects.get(name="Auditor"))
    ana.set_password("another long password")
    ana.save()
    ana.delete()

    answer = [record.getMessage() for record in caplog.records if record.name == "parley.security"]
    names = [line.split()[0].removeprefix("event=") for line in answer]
    page = admin_client.get("/admin/audit/").content.decode()

    expected = ["sign_in_failed", "second_factor_failed", "second_factor_used", "signed_in", "role_changed"]
    for event in [*expected, "password_changed"]:
        assert event in names
        assert event.replace("_", " ") in page
    assert "how=password+mfa" in " ".join(answer)
    everything = " ".join(answer)
    assert "ana" not in everything.replace("Manager", "")
    assert not any(word in everything for word in (PASSWORD, "wrong", SECRET, "another long"))


def test_signing_out_ending_sessions_and_tokens_are_written_down(ana: User) -> None:
    here, there = Client(), Client()
    sign_in(here)
    sign_in(there)
    there.get("/admin/")
    here.post("/accounts/sessions/")
    here.post("/accounts/logout/")
    key = make_token(ana, "for a script", by="ana", proven=True)
    Client().get("/api/v1/accounts/", headers={"Authorization": f"Token {key}"})
    end_tokens(ApiToken.objects.filter(owner=ana), "by ana")

    result = set(SecurityEvent.objects.values_list("event", flat=True))
    assert {"session_ended", "signed_out", "token_made", "token_used_first", "token_ended"} <= result


def test_a_sign_in_through_the_directory_says_so(directory: Directory) -> None:
    directory.groups = ["leads"]
    through(Client())

    assert [event.detail for event in events("signed_in")] == [{"how": "socialaccount"}]


def test_guessers_do_not_fill_the_table(ana: User) -> None:
    client = Client()
    for number in range(20):
        sign_in(client, "ana", f"wrong {number}")

    assert len(events("sign_in_failed")) == 1
    assert len(events("locked_out")) == 1


def test_security_events_cannot_be_changed_or_deleted(ana: User) -> None:
    sign_in(Client())

    for change in (events("signed_in")[0].delete, lambda: SecurityEvent.objects.update(about="ben")):
        with pytest.raises(DatabaseError, match="rows are only added"), transaction.atomic():
            change()


def test_a_token_that_opens_nothing_is_written_down(ana: User) -> None:
    key = make_token(ana, "for a script", by="ana", proven=True)
    end_tokens(ApiToken.objects.filter(owner=ana), "by ana")
    for tried in (key, key, "parley_guessed", "parley_guessed_again"):
        Client().get("/api/v1/accounts/", headers={"Authorization": f"Token {tried}"})

    assert [(event.about, event.detail["why"]) for event in events("token_refused")] == [
        ("ana", "ended"),
        ("", "unknown"),
    ]
    assert not any(tried in str(event.__dict__) for event in events("token_refused") for tried in (key, "guessed"))


@pytest.mark.parametrize(
    ("public", "address", "forwarded", "status"),
    [
        ("https://parley.example.com", "127.0.0.1", "http", 403),
        ("https://parley.example.com", "203.0.113.9", "", 403),
        ("https://parley.example.com", "127.0.0.1", "https", 200),
        ("https://parley.example.com", "127.0.0.1", "", 200),
        ("http://127.0.0.1:8000", "203.0.113.9", "", 200),
    ],
)
def test_the_api_refuses_what_came_in_the_clear(
    settings: Settings, public: str, address: str, forwarded: str, status: int
) -> None:
    settings.PUBLIC_BASE_URL = public
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    environ = {"REMOTE_ADDR": address} | ({"HTTP_X_FORWARDED_PROTO": forwarded} if forwarded else {})
    middleware = Encrypted(lambda _request: HttpResponse("let through"))

    assert middleware(RequestFactory().get("/api/v1/messages/", **environ)).status_code == status
    assert middleware(RequestFactory().get("/dashboards/", **environ)).status_code == 200


def test_a_session_alone_changes_nothing_over_the_api(ana: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(ana)

    assert client.post("/api/v1/customers/merges/", {}, content_type="application/json").status_code in (403, 404)
    assert "CSRF" in client.post("/api/v1/link-codes/", {}, content_type="application/json").content.decode()


def test_a_link_that_opens_a_page_is_not_in_our_log(capsys: pytest.CaptureFixture[str]) -> None:
    handler = logging.StreamHandler()
    handler.addFilter(MaskPaths())
    logger = logging.getLogger("django.request")
    logger.addHandler(handler)
    try:
        assert Client().get("/agent/SIGNED-word/").status_code == 404
    finally:
        logger.removeHandler(handler)

    answer = capsys.readouterr().err
    assert "/agent/…/" in answer
    assert "SIGNED-word" not in answer.split("Not Found")[-1]


def test_logs_go_through_the_mask(settings: Settings) -> None:
    assert settings.LOGGING["handlers"]["stderr"]["filters"] == ["paths"]
