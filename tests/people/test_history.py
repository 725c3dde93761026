from __future__ import annotations

from pathlib import Path

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.db import DatabaseError, connection, transaction
from django.test import Client

from channels_app.models import BusinessHours
from people.models import TranscriptRead
from tests.role_kit import client_of

pytestmark = pytest.mark.django_db


def test_a_change_is_kept_with_who_what_and_why(admin_client: Client) -> None:
    ana = User.objects.create_user("ana", email="ana@old.example", is_staff=True)
    form = {"username": "ana", "email": "ana@new.example", "is_active": "on", "change_reason": "she married"}

    admin_client.post(f"/admin/auth/user/{ana.pk}/change/", form)

    row = ana.history.first()
    assert row.history_user_id == "admin"
    assert row.differs["email"] == ["ana@old.example", "ana@new.example"]
    assert row.history_change_reason == "she married"


def test_a_password_and_a_sign_in_leave_no_trace_of_themselves() -> None:
    ana = User.objects.create_user("ana", password="CANARY-CANARY")
    Client().force_login(ana)
    ana.set_password("CANARY-OTHER")
    ana.save()

    assert ana.history.count() == 1
    with connection.cursor() as cursor:
        cursor.execute("SELECT h::text FROM people_historicaluser h")
        assert "CANARY" not in str(cursor.fetchall())
        assert ana.password not in str(cursor.fetchall())


def test_the_groups_of_somebody_are_in_their_history_and_open_the_admin() -> None:
    ana = User.objects.create_user("ana")

    ana.groups.add(Group.objects.get(name="Viewer"))

    ana.refresh_from_db()
    assert ana.is_staff
    assert ana.history.first().notes == ["groups: Viewer"]


def test_the_rights_of_a_group_of_ones_own_are_in_its_history() -> None:
    group = Group.objects.create(name="Night shift")

    group.permissions.add(Permission.objects.get(codename="view_outboxentry"))

    assert group.history.first().notes == ["rights: view_outboxentry"]


@pytest.mark.parametrize("statement", ["DELETE FROM {}", "UPDATE {} SET {} = {}"])
@pytest.mark.parametrize(("table", "column"), [("people_historicaluser", "username"), ("people_transcriptread", "by")])
def test_what_is_on_record_cannot_be_changed(statement: str, table: str, column: str) -> None:
    User.objects.create_user("ana")
    TranscriptRead.objects.create(by="ana", what="message", object_id="1")

    with pytest.raises(DatabaseError, match="rows are only added"), transaction.atomic():
        connection.cursor().execute(statement.format(table, column, column))


def test_a_change_can_be_put_back(admin_client: Client) -> None:
    ana = User.objects.create_user("ana", email="old@example.org", first_name="Ana")
    ana.email = "new@example.org"
    ana.save()
    ana.first_name = "Anna"
    ana.save()
    page = f"/admin/auth/user/{ana.pk}/history/"
    change = next(row for row in ana.history.all() if "email" in row.differs)

    shown = admin_client.get(page).content.decode()
    admin_client.post(page, {"change": change.history_id})

    ana.refresh_from_db()
    assert "old@example.org" in shown
    assert "new@example.org" in shown
    assert (ana.email, ana.first_name) == ("old@example.org", "Anna")
    assert ana.history.first().history_change_reason.startswith("put back")


@pytest.mark.parametrize("role", ["Admin", "superuser"])
def test_no_right_comes_back_out_of_the_past(role: str) -> None:
    former = User.objects.create_user("former", is_staff=True, is_superuser=True, first_name="F")
    former.is_superuser = former.is_staff = former.is_active = False
    former.first_name = "G"
    former.save()
    ana = User.objects.create_user("ana", is_staff=True, is_superuser=role == "superuser")
    if role == "Admin":
        ana.groups.add(Group.objects.get(name="Admin"))
    client = Client()
    client.force_login(ana)

    client.post(f"/admin/auth/user/{former.pk}/history/", {"change": former.history.first().history_id})

    former.refresh_from_db()
    assert (former.is_superuser, former.is_staff, former.is_active, former.first_name) == (False, False, False, "F")


def test_a_change_of_rights_alone_is_not_put_back(admin_client: Client) -> None:
    ana = User.objects.create_user("ana", is_superuser=True)
    ana.is_superuser = False
    ana.save()

    page = admin_client.post(
        f"/admin/auth/user/{ana.pk}/history/", {"change": ana.history.first().history_id}, follow=True
    )

    ana.refresh_from_db()
    assert not ana.is_superuser
    assert "Not put back. Only what the form offers you" in page.content.decode()


def test_what_the_form_would_refuse_is_not_put_back(admin_client: Client) -> None:
    ana = User.objects.create_user("ana", email="old@example.org")
    User.objects.filter(pk=ana.pk).update(email="x")
    row = ana.history.model.objects.create(
        id=ana.pk,
        username="ana",
        history_date=ana.date_joined,
        history_type="~",
        date_joined=ana.date_joined,
        differs={"email": ["no address", "x"]},
        notes=[],
    )

    page = admin_client.post(f"/admin/auth/user/{ana.pk}/history/", {"change": row.history_id}, follow=True)

    ana.refresh_from_db()
    assert ana.email == "x"
    assert "Not put back. email:" in page.content.decode()


def test_hours_are_put_back_though_their_form_has_other_fields(admin_client: Client) -> None:
    hours = BusinessHours.objects.create(name="Office", week={"monday": [["09:00", "17:00"]]})
    hours.week = {}
    hours.save()

    admin_client.post(
        f"/admin/channels_app/businesshours/{hours.pk}/history/", {"change": hours.history.first().history_id}
    )

    hours.refresh_from_db()
    assert hours.week == {"monday": [["09:00", "17:00"]]}


def test_only_who_may_change_a_row_puts_its_changes_back() -> None:
    ana = User.objects.create_user("ana", email="old@example.org")
    ana.email = "new@example.org"
    ana.save()
    client = client_of("Auditor", "auditor")
    page = f"/admin/auth/user/{ana.pk}/history/"

    shown = client.get(page)

    assert "Put back" not in shown.content.decode().replace("“Put back”", "")
    assert client.post(page, {"change": ana.history.first().history_id}).status_code == 403
    ana.refresh_from_db()
    assert ana.email == "new@example.org"


def test_the_audit_page_lists_changes_of_all_kinds_in_one_order(admin_client: Client) -> None:
    User.objects.create_user("first person")
    Group.objects.create(name="second group")
    User.objects.create_user("third person")

    page = admin_client.get("/admin/audit/").content.decode()

    places = [page.index(f"<bdi>{name}</bdi>") for name in ("third person", "second group", "first person")]
    assert places == sorted(places)


def test_the_audit_page_asks_as_often_for_many_changes_as_for_few(
    admin_client: Client, django_assert_num_queries
) -> None:
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as few:
        admin_client.get("/admin/audit/")
    for number in range(20):
        User.objects.create_user(f"person {number}")

    with django_assert_num_queries(len(few)):
        admin_client.get("/admin/audit/")


@pytest.mark.parametrize("query", ["before=x", "before=2026-01-01", "by=%00", "model=x.y", "model=auth.user&by=nobody"])
def test_an_odd_question_to_the_audit_breaks_nothing(admin_client: Client, query: str) -> None:
    assert admin_client.get(f"/admin/audit/?{query}").status_code == 200


def test_a_second_role_cannot_touch_what_is_on_record() -> None:
    """As deploy/postgres/second-role.sql sets it up; psql's own parts of it are read here as psql would."""
    written = (Path(__file__).resolve().parents[2] / "deploy/postgres/second-role.sql").read_text()
    steps = [line for line in written.splitlines() if not line.startswith("--")]
    plain, _, generating = (
        "\n".join(steps).replace(':"app"', "parley_app").replace(":'app'", "'parley_app'").partition("SELECT format")
    )
    User.objects.create_user("ana")
    with connection.cursor() as cursor:
        cursor.execute("CREATE ROLE parley_app")
        cursor.execute(plain)
        cursor.execute("SELECT format" + generating.replace("\\gexec", ""))
        for (step,) in cursor.fetchall():
            cursor.execute(step)
        cursor.execute("SET LOCAL ROLE parley_app")
        TranscriptRead.objects.create(by="ana", what="message", object_id="1")
        User.objects.create_user("ben").delete()
        for statement in (
            "UPDATE people_transcriptread SET by = ''",
            "DELETE FROM people_historicaluser",
            "DELETE FROM people_securityevent",
            "TRUNCATE people_historicaluser",
            "DROP TRIGGER append_only ON people_historicaluser",
            "ALTER TABLE people_historicaluser DISABLE TRIGGER ALL",
            "CREATE OR REPLACE FUNCTION parley_append_only() RETURNS trigger LANGUAGE sql AS 'SELECT 1'",
        ):
            with pytest.raises(DatabaseError, match=r"permission denied|must be owner"), transaction.atomic():
                cursor.execute(statement)
        cursor.execute("RESET ROLE")
