"""What a customer is called, whatever the messenger tells."""

from __future__ import annotations

import pytest

from channels_app.types import IdentityChanged, Sender
from connect_bridge.models import Conversation
from customers.models import Identity
from tests.connect_bridge.kit import Phone, until
from tests.factories import ChannelAccountFactory

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_messenger_that_brings_no_names_is_asked_for_one(aws, bridge, settings):
    settings.HTTP_REDIRECTS = {"https://graph.facebook.com": f"{aws.url}/graph"}
    account = ChannelAccountFactory(kind="messenger", address="200000000000001")
    aws.call("POST", "/phones/accounts", {"kind": "messenger", "webhook_url": "", "credentials": account.credentials})
    known = {"from": {"id": "777", "name": "Ana Kovač"}, "content": {"type": "text", "text": "hi"}}
    aws.call("POST", f"/phones/messenger/{account.address}/messages", known)
    Phone(account, "777", name="").write("Hello")
    waiting = until(lambda: aws.call("GET", "/ccp/queue"), "a chat in the queue")[0]
    assert waiting["display_name"] == "Ana Kovač"
    assert Conversation.objects.get().identity.customer.display_name == "Ana Kovač"


def test_a_messenger_that_tells_no_name_delays_nobody(aws, bridge, settings):
    settings.HTTP_REDIRECTS = {"https://graph.facebook.com": f"{aws.url}/graph"}
    Phone(ChannelAccountFactory(kind="messenger", address="200000000000001"), "777", name="").write("Hello")
    waiting = until(lambda: aws.call("GET", "/ccp/queue"), "a chat in the queue")[0]
    assert waiting["display_name"] == "Customer"


@pytest.mark.parametrize("name", ["نرگس می‌خواهم", "Family 👨‍👩‍👧", "a b"])
def test_a_name_keeps_what_joins_its_letters(bridge, name):
    Phone(ChannelAccountFactory(kind="twitter", address="1000000001"), "42", name=f" {name}\n\x1b").write("Hello")
    until(lambda: Identity.objects.filter(display_name=name).exists(), "the name")


def test_a_customer_who_changes_their_handle_stays_the_same_customer(bridge):
    ana = Phone(ChannelAccountFactory(kind="twitter", address="1000000001"), "42", name="Ana")
    ana.write("Hello")
    until(lambda: Identity.objects.filter(external_id="42").exists(), "the identity")
    renamed = Sender(external_id="42", display_name="Ana", handle="ana_new")
    ana.store(IdentityChanged(key="i:1", sender=renamed, former_id="42"))
    until(lambda: Identity.objects.get().handle == "ana_new", "the new handle")
