"""The admin's navigation by task. How the admin looks stands in unfold_settings.py.

Each page of the admin belongs to a task. A task shows in the sidebar to whoever may see one of its pages, and leads to
the first of these; its other pages are tabs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse


@dataclass(frozen=True, slots=True)
class Page:
    """A list of the admin, by "app.model", or another page, by its URL's name. `needs`: any of these permissions."""

    title: str
    model: str = ""
    url: str = ""
    needs: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """Return its address, "" if there is no such page in this installation."""
        name = self.url or f"admin:{self.model.replace('.', '_')}_changelist"
        try:
            return reverse(name)
        except NoReverseMatch:
            return ""

    def is_for(self, user: Any) -> bool:
        """Return whether a user may see it: with one of its permissions, for a list that to view or to change rows."""
        app, _, model = self.model.partition(".")
        needs = self.needs or ((f"{app}.view_{model}", f"{app}.change_{model}") if model else ())
        return not needs or any(user.has_perm(permission) for permission in needs)


@dataclass(frozen=True, slots=True)
class Task:
    """What people open the admin for. `icon` is a Material Symbol."""

    title: str
    icon: str
    pages: tuple[Page, ...] = field(default=())

    def visible(self, user: Any) -> list[Page]:
        return [page for page in self.pages if page.address and page.is_for(user)]


TASKS = (
    Task("Overview", "home", (Page("Overview", url="admin:index"),)),
    Task(
        "Conversations",
        "forum",
        (
            Page("Conversations", "connect_bridge.conversation"),
            Page("Messages", "connect_bridge.message"),
            Page("Connect chats", "connect_bridge.contact"),
        ),
    ),
    Task(
        "Customers",
        "group",
        (
            Page("One customer", url="customers:index", needs=("customers.view_customer",)),
            Page("Customers", "customers.customer"),
            Page("Identities", "customers.identity"),
            Page("Aliases", "customers.identityalias"),
            Page("Merges", "customers.merge"),
            Page("Kept apart", "customers.apart"),
            Page("Link codes", "customers.linkcode"),
            Page("Consent", "customers.consent"),
            Page("Exports and erasures", "customers.privacyrequest"),
        ),
    ),
    Task(
        "Channels",
        "cell_tower",
        (
            Page("Channels", url="channels", needs=("channels_app.view_channelaccount",)),
            Page("Accounts", "channels_app.channelaccount"),
            Page("Asked for what was missed", "channels_app.inboundcheck"),
        ),
    ),
    Task(
        "Event log",
        "receipt_long",
        (
            Page("Event log", url="events", needs=("channels_app.view_webhookdelivery",)),
            Page("By cause", url="event-failures", needs=("channels_app.view_webhookdelivery",)),
            Page("Stuck", url="stuck", needs=("channels_app.view_inboundentry", "connect_bridge.view_outboxentry")),
            Page("Webhooks", "channels_app.webhookdelivery"),
            Page("Events", "channels_app.inboundentry"),
            Page("Outbox", "connect_bridge.outboxentry"),
            Page("Calls", "channels_app.channellog"),
            Page("Notices", "connect_bridge.notice"),
            Page("Replays", "connect_bridge.replay"),
        ),
    ),
    Task(
        "Dashboards",
        "monitoring",
        (
            Page("Overview", url="dashboards:overview", needs=("people.use_dashboards",)),
            Page("Alerts", url="dashboards:alerts", needs=("people.use_dashboards",)),
            Page("Exports", "analytics.export"),
            Page("Sentiment engine", "analytics.spending"),
        ),
    ),
    Task(
        "Settings",
        "tune",
        (
            Page("Hours", "channels_app.businesshours"),
            Page("Automatic replies", "channels_app.autoreply"),
            Page("Routing rules", "channels_app.routingrule"),
            Page("Bridges", "connect_bridge.bridge"),
        ),
    ),
    Task(
        "People",
        "badge",
        (
            Page("People", "auth.user"),
            Page("Groups", "auth.group"),
            Page("Audit", url="audit", needs=("people.view_audit",)),
        ),
    ),
)


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the sidebar's items for the user."""
    shown = [(task, pages) for task in TASKS if (pages := task.visible(request.user))]
    items = [
        {
            "title": task.title,
            "icon": task.icon,
            "link": pages[0].address,
            "active": any(_is_current(page, request) for page in pages),
        }
        for task, pages in shown
    ]
    return [{"items": items}]


def tabs(request: HttpRequest) -> list[dict[str, Any]]:
    """Return each task's pages as tabs, for its lists and for its other pages, which name it by its title."""
    return [_tabs(task, pages, request) for task in TASKS if len(pages := task.visible(request.user)) > 1]


def _tabs(task: Task, pages: Iterable[Page], request: HttpRequest) -> dict[str, Any]:
    items = [{"title": page.title, "link": page.address, "active": _is_current(page, request)} for page in pages]
    return {"page": task.title, "models": [page.model for page in task.pages if page.model], "items": items}


def overview(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Give the front page each task with its pages."""
    shown = [(task, task.visible(request.user)) for task in TASKS if task.pages[0].url != "admin:index"]
    tasks = [{"title": task.title, "icon": task.icon, "pages": pages} for task, pages in shown if pages]
    return {**context, "title": "Overview", "tasks": tasks}


def _is_current(page: Page, request: HttpRequest) -> bool:
    if page.url == "admin:index":
        return request.path == page.address
    return request.path.startswith(page.address)


def environment(_request: HttpRequest) -> list[str]:
    """Say on every page whose data this is: nobody shall mistake a trial for the real thing."""
    if settings.SANDBOX_WORLD_URL:
        return ["Sandbox", "info"]
    if settings.ENVIRONMENT_LABEL:
        return [settings.ENVIRONMENT_LABEL, "danger" if settings.ENVIRONMENT_LABEL == "Production" else "warning"]
    return ["This machine", "warning"]
