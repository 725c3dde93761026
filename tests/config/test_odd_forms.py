"""Odd values in every field of every form: an answer that says so, never one of our own mistakes."""

from __future__ import annotations

from collections.abc import Iterator

import lxml.html
import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client

from channels_app.models import BusinessHours, ChannelAccount, RoutingRule, SetupDraft
from connect_bridge.setup.steps import STEPS
from customers.models import Customer, IdentityAlias, Merge
from tests.factories import CustomerFactory
from tests.people.pages_kit import a_row_of_everything, addresses

#: One of each kind: what no column takes, what is too long or too deep, what is no date, number or id of ours.
ODD = (
    "\x00",
    "x" * 6_000,
    "[" * 3_000,
    "9" * 5_000,
    '{"a": "\\u0000"}',
    '{"a": "\\ud800"}',
    "0001-01-01",
    "²",
    "",
)
#: For every field of every form: what broke one, when nobody had tried it.
FEW = ODD[:3]
#: What belongs to the address of a page and is asked for at another one: signing out ends the test's own session.
NOT_ASKED = ("/logout/", "/set_language/")

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


@pytest.fixture
def client(admin_user: User) -> Client:
    a_row_of_everything()
    quiet = Client(raise_request_exception=False)
    quiet.force_login(admin_user)
    return quiet


def set_ups() -> Iterator[str]:
    """Yield every step of setting up an account, and of a draft of each messenger."""
    account = ChannelAccount.objects.order_by("created_at").first()
    assert account is not None
    yield from (f"/admin/channels/{account.pk}/{step}/" for step in STEPS)
    for kind in ("messenger", "twitter", "whatsapp"):
        draft = SetupDraft.objects.create(kind=kind, name="", credentials={}, by="a")
        yield f"/admin/channels/{draft.pk}/credentials/"


def forms(client: Client, address: str) -> Iterator[tuple[str, dict[str, list[str]], str]]:
    """Yield each field of each form on a page: where the form goes, what it would send untouched, the field's name."""
    answer = client.get(address)
    if answer.status_code != 200 or "html" not in answer.headers["Content-Type"]:
        return
    for form in lxml.html.fromstring(answer.content).forms:
        there = form.action or address
        if form.method != "POST" or there.endswith(NOT_ASKED):
            continue
        untouched: dict[str, list[str]] = {}
        for name, value in form.form_values():
            untouched.setdefault(name, []).append(value)
        for button in form.xpath(".//button[@name]|.//input[@type='submit'][@name]")[:1]:
            untouched[button.get("name")] = [button.get("value") or ""]
        for name in sorted({one.get("name") for one in form.xpath(".//*[@name]")} - {"csrfmiddlewaretoken"}):
            yield there, untouched, name


def is_broken(client: Client, there: str, data: dict[str, list[str]]) -> bool:
    """Send a form and say whether that was a mistake of ours; what it did is undone."""
    with transaction.atomic():
        answer = client.post(there, data)
        transaction.set_rollback(True)
    return answer.status_code >= 500


@pytest.mark.parametrize("part", range(8))
def test_no_odd_value_breaks_a_form(part: int, client: Client) -> None:
    by_route = [address for _, address in sorted(addresses().items())]
    everywhere = [*by_route, *set_ups(), "/accounts/tokens/", "/accounts/password/change/"]
    fields = [field for address in everywhere[part::8] for field in forms(client, address)]
    broken = [
        (there, name, value[:20])
        for there, untouched, name in fields
        for value in FEW
        if is_broken(client, there, {**untouched, name: [value]})
    ]

    assert broken == []
    assert len(fields) > 10, "there are forms on these pages, and none was found"


@pytest.mark.parametrize("value", ODD)
def test_no_odd_reason_breaks_what_is_decided_of_customers(value: str, client: Client) -> None:
    one, other, third = CustomerFactory(), CustomerFactory(), CustomerFactory()
    asked = [
        (f"/customers/{one.pk}/join/?with={other.pk}", {"reason": value}),
        (f"/customers/{one.pk}/dismiss/", {"reason": value, "other": str(third.pk)}),
        (f"/customers/{third.pk}/dismiss/", {"reason": "", "other": value}),
        (f"/customers/{third.pk}/erase/", {"reason": value, "sure": "1"}),
        (f"/customers/{one.pk}/code/", {"identity": value}),
    ]

    for address, data in asked:
        assert client.post(address, data).status_code < 500, address
    made = Merge.objects.get(undone_at=None, low__in=(one, other))
    assert client.post(f"/customers/merges/{made.pk}/undo/", {"reason": value, "customer": value}).status_code < 500
    assert Merge.objects.get(pk=made.pk).undone_at is not None
    assert Customer.objects.get(pk=third.pk).erased_at is not None


@pytest.mark.parametrize("value", ODD)
def test_odd_attributes_of_a_rule_are_refused_with_words(value: str, client: Client) -> None:
    account = ChannelAccount.objects.first()
    fields = {"account": account.pk, "position": 5, "words": "new", "connect_contact_flow_id": "", "enabled": "on"}

    answer = client.post("/admin/channels_app/routingrule/add/", {**fields, "attributes": value})

    if value == "":  # none: that is fine
        assert RoutingRule.objects.get(words="new").attributes == {}
    else:
        assert answer.status_code == 200
        assert any(word in answer.content.decode() for word in ("Give a JSON object of texts", "Enter a valid JSON"))
        assert not RoutingRule.objects.filter(words="new").exists()


@pytest.mark.parametrize("text", ['"\\u0000"', '"\\ud800"'])
@pytest.mark.parametrize("where", ['{{"facts": {{{0}: "a"}}}}', '{{"facts": {{"a": {0}}}}}', '{{"{1}": "a"}}'])
def test_the_api_takes_no_character_that_no_text_has(where: str, text: str, client: Client) -> None:
    customer = CustomerFactory()
    body = where.format(text, text.strip('"'))

    answer = client.patch(f"/api/v1/customers/{customer.pk}/", body, content_type="application/json")

    assert answer.status_code == 400
    assert answer.json()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("link-codes", '{"form": "\\ud800"}'),
        ("consents", '{"purposes": ["\\ud800"], "granted": "\\ud800"}'),
        ("merges", '{"identities": [{"kind": "\\ud800"}], "system": {"\\ud800": 1}}'),
    ],
)
def test_a_refusal_never_quotes_half_a_character(path: str, body: str, client: Client) -> None:
    assert client.post(f"/api/v1/{path}/", body, content_type="application/json").status_code == 400


def test_a_proof_is_named_by_text(client: Client) -> None:
    identity = IdentityAlias.objects.get().identity
    body = {"identity": str(identity.pk), "purposes": ["marketing"], "granted": True, "evidence": {"\x00": "a"}}

    answer = client.post("/api/v1/consents/", body, content_type="application/json")

    assert answer.status_code == 400
    assert "character" in answer.content.decode()


def test_a_reason_is_kept_without_what_no_text_has(client: Client) -> None:
    hours = BusinessHours.objects.get()
    address = f"/admin/channels_app/businesshours/{hours.pk}/change/"
    (there, untouched, _) = next(one for one in forms(client, address) if one[2] == "change_reason")

    client.post(there, {**untouched, "name": ["Renamed"], "change_reason": [" be\x00cause "]})

    assert hours.history.first().history_change_reason == "because"
