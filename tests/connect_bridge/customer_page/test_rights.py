from __future__ import annotations

import html
from datetime import UTC, datetime

import pytest
from django.test import Client

from people.models import TranscriptRead
from tests.connect_bridge.customer_page.kit import Past, texts_on
from tests.role_kit import client_of

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("role", "sees", "searches"), [("Manager", "pedido", True), ("Viewer", "pedido", False), ("Auditor", "", False)]
)
def test_each_role_sees_its_share(past: Past, role: str, sees: str, searches) -> None:
    answer = client_of(role).get(f"/customers/{past.customer.pk}/")
    if not sees:
        assert answer.status_code == 403
        return
    assert ('type="search"' in answer.content.decode()) is searches
    assert TranscriptRead.objects.filter(by=role, what="customer", object_id=str(past.customer.pk)).exists()


def test_who_reads_with_numbers_hidden_finds_nothing_by_searching_for_them(past: Past) -> None:
    past.says("whatsapp", "My card is 4111 1111 1111 1111", datetime.now(UTC))
    viewer = client_of("Viewer")
    page = html.unescape(viewer.get(f"/customers/{past.customer.pk}/", {"q": "4111"}).content.decode())
    assert "4111" not in "".join(texts_on(page))
    assert len(texts_on(page)) == 8


def test_a_stranger_is_sent_to_sign_in(past: Past) -> None:
    for path in ("", f"{past.customer.pk}/", f"{past.customer.pk}/join/?with={past.other.customer_id}"):
        answer = Client().get(f"/customers/{path}")
        assert "login" in answer.headers["Location"]
