from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client

from connect_bridge.models import Message, OutboxEntry
from customers.models import Identity, LinkCode
from tests.connect_bridge.api.kit import NOBODY, post, rows
from tests.factories import ChannelAccountFactory, ConversationFactory, IdentityFactory

pytestmark = pytest.mark.django_db


def test_a_link_code_comes_with_links_to_every_account_that_can_be_linked_to(api: Client) -> None:
    ChannelAccountFactory(kind="whatsapp", address="+34911")
    ChannelAccountFactory(kind="messenger", address="2001")
    ChannelAccountFactory(kind="twitter", address="3001")
    ChannelAccountFactory(kind="twitter", enabled=False)
    identity = IdentityFactory(kind="messenger")
    handed = post(api, "link-codes", identity=str(identity.pk), greeting="Hi!").json()
    code, links = handed["code"], {link["kind"]: link["url"] for link in handed["links"]}
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
