"""What holds at the door: who comes from the directory, guessing, codes that were used, what is written down."""

from __future__ import annotations

import logging
import re
import threading
import time
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.signals import authenticator_added
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, hotp_value
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.models import Group, User
from django.contrib.sessions.models import Session
from django.core import mail
from django.core.cache import cache, caches
from django.core.mail.backends import locmem
from django.db import DatabaseError, connection, transaction
from django.http import HttpResponse
from django.test import Client, RequestFactory
from pytest_django.fixtures import Settings

from config.logs import MaskPaths
from people import limits, reset
from people.middleware import Encrypted
from people.models import ApiToken, SecurityEvent
from people.token_revocation import end_tokens
from people.tokens import make_token
from tests.people.test_sign_in import PASSWORD, Directory, ana, code_of, directory, sign_in, through

__all__ = ["ana", "directory"]
SECRET = "JBSWY3DPEHPK3PXP"
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _in_the_database(settings: Settings) -> None:
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


# ── the directory ─────────────────────────────────────────────────────────────────────────────────────────────────────
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
        given = {"password1": PASSWORD + "!", "password2": PASSWORD + "!", "oldpassword": PASSWORD}
        assert client.post(f"/accounts/{path}", given).status_code == 403, path

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


# ── guessing ──────────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("name", ["ana", "nobody", "ana@example.org", "nobody@example.org"])
def test_the_sixth_wrong_password_is_answered_429(ana: User, name: str) -> None:
    client = Client()

    answers = [sign_in(client, name, f"wrong {number}") for number in range(6)]

    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert answers[5].headers["Retry-After"] == "300"
    assert "Too many" in answers[5].content.decode()


def test_known_and_unknown_names_are_told_the_same(ana: User) -> None:
    def told(name: str, number: int) -> str:
        words = sign_in(Client(), name, f"wrong {number}").content.decode().replace(name, "NAME")
        return re.sub(r'name="csrfmiddlewaretoken" value="\w+"|nonce="[^"]*"', "", words)

    assert [told("ana", number) for number in range(6)] == [told("nob", number) for number in range(6)]


def test_nobody_is_locked_out_from_elsewhere(ana: User) -> None:
    stranger, client = Client(REMOTE_ADDR="203.0.113.66"), Client()
    for number in range(7):
        sign_in(stranger, "ana", f"wrong {number}")

    sign_in(client)

    assert client.get("/admin/").status_code == 200


def test_many_names_do_not_wipe_the_count_of_one(ana: User) -> None:
    client = Client(REMOTE_ADDR="203.0.113.7")
    for number in range(5):
        sign_in(client, "ana", f"wrong {number}")
    for number in range(80):
        caches["default"].set(f"noise-{number}", number, 300)

    assert sign_in(client).status_code == 429


def test_what_is_over_leaves_the_cache() -> None:
    for number in range(40):
        caches["default"].set(f"over-{number}", number, -10)
    caches["default"].set("one-more", 1, 300)

    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM django_cache")
        assert cursor.fetchone()[0] < 40


@pytest.mark.parametrize(("failures", "seconds"), [(0, 0.0), (20, 0.0), (25, 0.5), (10_000, 2.0)])
def test_a_name_that_is_guessed_at_from_everywhere_gets_slower(failures: int, seconds: float) -> None:
    assert limits.delay_of(failures) == pytest.approx(seconds)


def test_each_attempt_at_a_name_that_is_guessed_at_waits(ana: User, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr(limits.time, "sleep", waited.append)
    for number in range(24):
        sign_in(Client(REMOTE_ADDR=f"203.0.113.{number}"), "ana", "wrong")

    assert waited == pytest.approx([0.1, 0.2, 0.3])


@pytest.mark.django_db(transaction=True)
def test_who_waits_holds_no_connection_that_others_need(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[object] = []
    monkeypatch.setattr(limits.time, "sleep", lambda _: held.append(connection.connection))
    for _ in range(limits.FREE + 1):
        limits.slowed_by_failure("ana")

    limits.slow_down("ana")

    assert held == [None]


def test_a_reset_link_leads_to_us_whatever_host_is_named(ana: User, settings: Settings) -> None:
    settings.PUBLIC_BASE_URL = "https://parley.example.com"
    settings.ALLOWED_HOSTS = ["*"]

    Client().post("/accounts/password/reset/", {"email": "ana@example.org"}, headers={"host": "evil.example"})

    [letter] = mail.outbox
    assert "https://parley.example.com/accounts/password/reset/key/" in str(letter.body)
    assert "evil.example" not in f"{letter.subject}{letter.body}"


@pytest.fixture
def slow_mail(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Give a mail server that takes until the event is set, and then fails."""
    over = threading.Event()

    def send(*_: object) -> None:
        over.wait(30)
        raise OSError("550 ana@example.org: no")

    monkeypatch.setattr(locmem.EmailBackend, "send_messages", send)
    return over


def test_how_long_a_reset_takes_tells_nobody_who_is_known(
    ana: User, slow_mail: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    took, answers = [], []
    for address in ("ana@example.org", "nobody@example.org"):
        begun = time.monotonic()
        answers.append(Client().post("/accounts/password/reset/", {"email": address}).headers["Location"])
        took.append(time.monotonic() - begun)
    slow_mail.set()
    for thread in threading.enumerate():
        if thread.name == "letter":
            thread.join(30)

    assert answers[0] == answers[1]
    assert min(took) >= reset.TAKES
    assert max(took) < 20  # the mail server takes longer
    assert "not sent: OSError" in caplog.text
    assert "ana@" not in caplog.text


# ── second factors ────────────────────────────────────────────────────────────────────────────────────────────────────
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


# ── what is written down ──────────────────────────────────────────────────────────────────────────────────────────────
def test_what_happens_at_the_door_is_logged_and_on_the_audit_page(
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

    told = [record.getMessage() for record in caplog.records if record.name == "parley.security"]
    names = [line.split()[0].removeprefix("event=") for line in told]
    page = admin_client.get("/admin/audit/").content.decode()

    wanted = ["sign_in_failed", "second_factor_failed", "second_factor_used", "signed_in", "role_changed"]
    for event in [*wanted, "password_changed"]:
        assert event in names
        assert event.replace("_", " ") in page
    assert "how=password+mfa" in " ".join(told)
    everything = " ".join(told)
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

    found = set(SecurityEvent.objects.values_list("event", flat=True))
    assert {"session_ended", "signed_out", "token_made", "token_used_first", "token_ended"} <= found


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


def test_what_happened_at_the_door_stays_written_down(ana: User) -> None:
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


# ── in the clear ──────────────────────────────────────────────────────────────────────────────────────────────────────
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
    given = {"REMOTE_ADDR": address} | ({"HTTP_X_FORWARDED_PROTO": forwarded} if forwarded else {})
    gate = Encrypted(lambda _request: HttpResponse("let through"))

    assert gate(RequestFactory().get("/api/v1/messages/", **given)).status_code == status
    assert gate(RequestFactory().get("/dashboards/", **given)).status_code == 200


def test_a_session_alone_changes_nothing_over_the_api(ana: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(ana)

    assert client.post("/api/v1/customers/merges/", {}, content_type="application/json").status_code in (403, 404)
    assert "CSRF" in client.post("/api/v1/link-codes/", {}, content_type="application/json").content.decode()


# ── logs ──────────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_link_that_opens_a_page_is_not_in_our_log(capsys: pytest.CaptureFixture[str]) -> None:
    handler = logging.StreamHandler()
    handler.addFilter(MaskPaths())
    logger = logging.getLogger("django.request")
    logger.addHandler(handler)
    try:
        assert Client().get("/agent/SIGNED-word/").status_code == 404
    finally:
        logger.removeHandler(handler)

    told = capsys.readouterr().err
    assert "/agent/…/" in told
    assert "SIGNED-word" not in told.split("Not Found")[-1]


def test_logs_go_through_the_mask(settings: Settings) -> None:
    assert settings.LOGGING["handlers"]["stderr"]["filters"] == ["paths"]
