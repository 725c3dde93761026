"""Erased is gone: from every table, DynamoDB and the queue, and nothing brings it back; an export is complete."""

from __future__ import annotations

import io
import json
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections
from django.test import Client

from channels_app.models import InboundEntry, WebhookDelivery
from channels_app.types import Alias, AliasType, Sender
from connect_bridge.models import ERASED, Contact, Message, OutboxEntry, SentId
from connect_bridge.privacy import hooks
from connect_bridge.privacy.erasure import CannotErase, erase
from customers.merging import Method, merge
from customers.models import Customer, Identity, IdentityChange, Merge, PrivacyRequest, Tombstone
from customers.sql_steps import take_now
from tests.connect_bridge.inbound.kit import came, message, route, wrote
from tests.connect_bridge.projection.kit import copied, dynamo, items, moto, table
from tests.factories import (
    ChannelAccountFactory,
    ChannelLogFactory,
    ContactFactory,
    MessageFactory,
    OutboxEntryFactory,
    WebhookDeliveryFactory,
)
from tests.role_kit import client_of

__all__ = ["dynamo", "moto", "table"]

pytestmark = pytest.mark.django_db(transaction=True)

PHONE, BSUID, PSID = "+34600112233", "ES.1349XCANARY", "7100000000000777"
#: Nobody else has these.
CANARIES = (
    PHONE.removeprefix("+"),
    BSUID,
    PSID,
    "Canaria",
    "canary_handle",
    "canary-words",
    "canary-answer",
    "canary.jpg",
)


@pytest.fixture
def ana() -> Customer:
    """Ana Canaria, on WhatsApp and Messenger, whose traces are everywhere that Parley keeps any."""
    whatsapp = ChannelAccountFactory(kind="whatsapp")
    messenger = ChannelAccountFactory(kind="messenger")
    aliases = (Alias(type=AliasType.PHONE, value=PHONE), Alias(type=AliasType.BSUID, value=BSUID))
    sender = Sender(external_id=PHONE, aliases=aliases, display_name="Ana Canaria", handle="canary_handle")
    one = wrote(whatsapp, sender, f"canary-words, call {PHONE}", occurred_at=datetime.now(UTC) - timedelta(minutes=5))
    other = wrote(
        messenger,
        Sender(external_id=PSID, display_name="Ana Canaria", picture_url="https://x/canary.jpg"),
        "canary-words",
    )
    take_now(merge(one.home_id, other.home_id, Method.PERSON, evidence={"who": "Canaria"}, by="ben", reason="Canaria"))
    IdentityChange.objects.create(
        identity=one, field="handle", old="canary_handle", new="x", source="webhook", at=one.created_at
    )
    WebhookDelivery.objects.update(body=f"From=whatsapp%3A%2B34600112233&Body=canary-words {PSID}".encode())
    WebhookDeliveryFactory(account=messenger, body=f'{{"sender":{{"id":"{PSID}"}}}}'.encode(), state="duplicate")
    chat = one.conversations.get()
    answer = MessageFactory(
        conversation=chat, direction="out", text="canary-answer", author="Ada", original={"c": "canary-answer"}
    )
    entry = OutboxEntryFactory(message=answer, text="canary-answer", state="accepted")
    SentId.objects.create(account=whatsapp, provider_message_id="wamid.canary-words", entry=entry)
    OutboxEntryFactory(
        message=MessageFactory(conversation=chat, direction="out", text="canary-words"), text="canary-words"
    )
    ChannelLogFactory(account=whatsapp, path="/2010-04-01/34600112233/Messages", outbox_entry=entry.pk)
    ChannelLogFactory(account=messenger, path=f"/v26.0/{PSID}")
    came(whatsapp, message(sender, "canary-words, not routed yet"))
    Customer.objects.filter(pk=one.customer_id).update(facts={"name": "Canaria"})
    Identity.objects.update(suppressed_by="")
    return Customer.objects.get(pk=Identity.objects.get(external_id=PHONE).customer_id)


@pytest.fixture
def bob() -> Message:
    """Somebody else, on an account of Ana's."""
    bob = wrote(ChannelAccountFactory(kind="whatsapp"), "+34999999999", "I am Bob")
    return Message.objects.get(conversation__identity=bob)


def dumped() -> str:
    """Return everything that is in the database, as text: every row of every table, the queue's among them."""
    rows = []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables"
            " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        )
        for (name,) in cursor.fetchall():
            cursor.execute(f"SELECT t::text FROM {name} t")
            rows += [row[0] for row in cursor.fetchall()]
    return "\n".join(rows)


def traces(dump: str) -> list[str]:
    """Return which canaries are in it, in whatever way it was written: bytea is shown in hexadecimal."""
    return [one for one in CANARIES if one in dump or one.encode().hex() in dump]


def test_before_it_is_erased_all_of_it_is_there(ana: Customer) -> None:
    assert traces(dumped()) == list(CANARIES)


def test_after_it_no_table_no_queue_and_no_copy_holds_any_of_it(ana: Customer, bob: Message, table: Any) -> None:
    copied(table)
    assert traces(json.dumps(items(table)))
    done = erase(ana.pk, by="boss", reason="asked for it")
    copied(table)

    assert traces(dumped()) == []
    assert traces(json.dumps(items(table))) == []
    assert done.counts["messages"] == 5
    assert done.counts["identities"] == 2
    bob.refresh_from_db()
    assert bob.text == "I am Bob"
    assert Identity.objects.get(pk=bob.conversation.identity_id).external_id == "+34999999999"


def test_rows_and_counts_stay(ana: Customer) -> None:
    before = {model: model.objects.count() for model in (Message, OutboxEntry, InboundEntry, WebhookDelivery, Merge)}
    erase(ana.pk, by="boss")
    assert {model: model.objects.count() for model in before} == before
    assert set(Message.objects.values_list("text", flat=True)) == {ERASED}
    ana.refresh_from_db()
    assert ana.erased_at is not None


def test_pending_work_ends_and_nothing_more_is_sent_or_relayed(ana: Customer) -> None:
    erase(ana.pk, by="boss")
    assert not OutboxEntry.objects.filter(state__in=["pending", "claimed", "uncertain"]).exists()
    assert not Message.objects.filter(status="stored").exists()
    assert not InboundEntry.objects.filter(state__in=["pending", "parked"]).exists()
    route()
    assert Message.objects.count() == 4


def test_a_replay_from_before_brings_nobody_back_and_new_words_are_somebody_news(ana: Customer) -> None:
    account = Identity.objects.get(external_id=PHONE).conversations.get().account
    erase(ana.pk, by="boss")
    for name in (PHONE, BSUID):
        aliases = (Alias(type=AliasType.PHONE, value=PHONE),)
        late = datetime.now(UTC) - timedelta(days=1)
        came(account, message(Sender(external_id=name, aliases=aliases), "canary-words", occurred_at=late))
    route()
    assert traces(dumped()) == []

    again = wrote(account, PHONE, "It is me", occurred_at=datetime.now(UTC) + timedelta(seconds=1))
    assert again.customer_id != ana.pk
    assert again.conversations.get().messages.get().text == "It is me"


def test_the_same_webhook_again_is_known_by_its_key(ana: Customer) -> None:
    entry = InboundEntry.objects.filter(state="done").first()
    erase(ana.pk, by="boss")
    assert InboundEntry.objects.filter(account=entry.account, key=entry.key).exists()


def test_while_a_chat_is_open_or_a_send_under_way_nothing_is_erased(ana: Customer) -> None:
    chat = Identity.objects.get(external_id=PHONE).conversations.get()
    contact = ContactFactory(conversation=chat)
    with pytest.raises(CannotErase, match=contact.initial_contact_id):
        erase(ana.pk, by="boss")
    Contact.objects.update(state="ended")
    OutboxEntry.objects.filter(state="pending").update(state="claimed")
    with pytest.raises(CannotErase, match="being sent"):
        erase(ana.pk, by="boss")
    assert not PrivacyRequest.objects.exists()
    assert not Tombstone.objects.exists()


def test_an_app_above_erases_what_it_keeps_in_the_same_transaction(ana: Customer, monkeypatch: Any) -> None:
    params: list[Any] = []

    def moods(messages: Any) -> int:
        params.extend(messages)
        return len(messages)

    def broken(_messages: Any) -> int:
        raise RuntimeError

    monkeypatch.setattr(hooks, "erasers", [moods, broken])
    with pytest.raises(RuntimeError):
        erase(ana.pk, by="boss")
    assert traces(dumped())
    monkeypatch.setattr(hooks, "erasers", [moods])
    assert next(number for name, number in erase(ana.pk, by="boss").counts.items() if "moods" in name) == 4
    assert set(params) == set(Message.objects.values_list("pk", flat=True))


@pytest.mark.parametrize("waits", [False, True])
def test_words_that_come_in_while_somebody_is_erased_are_somebody_news(
    ana: Customer, monkeypatch: Any, *, waits: bool
) -> None:
    account = Identity.objects.get(external_id=PHONE).conversations.get().account
    route()
    under_way, go_on = threading.Event(), threading.Event()

    def slowly(_messages: Any) -> int:
        under_way.set()
        assert go_on.wait(60)
        return 0

    def work() -> None:
        erase(ana.pk, by="boss")
        connections.close_all()

    monkeypatch.setattr(hooks, "erasers", [slowly])
    worker = threading.Thread(target=work)
    worker.start()
    assert under_way.wait(60)
    came(account, message(PHONE, "just now", occurred_at=datetime.now(UTC) + timedelta(minutes=1)))
    routing = threading.Thread(target=route)
    routing.start()
    if waits:
        time.sleep(1)  # it waits for the erasure by now
    go_on.set()
    worker.join(60)
    routing.join(60)
    new = Message.objects.get(text="just now").conversation.identity
    assert (new.external_id, new.customer_id == ana.pk) == (PHONE, False)
    assert traces(dumped()) == [PHONE.removeprefix("+")]


def test_what_is_erased_once_or_nobody_is_said_so(ana: Customer) -> None:
    erase(ana.pk, by="boss")
    for customer, why in ((ana.pk, "before"), (Identity.objects.first().pk, "no such")):
        with pytest.raises(CannotErase, match=why):
            erase(customer, by="boss")


def test_the_erased_are_neither_merged_nor_found(ana: Customer, admin_client: Client) -> None:
    other = wrote(ChannelAccountFactory(kind="twitter"), "+34111111111", "Hello")
    erase(ana.pk, by="boss")
    answer = admin_client.post(
        f"/api/v1/customers/{other.customer_id}/merge/", {"other": str(ana.pk)}, content_type="application/json"
    )
    assert (answer.status_code, answer.json()["error"]) == (409, "erased")
    assert "Nobody is found" in admin_client.get("/customers/", {"q": PHONE}).content.decode()


# ── export ──


def test_the_export_has_everything_and_is_on_record(ana: Customer, admin_client: Client) -> None:
    answer = admin_client.get(f"/api/v1/customers/{ana.pk}/export/")
    document = json.loads(b"".join(answer.streaming_content))
    assert [one["external_id"] for one in document["identities"]] == [PHONE, PSID]
    assert {alias["value"] for alias in document["identities"][0]["aliases"]} == {PHONE, BSUID}
    output = [line["text"] for chat in document["conversations"] for line in chat["messages"]]
    assert "canary-answer" in output
    assert len(output) == 4
    assert document["merges"][0]["reason"] == "Canaria"
    record = PrivacyRequest.objects.get()
    assert (record.verb, record.by, record.counts) == ("export", "admin", {"messages": 4})


def test_the_command_exports_and_erases_when_it_is_told_twice(ana: Customer, monkeypatch: Any, capsys: Any) -> None:
    call_command("customer", "export", str(ana.pk))
    assert len(json.loads(capsys.readouterr().out)["conversations"]) == 2
    monkeypatch.setattr("sys.stdin", io.StringIO("no\n"))
    with pytest.raises(CommandError, match="Nothing was erased"):
        call_command("customer", "erase", str(ana.pk))
    call_command("customer", "erase", str(ana.pk), yes=True)
    assert "4 messages" in capsys.readouterr().out
    with pytest.raises(CommandError, match="before"):
        call_command("customer", "erase", str(ana.pk), yes=True)


# ── over the API and on the page ──


def test_the_api_erases_and_answers_with_counts(ana: Customer, admin_client: Client) -> None:
    path = f"/api/v1/customers/{ana.pk}/erase/"
    answer = admin_client.post(path, {"reason": "GDPR 17"}, content_type="application/json")
    assert answer.json()["counts"]["messages"] == 4
    again = admin_client.post(path, {}, content_type="application/json")
    assert (again.status_code, again.json()["error"]) == (409, "cannot_erase")


def test_the_page_erases_only_who_was_meant_twice(ana: Customer, admin_client: Client) -> None:
    path = f"/customers/{ana.pk}/erase/"
    output = admin_client.post(path, {}, follow=True).content.decode()
    assert "tick the box" in output
    assert traces(dumped())
    done = admin_client.post(path, {"sure": "1"}, follow=True).content.decode()
    assert "Erased on all channels" in done
    assert traces(done) == []


@pytest.mark.parametrize("role", ["Supervisor", "Manager"])
def test_who_may_not_is_not_offered_it_and_refused(ana: Customer, role: str) -> None:
    client = client_of(role, "somebody")
    assert "Their data" not in client.get(f"/customers/{ana.pk}/").content.decode()
    assert client.post(f"/customers/{ana.pk}/erase/", {"sure": "1"}).status_code == 403
    assert client.post(f"/customers/{ana.pk}/export/").status_code == 403
    assert client.get(f"/api/v1/customers/{ana.pk}/export/").status_code == 403
