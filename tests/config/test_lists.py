"""Every page of the navigation asks the database as often for many rows as for two."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from analytics.models import AlertRule, Export, Report, SavedView, Spending
from config.admin_navigation import TASKS
from people.models import TranscriptRead
from tests.connect_bridge.event_log.kit import list_page, tell

LISTS = sorted(list_page(model._meta.app_label, model._meta.model_name) for model in admin.site._registry)
OTHERS = sorted({page.address for task in TASKS for page in task.pages if page.url} | {"/dashboards/chats/"})
#: What such a page may ask for besides its rows: session, user, count, accounts and groups to filter by.
MOST = 8
SECRET = ('"credentials"', '"former_credentials"', "_token")

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


def one_more(place: int) -> None:
    """Add a row of everything that some page lists."""
    tell(f"number {place}")
    owner = User.objects.create_user(f"person {place}", f"{place}@example.com")
    owner.groups.add(Group.objects.create(name=f"group {place}"))
    Export.objects.create(by=owner.username, what="tile volume")
    Spending.objects.create(day=timezone.now().date(), operation=f"operation {place}")
    AlertRule.objects.create(owner=owner, name=f"alert {place}", metric="negative", threshold=0.3)
    Report.objects.create(owner=owner, name=f"report {place}", emails="ana@example.com")
    SavedView.objects.create(owner=owner, name=f"view {place}", page="overview", shared=True)
    TranscriptRead.objects.create(by=owner.username, what="chat", object_id=str(place))


def queries(client: Client, page: str) -> int:
    """Open a page and return how many queries it took. None of them asks for what only the senders need."""
    with CaptureQueriesContext(connection) as asked:
        assert client.get(page).status_code == 200
    assert not [query["sql"] for query in asked if any(name in query["sql"] for name in SECRET)]
    return len(asked)


def test_the_navigation_leads_to_every_list() -> None:
    linked = {page.address for task in TASKS for page in task.pages}

    assert set(LISTS) <= linked
    assert len(LISTS) + len(OTHERS) > 35


@pytest.mark.parametrize("page", [*LISTS, *OTHERS, f"{reverse('customers:index')}?q=number"])
def test_a_page_asks_the_database_as_often_for_many_rows_as_for_two(admin_client: Client, page: str) -> None:
    for place in range(2):
        one_more(place)
    admin_client.get(page)  # what a process learns once
    few = queries(admin_client, page)
    for place in range(2, 6):
        one_more(place)

    assert queries(admin_client, page) == few
    assert page not in LISTS or few <= MOST
