from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP
from django.contrib.auth.models import Group, User
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.test import Client

from config.env import Env
from config.sso import groups, providers
from people.adapters import groups_of, mapped
from people.directory import set_groups
from tests.people.sign_in_kit import LOGIN, PASSWORD, SECRET, Directory, ana, code_of, directory, sign_in, through

__all__ = ["ana", "directory"]

pytestmark = pytest.mark.django_db


def test_the_admin_sends_one_to_the_sign_in_and_back(ana: User) -> None:
    client = Client()

    sent = client.get("/admin/channels/")
    there = client.get(sent.headers["Location"])
    entered = client.post(there.headers["Location"], {"login": "ana", "password": PASSWORD})

    assert there.headers["Location"].startswith(LOGIN)
    assert entered.headers["Location"] == "/admin/channels/"
    assert client.get("/admin/channels/").status_code == 200


def test_one_signs_in_by_address_too(ana: User) -> None:
    client = Client()

    sign_in(client, "ana@example.org")

    assert client.get("/admin/").status_code == 200


def test_nobody_signs_up_by_themselves() -> None:
    client = Client()

    page = client.get("/accounts/signup/")
    client.post("/accounts/signup/", {"username": "mallory", "password1": PASSWORD, "password2": PASSWORD})

    assert "password1" not in page.content.decode()
    assert not User.objects.filter(username="mallory").exists()


@pytest.mark.parametrize("name", ["ana", "nobody"])
def test_guessing_is_stopped_after_five_wrong_passwords(ana: User, name: str) -> None:
    client = Client()

    answers = [sign_in(client, name, f"wrong {number}") for number in range(6)]
    right = sign_in(client, "ana")

    texts = [" ".join(answer.content.decode().split()) for answer in answers]
    assert "Too many" in texts[5]
    assert "Too many" not in texts[3]
    if name == "ana":
        assert "Too many" in right.content.decode()
        assert "_auth_user_id" not in client.session


def test_a_second_factor_is_asked_for_once_there_is_one(ana: User) -> None:
    TOTP.activate(ana, SECRET)
    client = Client()

    answer = sign_in(client)
    inside = client.get("/admin/").status_code
    client.post("/accounts/2fa/authenticate/", {"code": code_of(SECRET)})

    assert answer.headers["Location"].startswith("/accounts/2fa/authenticate/")
    assert inside == 302
    assert client.get("/admin/").status_code == 200


def test_the_key_of_an_authenticator_app_is_encrypted(ana: User) -> None:
    TOTP.activate(ana, SECRET)

    with connection.cursor() as cursor:
        cursor.execute("SELECT data::text FROM mfa_authenticator")
        assert SECRET not in str(cursor.fetchall())
    assert get_adapter().decrypt(Authenticator.objects.get().data["secret"]) == SECRET


def test_where_a_second_factor_is_required_nobody_gets_on_without(ana: User, settings) -> None:
    settings.REQUIRE_MFA = True
    client = Client()
    sign_in(client)

    turned_back = [client.get(path).headers.get("Location") for path in ("/admin/", "/admin/channels/", "/customers/")]
    TOTP.activate(ana, SECRET)

    assert turned_back == ["/accounts/2fa/totp/activate/"] * 3
    assert client.get("/accounts/2fa/totp/activate/").status_code == 302  # there is one now
    assert client.get("/admin/").status_code == 200


def test_sessions_can_be_looked_at_and_ended(ana: User) -> None:
    here, there = Client(), Client()
    sign_in(here)
    sign_in(there)
    there.get("/admin/")

    page = here.get("/accounts/sessions/").content.decode()
    here.post("/accounts/sessions/")

    assert page.count("127.0.0.1") == 2
    assert there.get("/admin/").status_code == 302
    assert here.get("/admin/").status_code == 200


def login_of(user: Any, **extra: Any) -> Any:
    return SimpleNamespace(user=user, account=SimpleNamespace(extra_data=extra), is_existing=True)


def test_groups_of_the_directory_become_groups_here(ana: User, settings) -> None:
    settings.SSO_GROUPS = {"leads": "Supervisor", "reports": "Manager", "it": "Ops"}
    ana.groups.set(Group.objects.filter(name__in=["Supervisor", "Auditor"]))

    names = mapped(groups_of(login_of(ana, userinfo={"groups": ["reports", "it", "unknown"]})))
    set_groups(ana, names)

    assert names == ["Manager", "Ops"]
    # Auditor was given by hand and stays; Supervisor was the directory's to give, and to take.
    assert set(ana.groups.values_list("name", flat=True)) == {"Auditor", "Manager", "Ops"}


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ({"groups": ["a", "b"]}, ["a", "b"]),
        ({"groups": "a"}, ["a"]),
        ({"userinfo": {"groups": ["a"]}}, ["a"]),
        ({"id_token": {"groups": ["a"]}}, ["a"]),
        ({}, []),
    ],
)
def test_the_directory_may_name_groups_in_several_places(extra: dict[str, Any], expected: list[str]) -> None:
    assert groups_of(login_of(None, **extra)) == expected


def test_directories_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "OIDC_SERVER_URL": "https://id.example",
        "OIDC_CLIENT_ID": "parley",
        "OIDC_CLIENT_SECRET": "s",
        "SAML_METADATA_URL": "https://sso.example/metadata",
        "SAML_ENTITY_ID": "https://sso.example",
        "SSO_GROUPS": '{"leads": "Supervisor"}',
    }.items():
        monkeypatch.setenv(name, value)

    assert set(providers(Env())) == {"openid_connect", "saml"}
    assert groups(Env()) == {"leads": "Supervisor"}
    monkeypatch.setenv("SSO_GROUPS", "leads=Supervisor")
    with pytest.raises(ImproperlyConfigured, match="SSO_GROUPS"):
        groups(Env())


def test_one_signs_in_through_the_companys_directory(directory: Directory, settings) -> None:
    settings.REQUIRE_MFA = True  # is the directory's to ask for
    directory.groups = ["leads", "everybody"]
    client = Client()

    offered = client.get(LOGIN).content.decode()
    through(client)

    ben = User.objects.get(username="ben")
    assert "Acme ID" in offered
    assert [group.name for group in ben.groups.all()] == ["Supervisor"]
    assert ben.is_staff
    assert not ben.has_usable_password()
    assert client.get("/admin/channels/").status_code == 200


def test_whoever_loses_their_groups_there_is_not_let_in_here(directory: Directory) -> None:
    directory.groups = ["leads"]
    through(Client())
    directory.groups = ["reports"]
    through(Client())
    moved = [group.name for group in User.objects.get(username="ben").groups.all()]
    directory.groups = ["everybody"]
    client = Client()

    answer = through(client)

    assert moved == ["Manager"]
    assert answer.status_code == 403
    assert "Not let in" in answer.content.decode()
    assert client.get("/admin/").status_code == 302


def test_a_stranger_of_the_directory_gets_no_account(directory: Directory) -> None:
    directory.groups = ["everybody"]

    assert through(Client()).status_code == 403
    assert not User.objects.filter(username="ben").exists()


def test_an_account_here_is_not_taken_over_by_its_address_there(directory: Directory) -> None:
    mine = User.objects.create_user("boss", "ben@example.org", PASSWORD)
    directory.groups = ["leads"]
    client = Client()

    through(client)

    assert client.session.get("_auth_user_id") != str(mine.pk)


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        (LOGIN, "script-src 'self'"),
        ("/admin/", "script-src 'self' 'unsafe-eval'"),
        ("/admin/channels/", "script-src 'self' 'unsafe-eval'"),
        ("/api/docs/", "script-src 'self'"),
        ("/customers/", "script-src 'self'"),
    ],
)
def test_every_page_comes_with_a_policy(admin_client: Client, path: str, kept: str) -> None:
    answer = admin_client.get(path)
    policy = answer.headers["Content-Security-Policy"]

    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert f"script-src {directives['script-src']}" == kept
    assert directives["default-src"] == "'none'"
    assert directives["frame-ancestors"] == "'none'"
    assert "http" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_an_administrator_takes_a_lost_second_factor_away(ana: User, admin_client: Client) -> None:
    factor = Authenticator.objects.create(user=ana, type=Authenticator.Type.TOTP, data={"secret": "sealed away"})
    url = f"/admin/auth/user/{ana.pk}/change/"
    form = {
        "username": "ana",
        "is_active": "on",
        "authenticator_set-TOTAL_FORMS": "1",
        "authenticator_set-INITIAL_FORMS": "1",
        "authenticator_set-0-id": str(factor.pk),
        "authenticator_set-0-user": str(ana.pk),
    }

    page = admin_client.get(url).content.decode()
    admin_client.post(url, {**form, "authenticator_set-0-DELETE": "on"})

    assert "sealed away" not in page
    assert not Authenticator.objects.exists()


def test_the_sign_in_librarys_own_admin_pages_are_gone(admin_client: Client) -> None:
    paths = ["mfa/authenticator", "socialaccount/socialtoken", "socialaccount/socialapp", "account/emailaddress"]

    assert {admin_client.get(f"/admin/{path}/").status_code for path in paths} == {404}
