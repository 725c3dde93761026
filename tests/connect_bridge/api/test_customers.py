"""Customers over HTTP: who may do what, what is refused and in which words, and that it is done."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from connect_bridge.api.customers import VIEWS
from customers.models import Consent, Customer, IdentityAlias
from tests.connect_bridge.api.kit import NOBODY, one_of_each, patch, post, rows
from tests.factories import IdentityFactory

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("name", VIEWS)
def test_a_row_is_listed_and_given_by_its_id(api: Client, name: str) -> None:
    one_of_each()
    row = rows(api, name)[0]
    assert api.get(f"/api/v1/{name}/{row['id']}/").json() == row


@pytest.mark.parametrize("name", VIEWS)
def test_a_list_asks_the_database_as_often_for_many_rows_as_for_one(
    api: Client, django_assert_num_queries, name: str
) -> None:
    one_of_each()
    with CaptureQueriesContext(connection) as few:
        api.get(f"/api/v1/{name}/")
    for _ in range(4):
        one_of_each()
    with django_assert_num_queries(len(few)):
        api.get(f"/api/v1/{name}/")


@pytest.mark.parametrize("name", VIEWS)
def test_strangers_and_staff_without_permission_see_nothing(name: str) -> None:
    assert Client().get(f"/api/v1/{name}/").status_code == 401
    client = Client()
    client.force_login(User.objects.create_user("ops", is_staff=True))
    assert client.get(f"/api/v1/{name}/").status_code == 403


@pytest.mark.parametrize("name", VIEWS)
def test_an_unknown_parameter_is_refused_by_name(api: Client, name: str) -> None:
    assert "Unknown parameter" in api.get(f"/api/v1/{name}/", {"identity__secret": "a"}).json()["identity__secret"][0]


@pytest.mark.parametrize(
    ("verb", "permission"),
    [
        (lambda api, customer, other: post(api, f"customers/{customer}/merge", other=other), "merge_customer"),
        (lambda api, customer, other: post(api, f"customers/{customer}/keep-apart", other=other), "merge_customer"),
        (lambda api, customer, _: patch(api, f"customers/{customer}", locale="es"), "change_customer"),
        (lambda api, customer, _: post(api, "link-codes", customer=customer), "add_linkcode"),
    ],
)
def test_a_verb_needs_its_own_permission(verb: Any, permission: str) -> None:
    customer, other = (str(IdentityFactory().customer_id) for _ in range(2))
    user = User.objects.create_user("ana", is_staff=True)
    client = Client()
    client.force_login(user)
    may = Permission.objects.filter(codename__in=["view_customer", "view_linkcode"])
    user.user_permissions.set(may)
    assert verb(client, customer, other).status_code == 403
    user.user_permissions.set(may | Permission.objects.filter(codename=permission))
    assert verb(client, customer, other).status_code in (200, 201, 204)


def test_a_customer_is_found_by_what_messengers_call_them(api: Client) -> None:
    ana = IdentityFactory(kind="whatsapp", external_id="ES.1", handle="ana")
    IdentityAlias.objects.create(identity=ana, kind="whatsapp", type="phone", value="+34600")
    IdentityFactory()
    for params in ({"phone": "+34600"}, {"handle": "ana"}, {"external_id": "ES.1"}):
        assert [row["id"] for row in rows(api, "customers", **params)] == [str(ana.customer_id)], params


def test_facts_are_replaced_and_their_names_are_connects(api: Client) -> None:
    customer = IdentityFactory().customer
    path = f"customers/{customer.pk}"
    assert patch(api, path, facts={"open_orders": "2"}, preferred_channel="whatsapp").status_code == 200
    customer.refresh_from_db()
    assert (customer.facts, customer.preferred_channel) == ({"open_orders": "2"}, "whatsapp")
    assert "names are letters" in patch(api, path, facts={"open orders": "2"}).json()["facts"][0]
    assert patch(api, path, facts={str(number): "x" for number in range(51)}).status_code == 400
    assert patch(api, path, merged_into=NOBODY).json()["merged_into"][0].startswith("Unknown field")
    assert patch(api, path).status_code == 400


def test_an_id_that_is_not_shown_any_more_is_not_changed(api: Client) -> None:
    customer, other = (str(IdentityFactory().customer_id) for _ in range(2))
    post(api, f"customers/{customer}/merge", other=other)
    assert patch(api, f"customers/{other}", locale="es").json()["error"] == "not_shown"


def test_a_decision_made_elsewhere_counts_for_all_identities_of_a_channel(api: Client) -> None:
    identity = IdentityFactory()
    IdentityFactory(customer=identity.customer, home=identity.customer)
    IdentityFactory(customer=identity.customer, home=identity.customer, kind="twitter")
    body = {"customer": str(identity.customer_id), "channel": "whatsapp", "purposes": ["marketing"], "granted": True}
    answer = post(api, "consents", **body, evidence={"form": "shop", "ip": "none"})
    assert answer.status_code == 201
    assert len(answer.json()) == Consent.objects.count() == 2
    assert Consent.objects.first().evidence == {"form": "shop", "ip": "none"}
    assert len(rows(api, "consents", customer=str(identity.customer_id), purpose="marketing")) == 2


@pytest.mark.parametrize(
    "body",
    [
        {"purposes": ["marketing"], "granted": True},
        {"customer": NOBODY, "purposes": ["marketing"], "granted": True},
        {"customer": NOBODY, "channel": "sms", "purposes": ["marketing"], "granted": True},
        {"identity": NOBODY, "purposes": ["fun"], "granted": True},
        {"identity": NOBODY, "purposes": [], "granted": True},
    ],
)
def test_a_decision_about_nobody_or_nothing_is_refused(api: Client, body: dict[str, Any]) -> None:
    assert post(api, "consents", **body).status_code == 400


def test_suggestions_are_told_with_their_reasons(api: Client) -> None:
    ana = IdentityFactory(kind="twitter", handle="ana_lopez")
    other = IdentityFactory(kind="instagram", handle="Ana_Lopez")
    [suggestion] = api.get(f"/api/v1/customers/{ana.customer_id}/suggestions/").json()
    assert suggestion["customer"] == str(other.customer_id)
    assert suggestion["speaks_for"] == [{"weight": 0.5, "text": "the same handle, @ana_lopez"}]


def test_the_schema_describes_every_verb(admin_client: Client) -> None:
    schema = admin_client.get("/api/schema/").content.decode()
    assert all(f"/api/v1/{name}/:" in schema for name in VIEWS)
    assert "/api/v1/merges/{id}/undo/:" in schema
    assert "/api/v1/customers/{id}/keep-apart/:" in schema


def test_nothing_is_deleted_over_the_api(api: Client) -> None:
    one_of_each()
    for name in VIEWS:
        assert api.delete(f"/api/v1/{name}/{rows(api, name)[0]['id']}/").status_code == 405
    assert Customer.objects.count() == 2
