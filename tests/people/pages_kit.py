"""Every page that asks who one is, with an address at which to ask, and the rows that these pages show."""

from __future__ import annotations

import re
from collections.abc import Iterator

from django.apps import apps
from django.contrib.auth.models import Group, User
from django.urls import URLPattern, URLResolver, get_resolver

from analytics.models import AlertRule, Export, Report, SavedView, Spending
from channels_app.models import AutoReply, BusinessHours, ChannelAccount, InboundCheck, RoutingRule, WebhookDelivery
from connect_bridge.models import Contact, Notice, OutboxEntry, Replay
from customers.codes import make_link_code
from customers.models import Apart, Consent, Customer, IdentityAlias, Merge, PrivacyRequest
from tests.factories import (
    BridgeFactory,
    ChannelLogFactory,
    ContactFactory,
    CustomerFactory,
    InboundEntryFactory,
    MessageFactory,
    OutboxEntryFactory,
)

#: Whoever comes here without signing in is answered otherwise: by the sign-in, or by a machine's own check.
PUBLIC = ("-/", "agent/", "webhooks/", "connect/", "api/schema/", "api/docs/", "accounts/", "sandbox/")
#: Everybody who is signed in has these.
EVERYBODYS = ("login", "logout", "password_change", "password_change_done", "jsi18n", "autocomplete", "search")


def a_row_of_everything() -> None:
    """Make a row of everything that has a page."""
    outbound = OutboxEntryFactory(state="dead", message__contact=None)
    message = MessageFactory(contact=ContactFactory(), entry=InboundEntryFactory())
    BridgeFactory()
    for account in ChannelAccount.objects.all():  # whichever is asked for: with a log, none can be deleted
        ChannelLogFactory(account=account)
    InboundCheck.objects.create(account=message.conversation.account, due_at=message.created_at)
    IdentityAlias.objects.create(identity=message.conversation.identity, kind="whatsapp", type="phone", value="+1")
    Notice.objects.create(message=outbound.message, contact=message.contact, created_at=message.created_at)
    Replay.objects.create(at=message.created_at, by="a", verb="retry", asked={}, counts={}, rows=[])
    home = message.conversation.identity.home
    Merge.objects.create(**_pair(home, CustomerFactory()), method="person", made_at=message.created_at)
    Apart.objects.create(**_pair(home, CustomerFactory()), at=message.created_at, by="a")
    make_link_code(home.pk, None, by="a")
    identity = message.conversation.identity
    Consent.objects.create(identity=identity, purpose="marketing", granted=True, source="api", at=message.created_at)
    PrivacyRequest.objects.create(verb="export", customer=home, at=message.created_at, by="a")
    Export.objects.create(by="a", what="tile volume")
    Spending.objects.create(day=message.created_at.date(), operation="BatchDetectSentiment")
    owner = User.objects.create_user("owner of a view")
    SavedView.objects.create(owner=owner, name="a view")
    AlertRule.objects.create(owner=owner, name="an alert", metric="negative", threshold=0.3)
    Report.objects.create(owner=owner, name="a report", emails="ana@example.com")
    BusinessHours.objects.create(name="Office")
    AutoReply.objects.create(account=identity.conversations.first().account, occasion="greeting", text="Hello")
    RoutingRule.objects.create(account=AutoReply.objects.get().account, words="hello")
    Group.objects.create(name="A group of ours")
    User.objects.create_user("somebody else")


def _pair(one: Customer, other: Customer) -> dict[str, Customer]:
    low, high = sorted((one, other), key=lambda customer: customer.pk)
    return {"low": low, "high": high}


def patterns(resolver: URLResolver, before: str = "") -> Iterator[tuple[str, URLPattern]]:
    for one in resolver.url_patterns:
        route = before + str(one.pattern)
        if isinstance(one, URLResolver):
            yield from patterns(one, route)
        else:
            yield route, one


def addresses() -> dict[str, str]:
    """Return every page that asks who one is, by its route, with an address at which to ask."""
    by_name = {}
    for route, pattern in patterns(get_resolver()):
        if route.startswith(PUBLIC) or route == "" or (pattern.name or "") in EVERYBODYS:
            continue
        address = address_of(route, pattern)
        if address is not None:
            by_name[route] = address
    return by_name


def of_dashboards(route: str) -> str:
    """Return the address of a dashboard's page or part."""
    values = {"key": "volume", "what": "chats", "name": "hours"}
    for name, model in {"contact": Contact, "view": SavedView, "rule": AlertRule, "report": Report}.items():
        values[name] = model.objects.values_list("pk", flat=True).last()
    return "/" + re.sub(r"<\w+:(\w+)>", lambda match: str(values[match[1]]), route)


def address_of(route: str, pattern: URLPattern) -> str | None:
    if route.startswith(("dashboards/", "api/v1/metrics/")):
        return of_dashboards(route)
    if (
        "(?P<url>" in route
        or "(?P<app_label>" in route
        or "<path:object_id>/$" in route
        or route.endswith("object_id>/")
    ):
        return None  # Django's redirects to a change page, and pages of a whole app
    if "<" not in route:
        return "/" + route.replace("^", "").replace("$", "").replace("\\Z", "")
    if route.startswith("admin/events/"):
        one = OutboxEntry if "/send/" in route else WebhookDelivery
        return "/" + route.replace("<uuid:key>", str(one.objects.order_by("pk").values_list("pk", flat=True)[0]))
    if route.startswith("admin/channels/"):
        account = ChannelAccount.objects.order_by("created_at").first()
        assert account is not None
        return "/" + route.replace("<uuid:key>", str(account.pk)).replace("<slug:step>", "route")
    named = re.match(r"admin/(\w+)/(\w+)/", route)
    if named:
        rows = apps.get_model(*named.groups()).objects
    elif route.startswith("customers/"):
        rows = (Merge if "/merges/" in route else Customer).objects
    else:
        rows = pattern.callback.cls.queryset
    row = rows.order_by("pk").last()
    assert row is not None, f"{route}: make a row of this in the fixture"
    clean = route.replace("^", "").replace("$", "").replace("\\Z", "")
    return "/" + re.sub(r"\(\?P<\w+>[^)]*\)|<[^>]+>", str(row.pk), clean)
