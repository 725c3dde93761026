from __future__ import annotations

import itertools
import re

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from connect_bridge.models import Contact, Message, OutboxEntry
from connect_bridge.outbox.resend import REVIVABLE
from people.tokens import make_token
from tests.connect_bridge.event_log.kit import change_page, every_page, list_page, tell
from tests.factories import ConversationFactory, MessageFactory, OutboxEntryFactory

OURS = ("customers", "channels_app", "connect_bridge")
#: Our own pages: (app, model) of each.
PAGES = sorted(
    (model._meta.app_label, model._meta.model_name) for model in admin.site._registry if model._meta.app_label in OURS
)
#: What people set; all else is written by Parley alone.
SETTINGS = ("autoreply", "businesshours", "channelaccount", "routingrule")
HOSTILE = "<script>alert(1)</script>\u202e\"'><img src=x onerror=alert(2)>{{ 7|add:7 }}"

pytestmark = pytest.mark.django_db


def test_no_page_shows_a_secret_or_a_participant_token(admin_client: Client) -> None:
    tell()
    pages = every_page()

    assert len(pages) > 40
    for page in pages:
        answer = admin_client.get(page)
        assert answer.status_code == 200, page
        assert b"CANARY" not in answer.content, page


def test_no_page_shows_an_api_token(admin_client: Client, admin_user: User) -> None:
    key = make_token(admin_user, "a machine", by="a test", proven=True)

    assert all(key not in admin_client.get(page).content.decode() for page in every_page())


def test_51_52_hostile_text_is_harmless_on_every_page(admin_client: Client) -> None:
    tell(HOSTILE)

    for page in every_page():
        content = admin_client.get(page).content.decode()
        assert "<script>alert" not in content, page
        assert "<img src=x" not in content, page


@pytest.mark.parametrize(("app", "model"), PAGES)
def test_only_settings_can_be_added_or_changed(admin_client: Client, app: str, model: str) -> None:
    tell()
    pages = [page for page in every_page() if f"/{app}/{model}/" in page]
    refused = {admin_client.post(page, {"name": "x"}).status_code for page in pages if page.endswith("/change/")}

    assert refused == ({200} if model in SETTINGS else {403})


def test_a_transcript_shows_both_sides_and_where_each_line_came_from(admin_client: Client) -> None:
    story = tell()
    story.outbound.status, story.outbound.error_code = Message.Status.FAILED, "window_closed"
    story.outbound.save()

    page = admin_client.get(change_page(story.inbound.conversation)).content.decode()

    assert "→ CUSTOMER" in page
    assert "← AGENT" in page
    assert "window_closed" in page
    for row in (story.inbound, story.outbound, story.contact, story.inbound.entry, story.entry):
        assert change_page(row) in page


def test_a_transcript_asks_the_database_as_often_for_many_messages_as_for_two(
    admin_client: Client, django_assert_num_queries
) -> None:
    story = tell()
    page = change_page(story.inbound.conversation)
    with CaptureQueriesContext(connection) as few:
        admin_client.get(page)
    for _ in range(20):
        OutboxEntryFactory(
            message=MessageFactory(conversation=story.inbound.conversation, contact=story.contact, direction="out")
        )

    with django_assert_num_queries(len(few)):
        admin_client.get(page)


def test_a_long_transcript_shows_its_end_and_the_way_to_the_rest(admin_client: Client, monkeypatch) -> None:
    monkeypatch.setattr("connect_bridge.admin.conversation.MOST_MESSAGES", 2)
    conversation = ConversationFactory()
    for text in ("first", "second", "third"):
        MessageFactory(conversation=conversation, text=f"the {text} one")

    page = admin_client.get(change_page(conversation)).content.decode()

    assert "the first one" not in page
    assert page.index("the second one") < page.index("the third one")
    assert f"message/?conversation__id__exact={conversation.pk}" in page


def test_one_can_follow_a_message_through_by_links_alone(admin_client: Client) -> None:
    story = tell()
    way = [
        story.inbound.entry.delivery,
        story.inbound.entry,
        story.inbound,
        story.contact,
        story.outbound,
        story.entry,
        story.outbound.conversation,
        story.outbound.conversation.identity,
        story.outbound.conversation.identity.customer,
    ]

    for here, there in itertools.pairwise(way):
        assert reachable(admin_client, here, there), f"{here!r} to {there!r}"
        assert reachable(admin_client, there, here), f"{there!r} to {here!r}"


def reachable(client: Client, here: object, there: object) -> bool:
    """Say whether a page links to another, or to a list that holds it."""
    page = client.get(change_page(here)).content.decode()
    content = page[page.index('id="content-main"') :]
    lists = re.findall(r'href="(/admin/[^"]+\?[^"]+)"', content)
    pages = (client.get(address.replace("&amp;", "&")).content.decode() for address in lists)
    return change_page(there) in content or any(change_page(there) in each for each in pages)


def test_a_call_to_the_provider_leads_to_what_was_sent_and_back(admin_client: Client) -> None:
    story = tell()
    call = story.inbound.conversation.account.log.get()

    assert reachable(admin_client, story.entry, call)
    assert reachable(admin_client, call, story.entry)


@pytest.mark.parametrize(
    ("model", "ids"),
    [
        (
            "conversation",
            ["pk", "recipient", "identity.external_id", "identity.pk", "contact.initial_contact_id", "contact.pk"],
        ),
        ("contact", ["pk", "initial_contact_id", "contact_id", "participant_id", "conversation.pk"]),
        ("message", ["pk", "provider_message_id", "connect_item_id", "entry.key", "contact.contact_id"]),
        ("outboxentry", ["pk", "message.pk", "conversation.pk", "provider_code"]),
    ],
)
def test_a_row_is_found_by_any_id_that_somebody_may_quote(admin_client: Client, model: str, ids: list[str]) -> None:
    story = tell()
    tell()
    Contact.objects.filter(pk=story.contact.pk).update(contact_id="later-segment")
    Message.objects.filter(pk=story.inbound.pk).update(provider_message_id="mid.1", connect_item_id="item-1")
    OutboxEntry.objects.filter(pk=story.entry.pk).update(provider_code="63016")
    rows = {
        "conversation": story.inbound.conversation,
        "contact": Contact.objects.get(pk=story.contact.pk),
        "message": Message.objects.get(pk=story.inbound.pk),
        "outboxentry": OutboxEntry.objects.get(pk=story.entry.pk),
    }

    for name in ids:
        value: object = rows[model]
        for part in name.split("."):
            value = story.contact if part == "contact" and model == "conversation" else getattr(value, part)
        page = admin_client.get(list_page("connect_bridge", model), {"q": str(value)}).content.decode()
        assert change_page(rows[model]) in page, name


def test_a_message_is_found_by_the_id_that_the_provider_gave_to_a_part_of_it(admin_client: Client) -> None:
    story = tell()
    story.entry.sent_ids.create(account=story.outbound.conversation.account, provider_message_id="SM123")

    page = admin_client.get(list_page("connect_bridge", "message"), {"q": "SM123"}).content.decode()

    assert change_page(story.outbound) in page
    assert change_page(story.inbound) not in page


def choose(client: Client, *entries: OutboxEntry, **data: str):
    chosen = [str(entry.pk) for entry in entries]
    return client.post(
        list_page("connect_bridge", "outboxentry"), {"action": "send_again", "_selected_action": chosen, **data}
    )


def test_sending_again_asks_first(admin_client: Client) -> None:
    entry = OutboxEntryFactory(state=OutboxEntry.State.DEAD, error_code="window_closed", error_detail="24 h are over")

    page = choose(admin_client, entry).content.decode()

    assert "24 h are over" in page
    entry.refresh_from_db()
    assert entry.state == OutboxEntry.State.DEAD


def test_a_dead_send_gets_another_life(admin_client: Client) -> None:
    entry = OutboxEntryFactory(
        state=OutboxEntry.State.DEAD, attempts=9, error_code="blocked", settled_at=timezone.now()
    )
    Message.objects.filter(pk=entry.message.pk).update(status=Message.Status.FAILED, error_code="blocked")

    choose(admin_client, entry, confirmed="yes")

    entry.refresh_from_db()
    entry.message.refresh_from_db()
    assert (entry.state, entry.attempts, entry.error_code, entry.settled_at) == ("pending", 0, "", None)
    assert (entry.message.status, entry.message.error_code) == ("stored", "")
    assert LogEntry.objects.get(object_id=str(entry.pk)).change_message == "Sent again."


def test_the_dead_parts_of_a_message_go_together(admin_client: Client) -> None:
    sent, refused, kept_back = (OutboxEntryFactory(state=OutboxEntry.State.DEAD) for _ in range(3))
    OutboxEntry.objects.filter(pk=sent.pk).update(message=refused.message, part=2, state=OutboxEntry.State.ACCEPTED)
    OutboxEntry.objects.filter(pk=kept_back.pk).update(message=refused.message, part=1)

    choose(admin_client, refused, confirmed="yes")

    states = OutboxEntry.objects.order_by("part").values_list("state", flat=True)
    assert list(states) == ["pending", "pending", "accepted"]


def test_before_an_uncertain_send_goes_again_the_page_says_that_the_customer_may_get_it_twice(
    admin_client: Client,
) -> None:
    dead, uncertain = (OutboxEntryFactory(state=state) for state in (OutboxEntry.State.DEAD, "uncertain"))

    assert "twice" not in choose(admin_client, dead).content.decode()
    assert "twice" in choose(admin_client, dead, uncertain).content.decode()
    choose(admin_client, dead, uncertain, confirmed="yes")

    marks = OutboxEntry.objects.filter(state=OutboxEntry.State.PENDING).values_list("pk", "possible_duplicate")
    assert dict(marks) == {dead.pk: False, uncertain.pk: True}


@pytest.mark.parametrize("state", sorted(set(OutboxEntry.State) - set(REVIVABLE)))
def test_what_is_not_dead_or_uncertain_is_not_sent_again(admin_client: Client, state: str) -> None:
    entry = OutboxEntryFactory(state=state, attempts=1)

    page = choose(admin_client, entry).content.decode()
    choose(admin_client, entry, confirmed="yes")

    entry.refresh_from_db()
    assert (entry.state, entry.attempts) == (state, 1)
    assert "there is nothing to send again" in page


def test_sending_again_needs_the_permission() -> None:
    entry = OutboxEntryFactory(state=OutboxEntry.State.DEAD)
    viewer = User.objects.create_user("viewer", is_staff=True)
    viewer.user_permissions.set(Permission.objects.filter(codename="view_outboxentry"))
    client = Client()
    client.force_login(viewer)

    choose(client, entry, confirmed="yes")

    entry.refresh_from_db()
    assert entry.state == OutboxEntry.State.DEAD


def test_staff_without_permissions_see_nothing() -> None:
    client = Client()
    client.force_login(User.objects.create_user("nobody", is_staff=True))

    assert {client.get(list_page(app, model)).status_code for app, model in PAGES} == {403}
