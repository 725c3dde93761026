"""Tokens of the API: kept as digests, named, with an end; gone with the password, the role, the directory."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from datetime import timedelta
from io import StringIO

import pytest
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.models import Group, User
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.utils import timezone

from people.models import ApiToken
from people.tokens import VOUCHED_FOR, digest_of, make_token

pytestmark = pytest.mark.django_db


@pytest.fixture
def ana() -> User:
    user = User.objects.create_user("ana", password="correct horse battery", is_staff=True)
    user.groups.add(Group.objects.get(name="Supervisor"))
    return User.objects.get(pk=user.pk)


def opens(key: str, **headers: str) -> int:
    return Client().get("/api/v1/accounts/", headers={"authorization": f"Token {key}"}).status_code


def made(owner: User, **fields: object) -> str:
    return make_token(owner, "a machine", **({"by": "ana", "proven": True} | fields))


def test_of_a_token_only_a_digest_is_kept(ana: User) -> None:
    key = made(ana)

    with connection.cursor() as cursor:
        cursor.execute("SELECT t::text FROM people_apitoken t")
        ((row,),) = cursor.fetchall()
    assert key not in row
    assert digest_of(key) in row
    assert len(key) > 45
    assert opens(key) == 200
    assert ApiToken.objects.get().last_used_at is not None
    assert "API token" in ana.history.first().notes[0]
    assert key not in str(ana.history.first().notes)


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("Token", b"one token"),
        ("Token a b", b"one token"),
        ("Token \xe9", b"one token"),
        ("Token " + "a" * 40, b"no token of ours"),
    ],
)
def test_what_is_no_token_is_refused_with_words(header: str, words: bytes) -> None:
    answer = Client().get("/api/v1/accounts/", headers={"authorization": header})

    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == "Token"
    assert words in answer.content


def test_a_token_ends_by_itself(ana: User, settings) -> None:
    assert opens(made(ana, ends=timezone.now() - timedelta(seconds=1))) == 401
    settings.API_TOKEN_DAYS = 7
    made(ana)
    assert ApiToken.objects.latest("pk").expires_at < timezone.now() + timedelta(days=7, minutes=1)


def changes_password(user: User) -> None:
    user.set_password("another horse battery")
    user.save()


def is_deactivated(user: User) -> None:
    user.is_active = False
    user.save()


def is_staff_no_more(user: User) -> None:
    user.is_staff = False
    user.save()


def leaves_the_role(user: User) -> None:
    user.groups.remove(Group.objects.get(name="Supervisor"))


def is_taken_out_of_the_group(user: User) -> None:
    Group.objects.get(name="Supervisor").user_set.remove(user)


def loses_all_groups(user: User) -> None:
    user.groups.clear()


def leaves_the_directory(user: User) -> None:
    SocialAccount.objects.create(user=user, provider="saml", uid="1").delete()


@pytest.mark.parametrize(
    "loses",
    [
        changes_password,
        is_deactivated,
        is_staff_no_more,
        leaves_the_role,
        is_taken_out_of_the_group,
        loses_all_groups,
        leaves_the_directory,
    ],
)
def test_who_loses_what_let_them_in_loses_their_tokens_for_good(loses: Callable[[User], None], ana: User) -> None:
    key, others = made(ana), made(User.objects.create_superuser("boss"))
    assert opens(key) == 200

    loses(ana)
    User.objects.filter(pk=ana.pk).update(is_active=True, is_staff=True)

    assert opens(key) == 401
    assert opens(others) == 200
    assert ApiToken.objects.get(owner=ana).ended_because


def test_a_token_outlives_the_directory_no_longer_than_a_month(ana: User) -> None:
    """Who left the company never comes here again, so that the directory is never asked about them."""
    key = made(ana, ends=timezone.now() + timedelta(days=300))
    account = SocialAccount.objects.create(user=ana, provider="saml", uid="1")
    while_there = opens(key)
    SocialAccount.objects.update(last_login=timezone.now() - VOUCHED_FOR - timedelta(minutes=1))
    afterwards = opens(key)
    account.save()  # as each sign-in does

    assert (while_there, afterwards, opens(key)) == (200, 401, 200)


def test_signing_in_and_other_changes_leave_tokens_alone(ana: User) -> None:
    key = made(ana)
    Client().force_login(ana)
    ana.first_name = "Ana"
    ana.save()
    ana.groups.add(Group.objects.get(name="Viewer"))
    assert ana.check_password("correct horse battery")

    assert opens(key) == 200


def test_where_a_second_factor_is_required_a_token_made_without_one_opens_nothing(ana: User, settings) -> None:
    key = made(ana, proven=False)
    settings.REQUIRE_MFA = True

    assert opens(key) == 401
    assert opens(made(ana, proven=True)) == 200
    Authenticator.objects.create(user=ana, type="totp", data={})
    assert opens(key) == 200


def signed_in(user: User, at: float | None = None) -> Client:
    client = Client()
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    session = client.session
    session["account_authentication_methods"] = [{"method": "password", "at": at or time.time(), "username": "ana"}]
    session.save()
    return client


def test_everybody_makes_and_ends_their_own(ana: User) -> None:
    client = signed_in(ana)
    page = client.post("/accounts/tokens/make/", {"name": "the shop"}, follow=True).content.decode()
    token = ApiToken.objects.get()
    key = next(word for word in page.replace("<", " ").replace(">", " ").split() if digest_of(word) == token.digest)

    assert token.name == "the shop"
    assert not token.proven
    assert key not in client.get("/accounts/tokens/").content.decode()
    somebody = User.objects.create_user("somebody", is_staff=True)
    assert signed_in(somebody).post(f"/accounts/tokens/{token.pk}/end/").status_code == 404
    assert opens(key) == 200
    client.post(f"/accounts/tokens/{token.pk}/end/")
    assert opens(key) == 401


def test_only_who_has_just_proven_themselves_makes_one(ana: User) -> None:
    answer = signed_in(ana, at=time.time() - 86_400).post("/accounts/tokens/make/", {"name": "x"})

    assert answer.status_code == 302
    assert not ApiToken.objects.exists()


def test_where_a_second_factor_is_required_nobody_without_one_makes_one(ana: User, settings) -> None:
    settings.REQUIRE_MFA = True
    signed_in(ana).post("/accounts/tokens/make/", {"name": "x"})

    assert not ApiToken.objects.exists()


def test_an_admin_sees_and_ends_them_on_the_persons_page(ana: User, admin_client: Client) -> None:
    key = made(ana)
    page = admin_client.get(f"/admin/auth/user/{ana.pk}/change/").content.decode()
    assert key[:12] in page
    assert key not in page

    ApiToken.objects.get().delete()

    assert opens(key) == 401
    assert "ended" in ana.history.first().notes[0]


def test_a_command_makes_one_for_a_machine(ana: User) -> None:
    for name in ("createtoken", "drf_create_token"):
        said = StringIO()
        call_command(name, "ana", stdout=said)
        assert opens(said.getvalue().split()[2]) == 200
    with pytest.raises(CommandError, match="nobody called"):
        call_command("createtoken", "nobody")
    with pytest.raises(CommandError, match="give 1 to"):
        call_command("createtoken", "ana", "--days", "5000")


def test_tokens_from_before_become_digests_that_end(ana: User) -> None:
    migration = importlib.import_module("people.migrations.0004_apitoken")
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE authtoken_token (key text, created timestamptz, user_id int)")
        cursor.execute("INSERT INTO authtoken_token VALUES (%s, now(), %s)", ["ab" * 20, ana.pk])
        cursor.execute(migration.TAKE_OVER.format(days=90))
        cursor.execute("SELECT count(*) FROM authtoken_token")
        assert cursor.fetchone() == (0,)

    assert opens("ab" * 20) == 200
    assert ApiToken.objects.get().expires_at > timezone.now() + timedelta(days=89)
