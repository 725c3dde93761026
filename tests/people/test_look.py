from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from config.admin_navigation import TASKS

pytestmark = pytest.mark.django_db


def staff(*permissions: str) -> Client:
    user = User.objects.create_user("somebody", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def sidebar(client: Client) -> list[str]:
    """Return the titles in the sidebar, in order."""
    page = client.get("/admin/").content.decode()
    navigation = page[page.index('id="nav-sidebar-apps"') : page.index('id="main"')]
    return re.findall(r"<span>([^<]+)</span>", navigation)


def test_the_navigation_is_by_task(admin_client: Client) -> None:
    shown = [task.title for task in TASKS if any(page.address for page in task.pages)]

    assert sidebar(admin_client) == shown
    assert shown[:5] == ["Overview", "Conversations", "Customers", "Channels", "Event log"]


def test_a_task_leads_to_the_first_page_that_one_may_see() -> None:
    client = staff("view_channellog")

    page = client.get("/admin/").content.decode()

    assert sidebar(client) == ["Overview", "Event log"]
    assert 'href="/admin/channels_app/channellog/"' in page
    assert "/admin/connect_bridge/outboxentry/" not in page


def test_the_other_pages_of_a_task_are_tabs(admin_client: Client) -> None:
    page = admin_client.get("/admin/connect_bridge/message/").content.decode()
    tabs = page[page.index('id="tabs-items"') :]
    tabs = tabs[: tabs.index("</nav>")]

    assert "/admin/connect_bridge/conversation/" in tabs
    assert re.search(r'message/" class="active"', tabs)


def test_who_may_see_nothing_is_told_whom_to_ask() -> None:
    assert "Ask whoever runs Parley" in staff().get("/admin/").content.decode()


@pytest.mark.parametrize(
    ("world", "label", "shown"),
    [("", "", "This machine"), ("", "Production", "Production"), ("http://127.0.0.1:1", "Production", "Sandbox")],
)
def test_every_page_says_whose_data_it_shows(
    admin_client: Client, settings, world: str, label: str, shown: str
) -> None:
    settings.SANDBOX_WORLD_URL, settings.ENVIRONMENT_LABEL = world, label

    for page in ("/admin/", "/admin/connect_bridge/message/", "/admin/stuck/"):
        assert re.search(rf">\s*{shown}\s*<", admin_client.get(page).content.decode()), page


def test_people_are_listed_with_their_groups_in_as_many_queries_for_many_as_for_one(
    admin_client: Client, django_assert_num_queries
) -> None:
    with django_assert_num_queries(6):
        admin_client.get("/admin/auth/user/")
    for number in range(5):
        User.objects.create_user(f"person {number}")

    with django_assert_num_queries(6):
        admin_client.get("/admin/auth/user/")


def test_an_empty_list_says_whether_there_is_nothing_or_nothing_that_fits(admin_client: Client) -> None:
    def said(page: str) -> str:
        content = admin_client.get(page).content.decode()
        return content[content.index('id="changelist"') :]

    assert "Conversations appear here by themselves." in said("/admin/connect_bridge/conversation/")
    assert "Add business hours" in said("/admin/channels_app/businesshours/")
    assert "Nothing is found by “<bdi>no &lt;such&gt;</bdi>”." in said(
        "/admin/connect_bridge/conversation/?q=no+<such>"
    )
    assert "Nothing fits these filters." in said("/admin/connect_bridge/conversation/?active__exact=1")
