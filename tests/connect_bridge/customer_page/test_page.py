"""The customer's page: who it is, all that was said in one stream, and joining and parting two of them."""

from __future__ import annotations

import html
import re
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from connect_bridge.customer_page import sentiment
from connect_bridge.customer_page.sentiment import MessageSentiment, Trend
from connect_bridge.customer_page.timeline import PAGE
from connect_bridge.models import Contact, Message
from connect_bridge.relay.agent_link import agent_link
from customers.code_format import link_codes_in
from customers.models import Apart, Identity, IdentityChange, LinkCode, Merge
from people.models import TranscriptRead
from tests.connect_bridge.customer_page.kit import Past, ana, many
from tests.factories import IdentityFactory, MessageFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def past() -> Past:
    return ana()


def opened(client: Client, past: Past, **query: Any) -> str:
    answer = client.get(f"/customers/{past.customer.pk}/", query)
    assert answer.status_code == 200, answer.status_code
    return html.unescape(answer.content.decode())


def lines(page: str) -> list[str]:
    return re.findall(r'<div class="text" dir="auto">(.*?)</div>', page, re.DOTALL)


def client_of(role: str) -> Client:
    user = User.objects.create_user(role)
    user.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(user)
    return client


def test_one_stream_holds_all_channels_in_order_with_days_chats_and_hand_overs(
    admin_client: Client, past: Past
) -> None:
    page = opened(admin_client, past)
    said = lines(page)
    assert said[:4] == [
        "¡Hola! ¿Dónde está mi pedido?",
        "Thank you for writing to Acme.",
        "Hello Ana, one moment.",
        "It left yesterday.",
    ]
    assert said[4].startswith("It still has not arrived.")
    assert len(said) == 7
    assert len(re.findall('class="between day"', page)) >= 2
    assert "Chat on Messenger ·" in page
    assert "Chat on Messenger ended ·" in page
    assert "the bot → Ada" in page
    assert "read" in page
    assert "Outside of the 24-hour window." in page


def test_the_header_says_who_it_is_how_we_know_and_where_one_can_answer(admin_client: Client, past: Past) -> None:
    page = opened(admin_client, past)
    for shown in (
        "Name from Messenger",
        "One person: decided by a colleague",
        "Prefers whatsapp",
        "Language es_ES",
        "@ana_lopez",
        "Window closed",
        "Answer within 2",
        "No time limit",
        "Chat open with Ben",
        "Tied to the others by a link code",
        "Handle was",
        "anita",
        "open_orders",
        "the same full name, which 2 identities have",
    ):
        assert shown in page, shown


def test_an_id_that_was_merged_leads_to_the_one_that_is_shown(admin_client: Client, past: Past) -> None:
    younger = past.chats["twitter"].identity.home_id
    answer = admin_client.get(f"/customers/{younger}/?who=agent")
    assert answer.headers["Location"] == f"/customers/{past.customer.pk}/?who=agent"


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
    page = opened(admin_client, past, **query)
    said = lines(page)
    assert len(said) == len(expected)
    assert all(text.startswith(begin) for text, begin in zip(said, expected, strict=True))
    assert ("Nothing fits these filters" in page) is not expected


def test_one_chat_can_be_read_alone(admin_client: Client, past: Past) -> None:
    contact = Contact.objects.get(state="ended")
    assert len(lines(opened(admin_client, past, contact=contact.pk))) == 4


def test_pages_follow_one_another_without_gap_or_repeat(admin_client: Client, past: Past) -> None:
    many(past, 3 * PAGE)
    total = Message.objects.count()
    address, seen = f"/customers/{past.customer.pk}/", []
    while address:
        page = html.unescape(admin_client.get(address).content.decode())
        seen = lines(page) + seen
        older = re.search(r'href="(\?[^"]*before=[^"]+)">Older', page)
        address = f"/customers/{past.customer.pk}/{older[1]}" if older else ""
    assert len(seen) == total
    assert len(set(seen)) == len(seen)


def test_the_way_back_is_the_way_there(admin_client: Client, past: Past) -> None:
    many(past, 2 * PAGE)
    latest = opened(admin_client, past)
    older = parse_qs(urlsplit(re.search(r'href="(\?[^"]*before=[^"]+)">Older', latest)[1]).query)["before"][0]
    before = opened(admin_client, past, before=older)
    newer = parse_qs(urlsplit(re.search(r'href="(\?[^"]*after=[^"]+)">Newer', before)[1]).query)["after"][0]
    assert lines(opened(admin_client, past, after=newer)) == lines(latest)


def test_a_link_to_a_message_opens_its_page_around_it(admin_client: Client, past: Past) -> None:
    many(past, 5 * PAGE)
    wanted = Message.objects.get(text__startswith="Line 40 of")
    page = opened(admin_client, past, at=wanted.pk)
    said = lines(page)
    assert said[PAGE // 2].startswith("Line 40 of") or len(said) < PAGE
    assert f'id="m-{wanted.pk}"' in page
    assert f'data-target="m-{wanted.pk}"' in page


def test_a_day_on_the_map_opens_at_its_beginning(admin_client: Client, past: Past) -> None:
    many(past, 5 * PAGE)
    day = (datetime.now(UTC) - timedelta(days=2)).date()
    first = Message.objects.filter(created_at__date=day).order_by("created_at").first()
    assert f'href="?day={day.isoformat()}"' in opened(admin_client, past)
    assert f'id="m-{first.pk}"' in opened(admin_client, past, day=day.isoformat())


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
        opened(admin_client, past)
    many(past, 1_000)
    IdentityFactory.create_batch(3, customer=past.customer, home=past.customer)
    with django_assert_num_queries(len(few)):
        opened(admin_client, past)
    assert len(few) <= 24


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
    assert "4111" not in "".join(lines(page))
    assert len(lines(page)) == 8


def test_a_stranger_is_sent_to_sign_in(past: Past) -> None:
    for path in ("", f"{past.customer.pk}/", f"{past.customer.pk}/join/?with={past.other.customer_id}"):
        answer = Client().get(f"/customers/{path}")
        assert "login" in answer.headers["Location"]


def test_two_are_joined_with_a_preview_a_reason_and_a_way_back(admin_client: Client, past: Past) -> None:
    path = f"/customers/{past.customer.pk}/join/?with={past.other.customer_id}"
    preview = html.unescape(admin_client.get(path).content.decode())
    assert 'go to <bdi class="mono">+34600112233</bdi>, as before' in preview
    assert "The same full name" in preview

    done = admin_client.post(path, {"reason": "she said so"}, follow=True)
    page = html.unescape(done.content.decode())
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
    given = {"customer": str(past.customer.pk), "reason": "two sisters", "keep_apart": "1"}
    admin_client.post(f"/customers/merges/{merge.pk}/undo/", given)
    twitter = past.chats["twitter"].identity
    twitter.refresh_from_db()
    assert twitter.customer_id == twitter.home_id
    assert Apart.objects.get().reason == "two sisters"
    again = admin_client.post(f"/customers/merges/{merge.pk}/undo/", given, follow=True)
    assert "undone already" in html.unescape(again.content.decode())


def test_a_dismissed_suggestion_is_gone(admin_client: Client, past: Past) -> None:
    admin_client.post(f"/customers/{past.customer.pk}/dismiss/", {"other": str(past.other.customer_id)})
    assert "The same person?" not in opened(admin_client, past)


def test_a_link_code_is_shown_once_with_links_to_the_other_channels(admin_client: Client, past: Past) -> None:
    identity = past.chats["messenger"].identity
    done = admin_client.post(f"/customers/{past.customer.pk}/code/", {"identity": str(identity.pk)}, follow=True)
    page = html.unescape(done.content.decode())
    assert "https://wa.me/" in page
    assert "https://m.me/" not in page
    assert link_codes_in(page)
    assert LinkCode.objects.get().identity == identity
    assert not link_codes_in(opened(admin_client, past))


def test_who_may_not_merge_gets_no_verbs(past: Past) -> None:
    manager = client_of("Manager")
    page = html.unescape(manager.get(f"/customers/{past.customer.pk}/").content.decode())
    assert "Take apart" not in page
    assert "The same person?" not in page
    merge = Merge.objects.first()
    assert manager.post(f"/customers/merges/{merge.pk}/undo/").status_code == 403


def test_sentiment_shows_where_somebody_installed_it(admin_client: Client, past: Past, monkeypatch) -> None:
    class Scores:
        def of_messages(self, messages: Any) -> dict[Any, MessageSentiment]:
            scored = MessageSentiment(label="negative", score=-0.6, unsure=True, detail="P(negative) 0.6")
            return dict.fromkeys(messages, scored)

        def trend(self, _conversations: Any, _days: int) -> Trend:
            return Trend(days=((date(2026, 1, 1), -0.5, 3), (date(2026, 1, 5), 0.1, 3)), label="neutral")

    monkeypatch.setattr(sentiment, "_installed", [Scores()])
    page = opened(admin_client, past)
    assert '<span class="mark negative unsure" title="P(negative) 0.6">-60</span>' in page
    assert "over 6 messages (small sample)" in page
    assert "From -50 on 1 Jan to +10 on 5 Jan" in page


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


# ── the page in an agent's workspace ──


def agents(contact: Contact) -> str:
    return urlsplit(agent_link(contact.pk)).path


def test_the_agents_page_shows_the_customer_of_the_chat_without_a_login_or_a_verb(past: Past) -> None:
    answer = Client().get(agents(Contact.objects.get(state="connected")))
    page = html.unescape(answer.content.decode())
    assert "Ana López" in page
    assert "It left yesterday." in page
    assert "<form method" not in page
    assert not answer.cookies
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "no-store" in answer.headers["Cache-Control"]


def test_only_the_workspace_may_frame_it(past: Past, admin_client: Client) -> None:
    framed = Client().get(agents(Contact.objects.get(state="connected"))).headers
    assert "frame-ancestors https://*.my.connect.aws https://*.awsapps.com" in framed["Content-Security-Policy"]
    assert "X-Frame-Options" not in framed
    page = admin_client.get(f"/customers/{past.customer.pk}/").headers
    assert "frame-ancestors 'none'" in page["Content-Security-Policy"]
    assert page["X-Frame-Options"] == "DENY"


def test_an_altered_link_opens_nothing(past: Past) -> None:
    path = agents(Contact.objects.get(state="connected"))
    other = Contact.objects.get(state="ended").pk.hex
    for altered in (path[:-2] + "/", re.sub("[0-9a-f]{32}", other, path), "/agent/x/", "/agent/%00/"):
        assert Client().get(altered).status_code == 404


def test_a_link_ends_a_day_after_its_chat(past: Past) -> None:
    contact = Contact.objects.get(state="connected")
    path = agents(contact)
    Contact.objects.filter(pk=contact.pk).update(state="ended", ended_at=datetime.now(UTC) - timedelta(hours=23))
    assert Client().get(path).status_code == 200
    Contact.objects.filter(pk=contact.pk).update(ended_at=datetime.now(UTC) - timedelta(hours=25))
    assert Client().get(path).status_code == 404


def test_a_link_to_a_chat_that_never_ends_ends_all_the_same(past: Past) -> None:
    path = agents(Contact.objects.get(state="connected"))
    with time_machine.travel(datetime.now(UTC) + timedelta(days=9)):
        assert Client().get(path).status_code == 404


def test_a_number_with_a_new_owner_comes_with_a_caution_beside_the_chat_and_on_the_page(
    past: Past, admin_client: Client
) -> None:
    contact = Contact.objects.get(state="connected")
    paths = (agents(contact), f"/customers/{past.customer.pk}/")
    before = [admin_client.get(path).content.decode() for path in paths]
    change = {"identity": contact.conversation.identity, "field": "bsuid", "old": "ES.1", "new": "ES.2"}
    IdentityChange.objects.create(**change, source="webhook", at=datetime.now(UTC))
    after = [admin_client.get(path).content.decode() for path in paths]
    IdentityChange.objects.update(at=datetime.now(UTC) - timedelta(days=91))
    long_after = admin_client.get(paths[0]).content.decode()

    assert not any("may have a new owner" in page for page in (*before, long_after))
    assert all("may have a new owner" in page for page in after)
