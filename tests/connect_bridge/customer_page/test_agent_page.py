"""The page in an agent's workspace."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.test import Client

from connect_bridge.models import Contact
from customers.models import IdentityChange
from tests.connect_bridge.customer_page.kit import Past, agent_path

pytestmark = pytest.mark.django_db


def test_the_agents_page_shows_the_customer_of_the_chat_without_a_login_or_a_verb(past: Past) -> None:
    answer = Client().get(agent_path(Contact.objects.get(state="connected")))
    page = html.unescape(answer.content.decode())
    assert "Ana López" in page
    assert "It left yesterday." in page
    assert "<form method" not in page
    assert not answer.cookies
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "no-store" in answer.headers["Cache-Control"]


def test_only_the_workspace_may_frame_it(past: Past, admin_client: Client) -> None:
    framed = Client().get(agent_path(Contact.objects.get(state="connected"))).headers
    assert "frame-ancestors https://*.my.connect.aws https://*.awsapps.com" in framed["Content-Security-Policy"]
    assert "X-Frame-Options" not in framed
    page = admin_client.get(f"/customers/{past.customer.pk}/").headers
    assert "frame-ancestors 'none'" in page["Content-Security-Policy"]
    assert page["X-Frame-Options"] == "DENY"


def test_an_altered_link_opens_nothing(past: Past) -> None:
    path = agent_path(Contact.objects.get(state="connected"))
    other = Contact.objects.get(state="ended").pk.hex
    for altered in (path[:-2] + "/", re.sub("[0-9a-f]{32}", other, path), "/agent/x/", "/agent/%00/"):
        assert Client().get(altered).status_code == 404


def test_a_link_ends_a_day_after_its_chat(past: Past) -> None:
    contact = Contact.objects.get(state="connected")
    path = agent_path(contact)
    Contact.objects.filter(pk=contact.pk).update(state="ended", ended_at=datetime.now(UTC) - timedelta(hours=23))
    assert Client().get(path).status_code == 200
    Contact.objects.filter(pk=contact.pk).update(ended_at=datetime.now(UTC) - timedelta(hours=25))
    assert Client().get(path).status_code == 404


def test_a_link_to_a_chat_that_never_ends_ends_all_the_same(past: Past) -> None:
    path = agent_path(Contact.objects.get(state="connected"))
    with time_machine.travel(datetime.now(UTC) + timedelta(days=9)):
        assert Client().get(path).status_code == 404


def test_a_number_with_a_new_owner_comes_with_a_caution_beside_the_chat_and_on_the_page(
    past: Past, admin_client: Client
) -> None:
    contact = Contact.objects.get(state="connected")
    paths = (agent_path(contact), f"/customers/{past.customer.pk}/")
    before = [admin_client.get(path).content.decode() for path in paths]
    change = {"identity": contact.conversation.identity, "field": "bsuid", "old": "ES.1", "new": "ES.2"}
    IdentityChange.objects.create(**change, source="webhook", at=datetime.now(UTC))
    after = [admin_client.get(path).content.decode() for path in paths]
    IdentityChange.objects.update(at=datetime.now(UTC) - timedelta(days=91))
    long_after = admin_client.get(paths[0]).content.decode()

    assert not any("may have a new owner" in page for page in (*before, long_after))
    assert all("may have a new owner" in page for page in after)
