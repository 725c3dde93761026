"""Rows whose every text was written by somebody who attacks whoever looks at them."""

from __future__ import annotations

import uuid
from datetime import timedelta
from urllib.parse import quote, urlsplit

from allauth.usersessions.models import UserSession
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.urls import reverse
from django.utils import timezone

from analytics.models import (
    AlertEvent,
    AlertRule,
    ContactDetail,
    Export,
    Phrase,
    Report,
    SavedView,
    Sentiment,
    Spending,
)
from analytics.rollups.update import refresh
from channels_app.models import AccountHealth, BusinessHours, Holiday, SetupDraft, WebhookDelivery
from connect_bridge.models import Bridge, Conversation, Message, OutboxEntry
from connect_bridge.relay.agent_link import agent_link
from customers.models import Customer, Identity, IdentityChange
from people.history import because
from tests.connect_bridge.event_log.kit import Story, change_page, list_page, tell
from tests.factories import ConversationFactory, InboundEntryFactory, MessageFactory, WebhookDeliveryFactory

#: Leaves an element or an attribute behind wherever a text gets out of its place: out of quotes, of a tag, of a script,
#: of an attribute without quotes; and a sum, wherever it is taken for a template.
BAIT = "Evil '+alert(1)+'\"><img src=/bait onerror=alert(2) data-bait> data-bait=1 {{31337|add:31337}}"
#: The same as the name of whoever looks, which is on every page.
OWN_NAME = BAIT.replace("/bait", "/own-bait")
LINK = "javascript:alert(3)//data-bait"
SUM = "62674"
KINDS = ("twitter", "messenger", "whatsapp")


def everything_hostile() -> tuple[User, dict[str, list[str]]]:
    """Make the rows; return who may see everything, under a hostile name, and all pages that show something of it."""
    boss = User.objects.create_superuser(OWN_NAME, f"{uuid.uuid4().hex}@example.com", first_name=OWN_NAME)
    stories = [_story(kind) for kind in KINDS]
    _of_people(boss)
    _of_dashboards(boss, stories[0])
    return boss, {"lists and rows": _admin(), "pages": [*_of_stories(stories), *_elsewhere(stories[0])]}


def _story(kind: str) -> Story:
    params = {"kind": kind, "name": BAIT, "holding_reply": BAIT, "pause_reply": BAIT, "attributes": {"a": BAIT}}
    story = tell(BAIT, **params)
    account = story.inbound.conversation.account
    account.name += "!"
    because(account, BAIT)
    account.save()
    point = {"ok": False, "at": "2026-11-25T10:00:00Z"} | dict.fromkeys(
        ("name", "said", "fix", "ours", "theirs", "code"), BAIT
    )
    AccountHealth.objects.create(account=account, points=[point], rejected_at=timezone.now(), rejected_code=BAIT[:64])
    SetupDraft.objects.create(kind=kind, name=BAIT, by=BAIT)
    identity = story.inbound.conversation.identity
    same_name = {"display_name": BAIT, "name_key": BAIT, "handle": BAIT, "picture_url": LINK, "locale": "es"}
    Identity.objects.filter(pk=identity.pk).update(**same_name)
    other = ConversationFactory(identity__kind="sms", account=account)
    Identity.objects.filter(pk=other.identity_id).update(**same_name)
    IdentityChange.objects.create(
        identity=identity, field="handle", old=BAIT, new=BAIT, source=BAIT[:32], at=timezone.now()
    )
    home = identity.home
    home.facts, home.display_name, home.preferred_channel = {BAIT: BAIT}, BAIT, BAIT[:32]
    home.save()
    _of_messages(story)
    Bridge.objects.update(host=BAIT)
    reply = account.replies.get()
    reply.text += "!"
    reply.save()
    return story


def _of_messages(story: Story) -> None:
    chat, long_ago = story.inbound.conversation, timezone.now() - timedelta(minutes=5)
    file = {"type": "file", "name": BAIT, "url": LINK, "content_type": BAIT}
    MessageFactory(conversation=chat, contact=story.contact, text=f"[file: {BAIT}]", original={"attachments": [file]})
    Conversation.objects.filter(pk=chat.pk).update(last_message_at=long_ago, last_inbound_at=long_ago)
    Message.objects.filter(conversation=chat).update(error_detail=BAIT, error_code=BAIT[:64], created_at=long_ago)
    Message.objects.filter(pk=story.outbound.pk).update(status="failed", settled_at=timezone.now())
    OutboxEntry.objects.filter(pk=story.entry.pk).update(provider_code=BAIT[:64], settled_at=timezone.now())
    entry = {"sender": BAIT, "key": BAIT + uuid.uuid4().hex, "event": {"attachments": [file]}, "created_at": long_ago}
    InboundEntryFactory(delivery__account=chat.account, **entry)
    refused = {"state": "quarantined", "reason": BAIT, "query": BAIT, "request_id": BAIT[:64], "body": BAIT.encode()}
    WebhookDeliveryFactory(account=chat.account, **refused)


def _of_people(boss: User) -> None:
    boss.groups.add(Group.objects.create(name=BAIT))
    UserSession.objects.create(user=boss, ip="127.0.0.1", session_key="another", user_agent=BAIT)
    Holiday.objects.create(hours=BusinessHours.objects.latest("pk"), day=timezone.now().date(), name=BAIT)


def _of_dashboards(boss: User, story: Story) -> None:
    now = timezone.now()
    filters = f"range=24h&queue={quote(BAIT)}"
    Export.objects.create(by=BAIT, what=BAIT, query=BAIT)
    Spending.objects.create(day=now.date(), operation=BAIT[:40])
    SavedView.objects.create(owner=boss, name=BAIT[:80], query=filters, shared=True)
    rule = AlertRule.objects.create(
        owner=boss, name=BAIT[:80], metric="negative", threshold=0.3, emails=BAIT, webhook_url=LINK, state="firing"
    )
    AlertEvent.objects.create(rule=rule, at=now, state="firing")
    Report.objects.create(owner=boss, name=BAIT[:80], emails=BAIT, trouble=BAIT, query=filters)
    ContactDetail.objects.create(contact=story.contact, queue=BAIT, agent=BAIT, queued_at=now, agent_at=now)
    shares = {"positive": 0.02, "negative": 0.9, "neutral": 0.05, "mixed": 0.03}
    params = {"state": "scored", "score": -88, "label": "negative", "language": "en", "due_at": now, "scored_at": now}
    Sentiment.objects.create(message=story.inbound, **params, **shares, model=BAIT[:64], engine=BAIT[:64])
    Phrase.objects.create(message=story.inbound, text=BAIT[:100])
    Customer.objects.update(display_name=BAIT)
    while (done := refresh()) is not None and done.changes:
        pass


def _admin() -> list[str]:
    """Return each list, one row of it, and that row's history."""
    paths = []
    for model in admin.site._registry:
        app, name = model._meta.app_label, model._meta.model_name
        row = model._default_manager.order_by("pk").last()
        paths += [list_page(app, name), change_page(row)]
        if hasattr(model, "history"):
            paths.append(reverse(f"admin:{app}_{name}_history", args=[row.pk]))
    return [*paths, f"{list_page('customers', 'customer')}?q={quote(BAIT)}"]


def _of_stories(stories: list[Story]) -> list[str]:
    """Return the steps of each account, and what the event log tells of its messages."""
    paths = []
    for story in stories:
        account = story.inbound.conversation.account
        paths += [f"/admin/channels/{account.pk}/{step}/" for step in ("route", "credentials", "webhook", "verify")]
    first = stories[0].inbound.conversation
    paths += [f"/admin/channels/{first.account_id}/{step}/" for step in ("hours", "test", "live")]
    paths.append(change_page(first))
    paths.append(f"{paths[0]}?say={quote(BAIT)}&language={quote(BAIT[:16])}")
    draft = SetupDraft.objects.latest("created_at")
    story = stories[0]
    sideways = WebhookDelivery.objects.filter(state="quarantined").latest("received_at")
    return [
        *paths,
        *(reverse("channel-step", args=[draft.pk, step]) for step in ("ready", "credentials")),
        reverse("event-webhook", args=[story.inbound.entry.delivery_id]),
        reverse("event-webhook", args=[sideways.pk]),
        reverse("event-send", args=[story.entry.pk]),
    ]


def _elsewhere(story: Story) -> list[str]:
    customer, bait = story.inbound.conversation.identity.home_id, quote(BAIT)
    other = Identity.objects.filter(kind="sms").first()
    assert other is not None
    rule, report = AlertRule.objects.get(), Report.objects.get()
    dashboards = ("", "sentiment/", "service/", "channels/", "hours/", "phrases/", "failures/", "deflection/", "chats/")
    return [
        "/admin/",
        "/admin/channels/",
        "/admin/channels/add/",
        "/admin/events/",
        f"/admin/events/?q={bait}",
        "/admin/events/failures/",
        "/admin/stuck/",
        "/admin/audit/",
        f"/admin/audit/?by={bait}",
        "/customers/",
        f"/customers/?q={bait}",
        f"/customers/{customer}/",
        f"/customers/{customer}/?q={bait}",
        f"/customers/{customer}/join/?with={other.customer_id}",
        urlsplit(agent_link(story.contact.pk)).path,
        *(f"/dashboards/{name}?range=24h" for name in dashboards),
        f"/dashboards/chats/?range=24h&queue={bait}&phrase={bait}",
        f"/dashboards/chat/{story.contact.pk}/",
        "/dashboards/alerts/",
        reverse("dashboards:alert", args=[rule.pk]),
        reverse("dashboards:report", args=[report.pk]),
        "/accounts/sessions/",
        "/accounts/2fa/",
        f"/accounts/login/?next={quote(LINK)}",
    ]
