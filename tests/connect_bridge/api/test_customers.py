"""Customers over HTTP: who may do what, what is refused and in which words, and that it is done."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from connect_bridge.api.customers import VIEWS
from connect_bridge.models import Message, OutboxEntry
from customers.codes import make_link_code
from customers.models import Apart, Consent, Customer, Identity, IdentityAlias, LinkCode, Merge
from tests.factories import ChannelAccountFactory, ConversationFactory, IdentityFactory

pytestmark = pytest.mark.django_db

NOBODY = "0e4f2a11-0000-4000-8000-000000000000"


@pytest.fixture
def api(admin_client: Client) -> Client:
    return admin_client


def post(api: Client, path: str, **body: Any) -> Any:
    return api.post(f"/api/v1/{path}/", body, content_type="application/json")


def patch(api: Client, path: str, **body: Any) -> Any:
    return api.patch(f"/api/v1/{path}/", body, content_type="application/json")


def rows(api: Client, name: str, **parameters: object) -> list[dict[str, Any]]:
    answer = api.get(f"/api/v1/{name}/", parameters)
    assert answer.status_code == 200, answer.content
    return answer.json()["results"]


def one_of_each() -> None:
    one, other = IdentityFactory(), IdentityFactory()
    low, high = sorted((one.home_id, other.home_id))
    Merge.objects.create(low_id=low, high_id=high, method="person", made_at=one.created_at, undone_at=one.created_at)
    make_link_code(one.home_id, one.pk, by="ana")
    Consent.objects.create(identity=one, purpose="marketing", granted=True, source="api", at=one.created_at)


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
        (lambda api, one, other: post(api, f"customers/{one}/merge", other=other), "merge_customer"),
        (lambda api, one, other: post(api, f"customers/{one}/keep-apart", other=other), "merge_customer"),
        (lambda api, one, _: patch(api, f"customers/{one}", locale="es"), "change_customer"),
        (lambda api, one, _: post(api, "link-codes", customer=one), "add_linkcode"),
    ],
)
def test_a_verb_needs_its_own_permission(verb: Any, permission: str) -> None:
    one, other = (str(IdentityFactory().customer_id) for _ in range(2))
    user = User.objects.create_user("ana", is_staff=True)
    client = Client()
    client.force_login(user)
    may = Permission.objects.filter(codename__in=["view_customer", "view_linkcode"])
    user.user_permissions.set(may)
    assert verb(client, one, other).status_code == 403
    user.user_permissions.set(may | Permission.objects.filter(codename=permission))
    assert verb(client, one, other).status_code in (200, 201, 204)


def test_two_customers_are_merged_and_the_merge_is_undone(api: Client) -> None:
    older, younger = IdentityFactory(), IdentityFactory()
    merged = post(api, f"customers/{younger.customer_id}/merge", other=str(older.customer_id), reason="same voice")
    assert merged.json()["customer"] == str(older.customer_id)

    shown = api.get(f"/api/v1/customers/{older.customer_id}/").json()
    assert {one["id"] for one in shown["identities"]} == {str(older.pk), str(younger.pk)}
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
    one, other = (str(IdentityFactory().customer_id) for _ in range(2))
    post(api, f"customers/{one}/merge", other=other)
    assert post(api, f"customers/{other}/merge", other=one).json() == {"customer": one, "merge": None}


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
    one, two, three = IdentityFactory.create_batch(3)
    named = [{"kind": each.kind, "external_id": each.external_id} for each in (one, two, three)]
    answer = post(api, "merges", identities=named, system="crm", reference="4711")
    assert answer.json()["customer"] == str(one.customer_id)
    assert set(Identity.objects.values_list("customer", flat=True)) == {one.customer_id}
    merge = Merge.objects.first()
    assert (merge.method, merge.evidence["system"], merge.evidence["reference"]) == ("assertion", "crm", "4711")


def test_a_word_about_somebody_whom_nobody_knows_changes_nothing(api: Client) -> None:
    named = [{"kind": "sms", "external_id": "+1"}, {"kind": "sms", "external_id": "+2"}]
    assert post(api, "merges", identities=named, system="crm").status_code == 404
    assert post(api, "merges", identities=named[:1], system="crm").status_code == 400


def test_a_word_that_a_person_denied_is_a_conflict_and_nothing_of_it_is_kept(api: Client) -> None:
    one, two, three = IdentityFactory.create_batch(3)
    post(api, f"customers/{one.customer_id}/keep-apart", other=str(three.customer_id))
    named = [{"kind": each.kind, "external_id": each.external_id} for each in (one, two, three)]
    answer = post(api, "merges", identities=named, system="crm")
    assert (answer.status_code, answer.json()["error"]) == (409, "kept_apart")
    assert not Merge.objects.exists()


def test_a_customer_is_found_by_what_messengers_call_them(api: Client) -> None:
    ana = IdentityFactory(kind="whatsapp", external_id="ES.1", handle="ana")
    IdentityAlias.objects.create(identity=ana, kind="whatsapp", type="phone", value="+34600")
    IdentityFactory()
    for asked in ({"phone": "+34600"}, {"handle": "ana"}, {"external_id": "ES.1"}):
        assert [row["id"] for row in rows(api, "customers", **asked)] == [str(ana.customer_id)], asked


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
    one, other = (str(IdentityFactory().customer_id) for _ in range(2))
    post(api, f"customers/{one}/merge", other=other)
    assert patch(api, f"customers/{other}", locale="es").json()["error"] == "not_shown"


def test_a_link_code_comes_with_links_to_every_account_that_can_be_linked_to(api: Client) -> None:
    ChannelAccountFactory(kind="whatsapp", address="+34911")
    ChannelAccountFactory(kind="messenger", address="2001")
    ChannelAccountFactory(kind="twitter", address="3001")
    ChannelAccountFactory(kind="twitter", enabled=False)
    identity = IdentityFactory(kind="messenger")
    handed = post(api, "link-codes", identity=str(identity.pk), greeting="Hi!").json()
    code, links = handed["code"], {one["kind"]: one["url"] for one in handed["links"]}
    assert links["whatsapp"].startswith("https://wa.me/34911?text=Hi%21%20PARLEY-")
    assert links["messenger"] == f"https://m.me/2001?ref={code}"
    compose = parse_qs(urlsplit(links["twitter"]).query)
    assert compose == {"recipient_id": ["3001"], "text": [f"Hi! {code}"]}
    assert len(links) == 3
    assert code not in str(rows(api, "link-codes"))


@pytest.mark.parametrize("body", [{}, {"customer": NOBODY}, {"identity": NOBODY}, {"form": "one_time"}, {"form": "x"}])
def test_a_code_for_nobody_is_refused(api: Client, body: dict[str, str]) -> None:
    assert post(api, "link-codes", **body).status_code in (400, 404)
    assert not LinkCode.objects.exists()


def test_a_one_time_code_goes_out_on_the_channel_that_it_proves(api: Client) -> None:
    chat, typing = ConversationFactory(), IdentityFactory(kind="twitter")
    answer = post(api, "link-codes", form="one_time", identity=str(chat.identity.pk), typed_by=str(typing.pk))
    assert (answer.status_code, answer.json()["code"]) == (201, None)
    sent = OutboxEntry.objects.get()
    assert sent.conversation == chat
    assert sent.text.startswith("Your code is ")
    message = Message.objects.get()
    assert (message.role, message.author, message.sequence) == ("SYSTEM", "Parley", 1)


def test_a_one_time_code_is_not_promised_where_it_cannot_arrive(api: Client) -> None:
    typing = IdentityFactory(kind="twitter")
    silent = IdentityFactory()
    late = ConversationFactory(last_inbound_at="2020-01-01T00:00:00Z").identity
    suppressed = ConversationFactory().identity
    Identity.objects.filter(pk=suppressed.pk).update(suppressed_at=suppressed.created_at)
    for identity, why in ((silent, "never wrote"), (late, "too long ago"), (suppressed, "STOP")):
        answer = post(api, "link-codes", form="one_time", identity=str(identity.pk), typed_by=str(typing.pk))
        assert (answer.status_code, answer.json()["error"]) == (409, "cannot_send")
        assert why in answer.json()["detail"]
    assert not OutboxEntry.objects.exists()


def test_a_decision_made_elsewhere_counts_for_all_identities_of_a_channel(api: Client) -> None:
    one = IdentityFactory()
    IdentityFactory(customer=one.customer, home=one.customer)
    IdentityFactory(customer=one.customer, home=one.customer, kind="twitter")
    body = {"customer": str(one.customer_id), "channel": "whatsapp", "purposes": ["marketing"], "granted": True}
    answer = post(api, "consents", **body, evidence={"form": "shop", "ip": "none"})
    assert answer.status_code == 201
    assert len(answer.json()) == Consent.objects.count() == 2
    assert Consent.objects.first().evidence == {"form": "shop", "ip": "none"}
    assert len(rows(api, "consents", customer=str(one.customer_id), purpose="marketing")) == 2


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
    [found] = api.get(f"/api/v1/customers/{ana.customer_id}/suggestions/").json()
    assert found["customer"] == str(other.customer_id)
    assert found["speaks_for"] == [{"weight": 0.5, "text": "the same handle, @ana_lopez"}]


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
