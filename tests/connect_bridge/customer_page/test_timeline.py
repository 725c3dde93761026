"""All that was said with a customer, in one stream."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from connect_bridge.customer_page.timeline_queries import PAGE
from connect_bridge.models import Contact, Message
from customers.models import Identity
from tests.connect_bridge.customer_page.kit import Past, many, open_page, texts_on
from tests.factories import IdentityFactory, MessageFactory

pytestmark = pytest.mark.django_db


def test_one_stream_holds_all_channels_in_order_with_days_chats_and_hand_overs(
    admin_client: Client, past: Past
) -> None:
    page = open_page(admin_client, past)
    texts = texts_on(page)
    assert texts[:4] == [
        "¡Hola! ¿Dónde está mi pedido?",
        "Thank you for writing to Acme.",
        "Hello Ana, one moment.",
        "It left yesterday.",
    ]
    assert texts[4].startswith("It still has not arrived.")
    assert len(texts) == 7
    assert len(re.findall('class="between day"', page)) >= 2
    assert "Chat on Messenger ·" in page
    assert "Chat on Messenger ended ·" in page
    assert "the bot → Ada" in page
    assert "read" in page
    assert "Outside of the 24-hour window." in page


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"channel": "whatsapp"}, ["It still", "I am sorry", "שלום"]),
        ({"who": "bot"}, ["Thank you"]),
        ({"who": "agent", "channel": ["whatsapp", "twitter"]}, ["I am sorry"]),
        ({"problems": "1"}, ["I am sorry"]),
        ({"q": "pedido"}, ["¡Hola!"]),
        ({"q": "100%_"}, []),
        ({"q": "third time", "who": "customer"}, ["It still"]),
    ],
)
def test_filters_and_search_leave_what_fits(admin_client: Client, past: Past, query, expected) -> None:
    page = open_page(admin_client, past, **query)
    texts = texts_on(page)
    assert len(texts) == len(expected)
    assert all(text.startswith(begin) for text, begin in zip(texts, expected, strict=True))
    assert ("Nothing fits these filters" in page) is not expected


def test_one_chat_can_be_read_alone(admin_client: Client, past: Past) -> None:
    contact = Contact.objects.get(state="ended")
    assert len(texts_on(open_page(admin_client, past, contact=contact.pk))) == 4


def test_pages_follow_one_another_without_gap_or_repeat(admin_client: Client, past: Past) -> None:
    many(past, 3 * PAGE)
    total = Message.objects.count()
    address, seen = f"/customers/{past.customer.pk}/", []
    while address:
        page = html.unescape(admin_client.get(address).content.decode())
        seen = texts_on(page) + seen
        older = re.search(r'href="(\?[^"]*before=[^"]+)">Older', page)
        address = f"/customers/{past.customer.pk}/{older[1]}" if older else ""
    assert len(seen) == total
    assert len(set(seen)) == len(seen)


def test_the_way_back_is_the_way_there(admin_client: Client, past: Past) -> None:
    many(past, 2 * PAGE)
    latest = open_page(admin_client, past)
    older = parse_qs(urlsplit(re.search(r'href="(\?[^"]*before=[^"]+)">Older', latest)[1]).query)["before"][0]
    before = open_page(admin_client, past, before=older)
    newer = parse_qs(urlsplit(re.search(r'href="(\?[^"]*after=[^"]+)">Newer', before)[1]).query)["after"][0]
    assert texts_on(open_page(admin_client, past, after=newer)) == texts_on(latest)


def test_a_link_to_a_message_opens_its_page_around_it(admin_client: Client, past: Past) -> None:
    many(past, 5 * PAGE)
    message = Message.objects.get(text__startswith="Line 40 of")
    page = open_page(admin_client, past, at=message.pk)
    texts = texts_on(page)
    assert texts[PAGE // 2].startswith("Line 40 of") or len(texts) < PAGE
    assert f'id="m-{message.pk}"' in page
    assert f'data-target="m-{message.pk}"' in page


def test_a_day_on_the_map_opens_at_its_beginning(admin_client: Client, past: Past) -> None:
    many(past, 5 * PAGE)
    day = (datetime.now(UTC) - timedelta(days=2)).date()
    first = Message.objects.filter(created_at__date=day).order_by("created_at").first()
    assert f'href="?day={day.isoformat()}"' in open_page(admin_client, past)
    assert f'id="m-{first.pk}"' in open_page(admin_client, past, day=day.isoformat())


@pytest.mark.parametrize(
    "query",
    [
        {"at": "0e4f2a11-0000-4000-8000-000000000000"},
        {"at": "x"},
        {"before": "x"},
        {"after": "////"},
        {"before": "MjAyNg"},
        {"contact": "x"},
        {"day": "2026-13-01"},
    ],
)
def test_a_place_that_is_not_this_customers_is_not_found(admin_client: Client, past: Past, query) -> None:
    assert admin_client.get(f"/customers/{past.customer.pk}/", query).status_code == 404


def test_another_customers_message_is_not_found_here(admin_client: Client, past: Past) -> None:
    message = MessageFactory()
    assert admin_client.get(f"/customers/{past.customer.pk}/", {"at": message.pk}).status_code == 404


def test_what_somebody_wrote_is_text_and_never_markup(admin_client: Client, past: Past) -> None:
    evil = "<script>alert(1)</script>"
    past.says("whatsapp", evil, datetime.now(UTC), author=evil)
    Identity.objects.filter(kind="whatsapp").update(display_name=evil, handle=evil)
    page = admin_client.get(f"/customers/{past.customer.pk}/").content.decode()
    assert evil not in page
    assert html.escape(evil) in page


def test_ten_thousand_messages_take_as_many_queries_as_ten(
    admin_client: Client, past: Past, django_assert_num_queries: Any
) -> None:
    with CaptureQueriesContext(connection) as few:
        open_page(admin_client, past)
    many(past, 1_000)
    IdentityFactory.create_batch(3, customer=past.customer, home=past.customer)
    with django_assert_num_queries(len(few)):
        open_page(admin_client, past)
    assert len(few) <= 24
