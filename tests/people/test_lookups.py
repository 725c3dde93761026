"""What a list of the admin can be narrowed by: what it offers, and ids that our own links name. Nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.db.models import Field, ForeignKey
from django.test import Client, RequestFactory
from django.urls import reverse

from people.admin_base import ModelAdmin
from people.roles import ROLES
from tests.connect_bridge.event_log.kit import Story, list_page, tell

LOOKUPS = ("", "__exact", "__contains", "__startswith", "__gte", "__regex", "__isnull", "__in", "__range")
PAGES = sorted((model._meta.app_label, model._meta.model_name) for model in admin.site._registry)

pytestmark = pytest.mark.django_db


@pytest.fixture
def story() -> Story:
    return tell("4111 1111 1111 1111")


def of_role(role: str) -> User:
    user = User.objects.create_user(f"a {role}", is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    return User.objects.get(pk=user.pk)


def paths(model: Any) -> Iterator[str]:
    """Yield every field, the key, and those one relation away: forwards and backwards."""
    for field in model._meta.get_fields(include_hidden=True):
        name = field.name if isinstance(field, Field) else field.get_accessor_name() and field.name
        if not name or name.endswith("+"):
            continue
        yield name
        if field.is_relation and field.related_model:
            yield from (f"{name}__{one.name}" for one in field.related_model._meta.get_fields() if one.name[-1] != "+")
    yield "pk"


def offered(page: ModelAdmin[Any], request: Any) -> set[str]:
    """Return what the page itself puts into its links: its filters' parameters, and keys of what a row belongs to."""
    names = {
        str(name) for spec in page.get_changelist_instance(request).filter_specs for name in spec.expected_parameters()
    }
    for item in page.get_list_filter(request):
        if name := getattr(item, "parameter_name", ""):
            names.add(name)
        elif isinstance(item, str):
            names |= {item + ending for ending in ("__exact", "__isnull", "__gte", "__lt")} & set(page.lookups(request))
    keys = [one for one in page.model._meta.concrete_fields if isinstance(one, ForeignKey)]
    return names | {f"{one.name}__{one.target_field.name}__exact" for one in keys} | set(page.links)


@pytest.mark.parametrize("role", ROLES)
def test_no_list_can_be_narrowed_by_what_it_does_not_offer(role: str, story: Story) -> None:
    request = RequestFactory().get("/")
    request.user = of_role(role)
    asked = 0

    for model, page in admin.site._registry.items():
        assert isinstance(page, ModelAdmin), f"{model} has a page that is not one of ours"
        known = offered(page, request)
        for path in paths(model):
            for lookup in LOOKUPS:
                asked += 1
                assert page.lookup_allowed(path + lookup, "1", request) == (path + lookup in known), (
                    model,
                    path,
                    lookup,
                )
    assert asked > 5_000


@pytest.mark.parametrize(("app", "model"), PAGES)
def test_what_is_not_offered_is_refused_with_words(app: str, model: str, story: Story, admin_client: Client) -> None:
    page = next(
        one for of, one in admin.site._registry.items() if (of._meta.app_label, of._meta.model_name) == (app, model)
    )

    for name in (
        "pk__gte",
        "id__startswith",
        "conversation__contact__participant_token__gte",
        "user__password__contains",
    ):
        answer = admin_client.get(list_page(app, model), {name: "1"})
        assert answer.status_code == 400, name
        assert "cannot be filtered by" in answer.content.decode()
    assert page.to_field_allowed(RequestFactory().get("/"), page.model._meta.pk.name)
    assert not page.to_field_allowed(RequestFactory().get("/"), "participant_token")


@pytest.mark.parametrize("role", ["Viewer", "Ops", "Manager"])
def test_nobody_reads_a_text_or_a_token_by_asking_which_rows_match(role: str, story: Story, client: Client) -> None:
    client.force_login(of_role(role))
    for page, name in (
        ("message", "text__contains"),
        ("message", "contact__participant_token__gte"),
        ("contact", "participant_token__startswith"),
        ("contact", "messages__text__regex"),
        ("conversation", "identity__external_id__startswith"),
        ("conversation", "account__credentials__isnull"),
    ):
        answers = [client.get(list_page("connect_bridge", page), {name: value}) for value in ("4111", "0")]
        assert [one.status_code for one in answers] == [400, 400], (page, name)


def test_the_links_of_our_own_pages_go_on_working(story: Story, admin_client: Client) -> None:
    conversation = story.inbound.conversation
    links = {
        ("connect_bridge", "message"): {"conversation__id__exact": conversation.pk, "status__exact": "stored"},
        ("channels_app", "channellog"): {"outbox_entry__exact": story.entry.pk},
        ("channels_app", "autoreply"): {"account": conversation.account_id},
        ("connect_bridge", "contact"): {"requested_at__gte": "2020-01-01 00:00:00+00:00", "o": "1", "q": "", "p": "1"},
    }
    for (app, model), asked in links.items():
        answer = admin_client.get(list_page(app, model), asked)
        assert answer.status_code == 200, (app, model)


@pytest.mark.parametrize("value", ["no-id", "\0", "9" * 400])
def test_a_value_that_is_none_is_refused_with_words(value: str, story: Story, admin_client: Client) -> None:
    answer = admin_client.get(list_page("connect_bridge", "message"), {"conversation__id__exact": value})

    assert answer.status_code == 400
    assert "Nothing can be looked up with" in answer.content.decode()


def test_rows_behind_a_field_of_a_form_are_not_offered_to_whoever_asks(story: Story, client: Client) -> None:
    client.force_login(of_role("Viewer"))
    asked = {"app_label": "connect_bridge", "model_name": "conversation", "field_name": "identity", "term": "4111"}

    assert client.get(reverse("admin:autocomplete"), asked).status_code == 404
