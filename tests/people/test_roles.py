"""Which role may open, and act on, which page: asked of every URL there is, and compared with the documentation."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, Permission, User
from django.http import HttpResponse
from django.test import Client, RequestFactory

from people.roles import ADMIN, OPS, ROLES
from tests.factories import (
    InboundEntryFactory,
    MessageFactory,
    OutboxEntryFactory,
)
from tests.people.pages_kit import a_row_of_everything, addresses
from tests.role_kit import client_of

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "roles.md"
pytestmark = pytest.mark.django_db


@pytest.fixture
def rows() -> None:
    a_row_of_everything()


def may(client: Client, address: str) -> str:
    """Return "" if the page is closed, "see" if it can be opened, "act" if it also takes a form."""
    answer = client.get(address)
    if answer.status_code == 405:
        answer = client.post(address)
        return "" if _is_closed(answer) and answer.status_code != 404 else "act"  # it looked for what the form lacks
    if _is_closed(answer):
        return ""
    assert answer.status_code in (200, 302), f"{address}: {answer.status_code}"
    if re.fullmatch(r"/admin/((?!channels/)\w+/\w+/)?", address):
        return "see"  # what a list does besides is in the table of actions
    return "act" if client.post(address).status_code not in (403, 405) else "see"


def _is_closed(answer: HttpResponse) -> bool:
    return answer.status_code in (401, 403, 404) or "login" in urlsplit(answer.headers.get("Location", "")).path


def shown_as(route: str) -> str:
    return "/" + re.sub(r"\(\?P<\w+>[^)]*\)|<[^>]+>", "…", route.replace("^", "").replace("$", "").replace("\\Z", ""))


def test_the_documented_matrix_is_what_the_pages_do(rows: None) -> None:
    pages = addresses()
    clients = {role: client_of(role) for role in ROLES}
    lines = [f"| Page | {' | '.join(ROLES)} |", f"|---|{'---|' * len(ROLES)}"]
    for route, address in sorted(pages.items()):
        allowed = [may(clients[role], address) for role in ROLES]
        lines.append(f"| `{shown_as(route)}` | {' | '.join(allowed)} |")
    lines += ["", f"| Action | {' | '.join(ROLES)} |", f"|---|{'---|' * len(ROLES)}"]
    lines += [f"| {name} | {' | '.join(allowed)} |" for name, allowed in actions()]
    table = "\n".join(lines)

    before, _, after = PAGE.read_text().partition("<!-- matrix -->\n")
    if os.environ.get("WRITE_DOCS"):
        PAGE.write_text(f"{before}<!-- matrix -->\n{table}\n")
    assert len(pages) > 60
    assert after.strip() == table, (
        "docs/reference/roles.md is not what the pages do: WRITE_DOCS=1 writes it anew; read it"
    )


def actions() -> Iterator[tuple[str, list[str]]]:
    """Yield each action of a list, with who may take it."""
    requests = {}
    for role in ROLES:
        requests[role] = RequestFactory().get("/")
        requests[role].user = User.objects.get(username=role)
    for model, model_admin in sorted(admin.site._registry.items(), key=lambda one: one[0]._meta.label):
        offered = {role: model_admin.get_actions(request) for role, request in requests.items()}
        for name in sorted(set().union(*offered.values())):
            yield f"{model._meta.verbose_name}: {name}", ["yes" if name in offered[role] else "" for role in ROLES]


def test_without_signing_in_every_page_is_closed(rows: None) -> None:
    assert {route: may(Client(), address) for route, address in addresses().items()} == dict.fromkeys(addresses(), "")


def test_somebody_without_a_group_sees_the_empty_overview_alone(rows: None) -> None:
    client = Client()
    client.force_login(User.objects.create_user("nobody", is_staff=True))

    assert {route for route, address in addresses().items() if may(client, address)} == {"admin/"}


@pytest.mark.parametrize("role", ROLES)
def test_every_right_that_a_role_names_exists(role: str) -> None:
    have = Group.objects.get(name=role).permissions.select_related("content_type")

    assert {f"{one.content_type.app_label}.{one.codename}" for one in have} == set(ROLES[role])


def test_no_right_is_left_out_by_mistake() -> None:
    """Of all rights there are, Admin lacks those that nobody needs: to edit what was recorded, Django's own tables."""
    ours = ("channels_app", "connect_bridge", "customers", "people")
    every = Permission.objects.filter(content_type__app_label__in=ours).select_related("content_type")
    lacking = {f"{one.content_type.app_label}.{one.codename}" for one in every} - set(ADMIN)

    assert not {right for right in lacking if right.startswith("people.") and "_historical" not in right} - {
        f"people.{verb}_transcriptread" for verb in ("add", "change", "delete", "view")
    }


@pytest.mark.parametrize(
    ("role", "sees"), [("Viewer", "redacted"), ("Manager", "whole"), ("Ops", ""), ("Admin", "whole")]
)
def test_words_are_shown_as_far_as_the_role_may_read_them(role: str, sees: str) -> None:
    text = "the words 600111222"
    entry = InboundEntryFactory(
        event={"event": "message", "text": text}, delivery__body=f'{{"text": "{text}"}}'.encode()
    )
    message = MessageFactory(text=text, entry=entry, original={"text": text})
    outbound = OutboxEntryFactory(message__conversation=message.conversation, message__text=text, text=text)
    expected = {"": "", "redacted": "the words [number]", "whole": text}[sees]
    client = client_of(role)
    pages = [
        f"/admin/connect_bridge/conversation/{message.conversation.pk}/change/",
        f"/admin/connect_bridge/message/{message.pk}/change/",
        *([f"/admin/connect_bridge/outboxentry/{outbound.pk}/change/"] if role in ("Ops", "Admin") else []),
        *([f"/admin/channels_app/inboundentry/{entry.pk}/change/"] if role in ("Ops", "Admin") else []),
        *([f"/admin/channels_app/webhookdelivery/{entry.delivery.pk}/change/"] if role in ("Ops", "Admin") else []),
        f"/api/v1/messages/{message.pk}/",
    ]

    for page in pages:
        answer = client.get(page)
        content = answer.content.decode()
        assert answer.status_code == 200, page
        assert ("600111222" in content) is (sees == "whole"), page
        assert ("the words" in content) is bool(sees), page
        assert expected in content, page


def test_who_read_a_transcript_is_on_record() -> None:
    from people.models import TranscriptRead

    message = MessageFactory()
    client_of("Manager").get(f"/admin/connect_bridge/conversation/{message.conversation.pk}/change/")
    client_of("Ops").get(f"/admin/connect_bridge/conversation/{message.conversation.pk}/change/")

    (read,) = TranscriptRead.objects.all()
    assert (read.by, read.what, read.object_id) == ("Manager", "conversation", str(message.conversation.pk))


def test_ops_may_not_read_and_viewers_may_not_change() -> None:
    assert not {right for right in OPS if "read_" in right}
    assert not {right for right in ROLES["Viewer"] if re.search(r"\.(add|change|delete)_", right)}


def test_only_a_superuser_makes_or_changes_superusers() -> None:
    client, boss = client_of("Admin"), User.objects.create_superuser("boss")
    ana = User.objects.create_user("ana")

    client.post(f"/admin/auth/user/{ana.pk}/change/", {"username": "ana", "is_active": "on", "is_superuser": "on"})
    answer = client.post(f"/admin/auth/user/{boss.pk}/change/", {"username": "mine", "is_active": "on"})

    ana.refresh_from_db()
    assert not ana.is_superuser
    assert answer.status_code == 403
