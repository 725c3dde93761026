from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from customers.models import Apart, Identity, Merge
from tests.connect_bridge.api.kit import NOBODY, post, rows
from tests.factories import IdentityFactory

pytestmark = pytest.mark.django_db


def test_two_customers_are_merged_and_the_merge_is_undone(api: Client) -> None:
    older, younger = IdentityFactory(), IdentityFactory()
    merged = post(api, f"customers/{younger.customer_id}/merge", other=str(older.customer_id), reason="same voice")
    assert merged.json()["customer"] == str(older.customer_id)

    shown = api.get(f"/api/v1/customers/{older.customer_id}/").json()
    assert {identity["id"] for identity in shown["identities"]} == {str(older.pk), str(younger.pk)}
    hidden = api.get(f"/api/v1/customers/{younger.customer_id}/").json()
    assert (hidden["merged_into"], hidden["identities"]) == (str(older.customer_id), [])
    assert [row["id"] for row in rows(api, "customers", merged="false")] == [str(older.customer_id)]

    [merge] = rows(api, "merges", customer=str(older.customer_id), in_force="true")
    assert (merge["reason"], merge["made_by"]) == ("same voice", "admin")
    undone = post(api, f"merges/{merge['id']}/undo", reason="two sisters")
    assert set(undone.json()["customers"]) == {str(older.customer_id), str(younger.customer_id)}
    assert Apart.objects.count() == 1
    again = post(api, f"merges/{merge['id']}/undo")
    assert (again.status_code, again.json()["error"]) == (409, "not_in_force")


def test_who_is_one_already_is_told_without_a_merge(api: Client) -> None:
    first, other = (str(IdentityFactory().customer_id) for _ in range(2))
    post(api, f"customers/{first}/merge", other=other)
    assert post(api, f"customers/{other}/merge", other=first).json() == {"customer": first, "merge": None}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "other"),
        ({"other": "no-uuid"}, "other"),
        ({"other": NOBODY, "tenant": "x"}, "tenant"),
        ({"other": NOBODY, "reason": "\x00"}, "reason"),
    ],
)
def test_a_request_that_cannot_be_is_refused_by_field(api: Client, body: dict[str, Any], field: str) -> None:
    answer = post(api, f"customers/{IdentityFactory().customer_id}/merge", **body)
    assert answer.status_code == 400
    assert field in answer.json()


def test_nobody_is_merged_with_somebody_who_is_not_there(api: Client) -> None:
    answer = post(api, f"customers/{IdentityFactory().customer_id}/merge", other=NOBODY)
    assert (answer.status_code, answer.json()["error"]) == (409, "not_found")
    assert post(api, f"customers/{NOBODY}/merge", other=NOBODY).status_code == 404


def test_a_trusted_system_says_who_is_one_person_and_answers_for_it(api: Client) -> None:
    first, second, third = IdentityFactory.create_batch(3)
    named = [{"kind": each.kind, "external_id": each.external_id} for each in (first, second, third)]
    answer = post(api, "merges", identities=named, system="crm", reference="4711")
    assert answer.json()["customer"] == str(first.customer_id)
    assert set(Identity.objects.values_list("customer", flat=True)) == {first.customer_id}
    merge = Merge.objects.first()
    assert (merge.method, merge.evidence["system"], merge.evidence["reference"]) == ("assertion", "crm", "4711")


def test_a_word_about_somebody_whom_nobody_knows_changes_nothing(api: Client) -> None:
    named = [{"kind": "sms", "external_id": "+1"}, {"kind": "sms", "external_id": "+2"}]
    assert post(api, "merges", identities=named, system="crm").status_code == 404
    assert post(api, "merges", identities=named[:1], system="crm").status_code == 400


def test_a_word_that_a_person_denied_is_a_conflict_and_nothing_of_it_is_kept(api: Client) -> None:
    first, second, third = IdentityFactory.create_batch(3)
    post(api, f"customers/{first.customer_id}/keep-apart", other=str(third.customer_id))
    named = [{"kind": each.kind, "external_id": each.external_id} for each in (first, second, third)]
    answer = post(api, "merges", identities=named, system="crm")
    assert (answer.status_code, answer.json()["error"]) == (409, "kept_apart")
    assert not Merge.objects.exists()
