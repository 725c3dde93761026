"""Joining two customers and taking them apart, and link codes."""

from __future__ import annotations

import html

import pytest
from django.test import Client

from customers.code_format import link_codes_in
from customers.models import Apart, LinkCode, Merge
from tests.connect_bridge.customer_page.kit import Past, open_page
from tests.role_kit import client_of

pytestmark = pytest.mark.django_db


def test_two_are_joined_with_a_preview_a_reason_and_a_way_back(admin_client: Client, past: Past) -> None:
    path = f"/customers/{past.customer.pk}/join/?with={past.other.customer_id}"
    preview = html.unescape(admin_client.get(path).content.decode())
    assert 'go to <bdi class="mono">+34600112233</bdi>, as before' in preview
    assert "The same full name" in preview

    answer = admin_client.post(path, {"reason": "she said so"}, follow=True)
    page = html.unescape(answer.content.decode())
    assert "Now one customer" in page
    merge = Merge.objects.get(reason="she said so")
    assert (merge.made_by, merge.method) == ("admin", "person")

    parted = admin_client.post(f"/customers/merges/{merge.pk}/undo/", {"customer": str(past.customer.pk)}, follow=True)
    assert "Taken apart" in html.unescape(parted.content.decode())
    past.other.refresh_from_db()
    assert past.other.customer_id == past.other.home_id
    assert not Apart.objects.exists()


def test_a_merge_is_taken_apart_later_for_good(admin_client: Client, past: Past) -> None:
    merge = Merge.objects.get(method="person")
    form = {"customer": str(past.customer.pk), "reason": "two sisters", "keep_apart": "1"}
    admin_client.post(f"/customers/merges/{merge.pk}/undo/", form)
    twitter = past.chats["twitter"].identity
    twitter.refresh_from_db()
    assert twitter.customer_id == twitter.home_id
    assert Apart.objects.get().reason == "two sisters"
    again = admin_client.post(f"/customers/merges/{merge.pk}/undo/", form, follow=True)
    assert "undone already" in html.unescape(again.content.decode())


def test_a_dismissed_suggestion_is_gone(admin_client: Client, past: Past) -> None:
    admin_client.post(f"/customers/{past.customer.pk}/dismiss/", {"other": str(past.other.customer_id)})
    assert "The same person?" not in open_page(admin_client, past)


def test_a_link_code_is_shown_once_with_links_to_the_other_channels(admin_client: Client, past: Past) -> None:
    identity = past.chats["messenger"].identity
    answer = admin_client.post(f"/customers/{past.customer.pk}/code/", {"identity": str(identity.pk)}, follow=True)
    page = html.unescape(answer.content.decode())
    assert "https://wa.me/" in page
    assert "https://m.me/" not in page
    assert link_codes_in(page)
    assert LinkCode.objects.get().identity == identity
    assert not link_codes_in(open_page(admin_client, past))


def test_who_may_not_merge_gets_no_verbs(past: Past) -> None:
    manager = client_of("Manager")
    page = html.unescape(manager.get(f"/customers/{past.customer.pk}/").content.decode())
    assert "Take apart" not in page
    assert "The same person?" not in page
    merge = Merge.objects.first()
    assert manager.post(f"/customers/merges/{merge.pk}/undo/").status_code == 403
