from __future__ import annotations

import html

import pytest
from django.test import Client

from connect_bridge.models import Contact
from tests.connect_bridge.customer_page.kit import Past, ana

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("term", ["+34600112233", "ana_lopez", "@ANA_LOPEZ", "Lopez Ana", "7100000000000101"])
def test_a_customer_is_found_by_number_handle_name_and_id(admin_client: Client, past: Past, term: str) -> None:
    answer = admin_client.get("/customers/", {"q": term}, follow=True)
    assert "Ana López" in html.unescape(answer.content.decode())


def test_any_id_that_somebody_quotes_finds_the_customer(admin_client: Client, past: Past) -> None:
    contact = Contact.objects.first()
    chat = past.chats["whatsapp"]
    for term in (
        past.customer.pk,
        chat.pk,
        chat.identity.pk,
        chat.identity.home_id,
        contact.pk,
        contact.initial_contact_id,
    ):
        answer = admin_client.get("/customers/", {"q": str(term)})
        assert answer.headers["Location"] == f"/customers/{past.customer.pk}/", term


def test_the_list_says_who_wrote_last_and_what_to_do_when_nobody_did(admin_client: Client) -> None:
    assert "No customer has written yet" in admin_client.get("/customers/").content.decode()
    assert "Nobody is found" in admin_client.get("/customers/", {"q": "zzz\0"}).content.decode()
    past = ana()
    assert f"/customers/{past.customer.pk}/" in admin_client.get("/customers/").content.decode()
    assert "Ana López" in html.unescape(admin_client.get("/customers/", {"q": "López"}, follow=True).content.decode())
