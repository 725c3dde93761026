"""Who may not read every word does not learn who wrote it: on no page, in no list, answer, file or title."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from django.test import Client
from django.utils import timezone

from channels_app.models import ChannelLog, InboundEntry, WebhookDelivery
from connect_bridge.models import Message, OutboxEntry
from customers.models import Consent, IdentityAlias, IdentityChange
from tests.connect_bridge.event_log.kit import Story, every_page, tell
from tests.role_kit import client_of

NAME, HANDLE, PHONE, MAIL = "Zacharias Quillfeather", "zquill_handle", "+34699123457", "zq@example.org"
SECRETS = (NAME, HANDLE, PHONE, PHONE[1:], MAIL, "Quillfeather", "699123457", "699 12 34 57")
API = [
    "conversations",
    "messages",
    "contacts",
    "outbox",
    "deliveries",
    "customers",
    "identities",
    "merges",
    "consents",
    "link-codes",
    "stuck",
]

pytestmark = pytest.mark.django_db


@pytest.fixture
def story() -> Story:
    names_shown = tell("hello")
    identity = names_shown.inbound.conversation.identity
    customer = identity.customer
    customer.display_name, customer.facts = NAME, {"phone": PHONE}
    customer.save()
    for name, value in {"display_name": NAME, "handle": HANDLE, "external_id": PHONE}.items():
        setattr(identity, name, value)
    identity.save()
    names_shown.inbound.conversation.recipient = PHONE
    names_shown.inbound.conversation.save()
    IdentityAlias.objects.create(identity=identity, kind="sms", type="phone", value=PHONE)
    IdentityChange.objects.create(identity=identity, field="name", old=NAME, new=HANDLE, source="x", at=timezone.now())
    Consent.objects.filter(identity=identity).update(evidence={"from": PHONE, "profile_name": NAME})
    event = {
        "event": "message",
        "sender": {"external_id": PHONE, "display_name": NAME, "phone": 34699123457},
        "users": {"34699123457": {"name": NAME, "screen_name": HANDLE}},
        "sender_id": "34699123457",
    }
    names_shown.inbound.author, names_shown.inbound.original = NAME, event
    names_shown.inbound.error_detail = f"The number {PHONE} of {MAIL} is not on WhatsApp."
    names_shown.inbound.save()
    InboundEntry.objects.update(sender=PHONE, event=event, outcome=f"from {PHONE}")
    form = {"From": f"whatsapp:{PHONE}", "WaId": PHONE[1:], "ProfileName": NAME, "Author": MAIL, "MessageSid": "SM1"}
    WebhookDelivery.objects.update(body=urlencode(form).encode(), query=urlencode({"to": PHONE}))
    OutboxEntry.objects.update(error_detail=f"{PHONE} has opted out")
    ChannelLog.objects.update(path=f"/2/dm_conversations/with/{PHONE[1:]}/messages", error=f"no such user {PHONE}")
    return names_shown


def pages(story: Story) -> list[str]:
    customer, message = story.inbound.conversation.identity.customer_id, story.inbound
    identity = message.conversation.identity_id
    return [
        *every_page(),
        "/customers/",
        f"/customers/{customer}/",
        "/dashboards/",
        "/dashboards/chats/",
        f"/dashboards/chat/{message.contact_id}/",
        "/admin/events/",
        "/admin/events/failures/",
        *(f"/admin/events/webhook/{one.pk}/" for one in WebhookDelivery.objects.all()),
        *(f"/admin/events/send/{one.pk}/" for one in OutboxEntry.objects.all()),
        *(f"/api/v1/{name}/" for name in API),
        f"/api/v1/customers/{customer}/",
        f"/api/v1/customers/{customer}/suggestions/",
        f"/api/v1/identities/{identity}/",
        "/api/v1/metrics/",
        "/dashboards/export/rows/chats/",
        "/dashboards/export/rows/messages/",
    ]


def names_shown(client: Client, paths: list[str]) -> dict[str, list[str]]:
    result = {}
    for path in paths:
        answer = client.get(path)
        assert answer.status_code < 500, path
        content = b"".join(answer) if answer.streaming else answer.content
        if seen := [one for one in SECRETS if one in content.decode()]:
            result[path] = seen
    return result


@pytest.mark.parametrize("role", ["Viewer", "Ops", "Auditor"])
def test_nobody_is_named_to_who_may_not_read_their_words(role: str, story: Story) -> None:
    assert names_shown(client_of(role), pages(story)) == {}


@pytest.mark.parametrize("role", ["Manager", "Supervisor", "Admin"])
def test_the_others_see_them_whole(role: str, story: Story) -> None:
    result = names_shown(client_of(role), pages(story))

    for path in ("/admin/customers/identity/", "/api/v1/identities/", "/api/v1/conversations/"):
        assert result.get(path), path


@pytest.mark.parametrize("role", ["Viewer", "Ops"])
def test_what_is_hidden_cannot_be_searched_or_filtered_by(role: str, story: Story) -> None:
    client = client_of(role)
    message = Message.objects.get(pk=story.inbound.pk)
    for path in ("customers/customer", "customers/identity", "customers/identityalias", "connect_bridge/conversation"):
        hit, miss = (
            client.get(f"/admin/{path}/", {"q": term}).context["cl"].result_count for term in (PHONE, "nobody")
        )
        assert hit == miss == 0, path
    for term in (PHONE, HANDLE, NAME, NAME[:5]):
        assert str(message.conversation.identity.customer_id) not in client.get(
            "/customers/", {"q": term}
        ).content.decode().replace(term, "")
    for filters in ({"phone": PHONE}, {"external_id": PHONE}, {"handle": HANDLE}):
        assert client.get("/api/v1/customers/", filters).status_code == 400
    if role == "Ops":
        result = client.get("/admin/events/", {"q": PHONE}).context["rows"]
        assert result == []


def test_they_find_a_row_by_its_id_as_before(story: Story) -> None:
    client, identity = client_of("Ops"), story.inbound.conversation.identity

    assert client.get("/admin/customers/identity/", {"q": str(identity.pk)}).context["cl"].result_count == 1
    assert client.get("/admin/customers/identity/", {"q": ""}).content.decode().count("••••3457") > 0


def test_a_name_is_hidden_wherever_nobody_asks(story: Story) -> None:
    assert NAME not in str(story.inbound.conversation)
    assert NAME not in str(story.inbound.conversation.identity.customer)
