from __future__ import annotations

import json

import pytest
from django.test import Client
from django.urls import reverse
from prometheus_client.parser import text_string_to_metric_families

from connect_bridge.operations import stuck
from connect_bridge.operations.stuck import Kind
from tests.connect_bridge.operations.stuck_kit import ago, make_row, make_rows_of_all_kinds, run, staff
from tests.factories import (
    ChannelAccountFactory,
    ConversationFactory,
    MessageFactory,
    OutboxEntryFactory,
)

pytestmark = pytest.mark.django_db


def test_the_page_shows_each_row_with_the_way_to_it(admin_client: Client, processes: None) -> None:
    make_rows_of_all_kinds()
    page = admin_client.get("/admin/stuck/").content.decode()
    for row in stuck.find_stuck().rows:
        address = reverse(f"admin:{row.model}_change", args=[row.id])
        assert address in page
        assert admin_client.get(address).status_code == 200
        assert row.next[:20] in page
    assert "Nothing is stuck" not in page


def test_an_empty_page_says_so_and_the_index_leads_to_it(admin_client: Client) -> None:
    assert "Nothing is stuck" in admin_client.get("/admin/stuck/").content.decode()
    assert 'href="/admin/stuck/"' in admin_client.get("/admin/").content.decode()


def test_hostile_words_are_harmless_on_the_page(admin_client: Client, processes: None) -> None:
    conversation = ConversationFactory(account=ChannelAccountFactory(name="<script>alert(1)</script>"))
    message = MessageFactory(conversation=conversation, direction="out", status="uncertain")
    OutboxEntryFactory(message=message, state="uncertain", settled_at=ago(99), error_detail="<img src=x onerror=1>")
    page = admin_client.get("/admin/stuck/").content.decode()
    assert "<script>alert" not in page
    assert "<img src=x" not in page


@pytest.mark.parametrize("path", ["/admin/stuck/", "/api/v1/stuck/"])
def test_staff_see_only_the_kinds_that_they_may_view(path: str) -> None:
    entry, message = make_row(Kind.INTAKE), make_row(Kind.MESSAGE)
    client = staff("view_message")
    page = client.get(path).content.decode()
    assert str(message.pk)[:8] in page
    assert f"/{entry.pk}/" not in page
    assert '"intake"' not in page


@pytest.mark.parametrize("path", ["/admin/stuck/", "/api/v1/stuck/"])
def test_who_may_view_nothing_sees_nothing(path: str) -> None:
    assert staff().get(path).status_code == 403


def test_a_stranger_is_asked_who_they_are() -> None:
    assert Client().get("/api/v1/stuck/").status_code == 401
    assert Client().get("/admin/stuck/").status_code == 302


def test_the_api_tells_the_same(admin_client: Client, processes: None) -> None:
    make_rows_of_all_kinds()
    answer = admin_client.get("/api/v1/stuck/").json()
    assert answer["counts"] == dict.fromkeys([kind.value for kind in Kind], 1)
    assert {row["kind"] for row in answer["rows"]} == set(answer["counts"])
    limited = admin_client.get("/api/v1/stuck/", {"kind": "outbox", "limit": 1}).json()
    assert (limited["counts"], len(limited["rows"])) == ({"outbox": 1}, 1)


@pytest.mark.parametrize(
    "wrong", [{"kind": "x"}, {"limit": "0"}, {"limit": "501"}, {"limit": "-1"}, {"limit": "٣"}, {"page": "1"}]
)
def test_the_api_refuses_what_it_does_not_know(admin_client: Client, wrong: dict[str, str]) -> None:
    answer = admin_client.get("/api/v1/stuck/", wrong)
    assert answer.status_code == 400
    assert set(answer.json()) == set(wrong)


def test_the_schema_describes_it(admin_client: Client) -> None:
    assert "/api/v1/stuck/:" in admin_client.get("/api/schema/").content.decode()


def test_the_command_says_why_and_what_next(processes: None) -> None:
    assert run() == (0, "Nothing is stuck.\n")
    entry = make_row(Kind.UNCERTAIN)
    code, output = run()
    assert code == 3
    assert f"uncertain: 1\n  {entry.pk}" in output
    assert "why:  The line broke." in output
    assert "next: The messenger is asked" in output


def test_the_command_tells_it_as_json(processes: None) -> None:
    make_rows_of_all_kinds()
    code, output = run("--json")
    answer = json.loads(output)
    assert (code, len(answer["rows"])) == (3, len(Kind))


def test_the_metrics_count_each_kind(client: Client) -> None:
    make_row(Kind.OUTBOX)
    text = client.get("/-/metrics/").content.decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    samples = {sample.labels["kind"]: sample.value for sample in families["parley_stuck_rows"].samples}
    assert samples == {**dict.fromkeys([kind.value for kind in Kind], 0), "outbox": 1}
