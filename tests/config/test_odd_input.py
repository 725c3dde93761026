"""Odd values in every parameter of every page and of the API: an answer that says so, never one of our own mistakes."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Iterator

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client

from tests.connect_bridge.event_log.kit import list_page, tell

ODD = (
    "\x00",
    "(",
    "\\",
    "%",
    "x" * 5_000,
    "9" * 400,
    "-1",
    "1e999",
    "NaN",
    "0001-01-01",
    "9999-12-31",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59-23:59",
    "0001-01-01 00:00:00Z",
    "9999-12-31 23:59:59Z",
    "2026-13-45",
    "99999999999999999999999",
    "²",
    "٣",
    "\ud83d".encode("utf-8", "surrogatepass").decode("latin-1"),
    "\U0001f4a9",
    "00000000-0000-0000-0000-000000000000",
    "null",
    "[]",
    "' OR 1=1 --",
)
#: Those of each kind, for pages that share their way of reading with one that is asked all of them.
FEW = ("\x00", "(", "9" * 400, "0001-01-01", "9999-12-31T23:59:59-23:59", "²", "null")
#: Pages that are asked everything.
WHOLE = (
    "/dashboards/chats/",
    "/admin/events/",
    "/admin/audit/",
    "/customers/",
    "/api/v1/stuck/",
    "/api/v1/metrics/volume/",
)
CURSORS = tuple(
    base64.b64encode(text.encode()).decode()
    for text in ("p=0001-01-01", "p=9999-12-31T23:59:59-23:59", "p=\x00", "p=NaN", "o=99999999999999999999&p=1", "r=1")
)
DASHBOARD = ("range", "since", "until", "compare", "channel", "account", "queue", "language", "agent", "page", "view")
CHATS = (*DASHBOARD, "outcome", "phrase", "code", "slot")
PAGES: dict[str, tuple[str, ...]] = {
    "/dashboards/": DASHBOARD,
    "/dashboards/volume/": DASHBOARD,
    "/dashboards/chats/": CHATS,
    "/dashboards/parts/": DASHBOARD,
    "/dashboards/export/tile/volume/": DASHBOARD,
    "/dashboards/export/rows/chats/": CHATS,
    "/dashboards/export/rows/messages/": CHATS,
    "/dashboards/alerts/": ("metric",),
    "/admin/events/": ("direction", "fate", "account", "since", "q", "before"),
    "/admin/events/failures/": ("since",),
    "/admin/audit/": ("model", "by", "before"),
    "/admin/stuck/": ("kind", "limit"),
    "/admin/search/": ("s",),
    "/admin/channels/": ("account",),
    "/admin/channels/add/": ("kind",),
    "/customers/": ("q",),
    "/accounts/login/": ("next",),
    "/-/health/": ("x",),
    "/-/metrics/": ("name[]",),
    "/api/schema/": ("lang", "version", "format"),
    "/api/docs/": ("script",),
    "/api/v1/stuck/": ("kind", "limit"),
    "/api/v1/metrics/": DASHBOARD,
    "/api/v1/metrics/volume/": DASHBOARD,
}
API = ("accounts", "conversations", "contacts", "messages", "deliveries", "outbox", "customers", "identities", "merges")
API_FILTERS = {
    "accounts": "kind enabled",
    "conversations": "account identity customer active",
    "contacts": "conversation state initial_contact_id",
    "messages": "conversation contact direction status",
    "deliveries": "account state polled request_id",
    "outbox": "conversation message state",
    "customers": "kind external_id handle phone merged erased",
    "identities": "customer home kind issuer external_id handle",
    "merges": "customer method in_force",
    "consents": "customer identity purpose granted",
    "link-codes": "customer identity typed_by form outcome",
}
IN_PATHS = (
    "/admin/connect_bridge/message/{}/change/",
    "/admin/auth/user/{}/change/",
    "/admin/channels_app/inboundentry/{}/change/",
    "/admin/channels_app/channelaccount/{}/history/",
    "/api/v1/messages/{}/",
    "/api/v1/merges/{}/",
    "/api/v1/consents/{}/",
    "/api/v1/metrics/{}/",
    "/customers/{}/",
    "/agent/{}/",
    "/dashboards/chat/{}/",
    "/dashboards/{}/",
    "/admin/events/{}/",
    "/accounts/tokens/{}/end/",
)

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


@pytest.fixture
def client(admin_user: User) -> Client:
    tell("hello")
    quiet = Client(raise_request_exception=False)
    quiet.force_login(admin_user)
    return quiet


def of_lists() -> Iterator[tuple[str, tuple[str, ...]]]:
    for model, page in admin.site._registry.items():
        filters = [getattr(one, "parameter_name", one) for one in page.list_filter if not isinstance(one, tuple)]
        keys = [f"{one}{ending}" for one in filters for ending in ("", "__exact", "__gte")]
        yield list_page(model._meta.app_label, model._meta.model_name), (*keys, "q", "p", "o", "all", "_to_field", "e")


def broken(client: Client, asked: Iterator[tuple[str, dict[str, str]]]) -> list[tuple[str, dict[str, str], int]]:
    """Return what was answered 500 or above. The database still works after each."""
    failures = []
    for path, values in asked:
        answer = client.get(path, values)
        if answer.status_code >= 500:
            failures.append((path, {name: value[:40] for name, value in values.items()}, answer.status_code))
        elif answer.streaming:
            list(answer)
    return failures


def each(names: tuple[str, ...] | list[str], values: tuple[str, ...] = ODD) -> Iterator[dict[str, str]]:
    """Yield every odd value, in all parameters' turn: what one parameter does with it does not hang on another."""
    for name in names:
        for value in (*values, *(CURSORS if name == "cursor" else ())):
            range_ = {"range": "custom", "since": "2026-01-01", "until": "2026-01-02"}
            yield {**(range_ if name in ("since", "until") else {}), name: value}


@pytest.mark.parametrize("path", PAGES)
def test_no_odd_value_breaks_a_page(path: str, client: Client) -> None:
    assert broken(client, ((path, values) for values in each(PAGES[path], ODD if path in WHOLE else FEW))) == []


@pytest.mark.parametrize(("path", "names"), [pytest.param(*one, id=one[0]) for one in of_lists()])
def test_no_odd_value_breaks_a_list(path: str, names: tuple[str, ...], client: Client) -> None:
    assert broken(client, ((path, values) for values in each(names, FEW))) == []


@pytest.mark.parametrize("name", API_FILTERS)
def test_no_odd_value_breaks_the_api(name: str, client: Client) -> None:
    names = [*API_FILTERS[name].split(), "cursor", "page_size"]

    assert broken(client, ((f"/api/v1/{name}/", values) for values in each(names))) == []


@pytest.mark.parametrize("name", API)
def test_the_api_refuses_what_it_does_not_offer(name: str, client: Client) -> None:
    for unknown in ("text__regex", "body__gt", "ordering", "search", "participant_token__startswith", "format"):
        answer = client.get(f"/api/v1/{name}/", {unknown: "("})
        assert answer.status_code == 400, unknown
        assert "Unknown parameter" in answer.content.decode()


@pytest.mark.parametrize("path", IN_PATHS)
def test_no_odd_id_breaks_a_page(path: str, client: Client) -> None:
    values = [*(value for value in ODD if "/" not in value), "%00", "%ff%fe", "..%2f", "a b", str(uuid.uuid4())]
    failures = []
    for value in values:
        answer = client.get(path.format(value.replace("\x00", "%00").replace("\\", "%5C")))
        if answer.status_code >= 500:
            failures.append((value[:40], answer.status_code))
    assert failures == []


def test_bad_utf8_and_names_that_are_none_break_nothing(client: Client) -> None:
    for query in ("q=%ff%fe", "%00=1", "%ff=1", "a[]=1&a[]=2", "q", "&&&=", "o=1.2.-3..x", "p=%C2%B2", "q=%00%0a"):
        for path in (
            "/admin/events/",
            "/customers/",
            "/dashboards/",
            "/api/v1/messages/",
            "/admin/customers/customer/",
        ):
            assert client.get(f"{path}?{query}").status_code < 500, (path, query)


@pytest.mark.parametrize("name", [*API, "consents", "link-codes", "stuck", "metrics"])
def test_the_api_says_what_may_be_done(name: str, client: Client) -> None:
    assert client.options(f"/api/v1/{name}/").status_code == 200
    assert Client(raise_request_exception=False).options(f"/api/v1/{name}/").status_code == 401


@pytest.mark.parametrize(
    "path", ["customers/{}/merge/", "customers/{}/erase/", "merges/{}/undo/", "consents/", "link-codes/", "merges/"]
)
@pytest.mark.parametrize(
    "body",
    [
        b"[" * 3_000 + b"]" * 3_000,
        b'{"a":' * 3_000 + b"1" + b"}" * 3_000,
        b'{"reason": "\\u0000"}',
        b'{"reason": "\\ud800", "other": 5}',
        b"\xff\xfe",
        b"[]",
        b"null",
        b"5",
        b'{"other": ' + b"9" * 5_000 + b"}",
        b'{"identities": [1, null, {"kind": "\\u0000", "external_id": "\\u0000"}], "system": "\\u0000"}',
        b'{"customer": "\\u0000", "channel": "\\u0000", "purposes": ["\\u0000"], "granted": NaN}',
        b"NaN",
    ],
)
def test_no_odd_body_breaks_the_api(path: str, body: bytes, client: Client) -> None:
    answer = client.post(f"/api/v1/{path.format(uuid.uuid4())}", body, content_type="application/json")

    assert answer.status_code in (400, 404, 405, 409, 413), answer.content


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 3_000 + b"]" * 3_000,
        json.dumps({"detail-type": "Amazon Connect Contact Event", "detail": {"contactId": "\x00"}}).encode(),
        json.dumps(
            {
                "detail-type": "Amazon Connect Contact Event",
                "id": "\x00",
                "detail": {
                    "eventType": "QUEUED\x00",
                    "contactId": "a\x00",
                    "initialContactId": "\x00",
                    "channel": "CHAT",
                    "instanceArn": "\x00",
                    "queueInfo": {"queueArn": "\x00", "enqueueTimestamp": "0001-01-01T00:00:00Z"},
                    "agentInfo": {"agentArn": "\x00", "connectedToAgentTimestamp": "9999-12-31T23:59:59Z"},
                },
            }
        ).encode(),
        b"\xff\xfe",
        b"{}",
        b"9" * 5_000,
    ],
)
@pytest.mark.parametrize("length", ["", "x", "-1", "9" * 30])
def test_no_odd_contact_event_breaks_anything(body: bytes, length: str, settings, client: Client) -> None:
    settings.CONTACT_EVENTS_TOKEN = "token"
    headers = {"x-parley-token": "token", **({"content-length": length} if length else {})}

    answer = client.post("/connect/contact-events/", body, content_type="application/json", headers=headers)

    assert answer.status_code in (400, 413, 503, 200), answer.content


def test_the_description_of_the_api_is_for_who_is_signed_in(admin_user: User) -> None:
    stranger, staff = Client(), Client()
    staff.force_login(admin_user)

    for path in ("/api/schema/", "/api/docs/"):
        assert stranger.get(path).status_code in (302, 401, 403)
        assert staff.get(path).status_code == 200


def test_nobody_keeps_a_copy_of_a_page(client: Client) -> None:
    paths = [*PAGES, *(path for path, _ in of_lists()), *(f"/api/v1/{name}/" for name in API)]

    for path in paths:
        assert "no-store" in client.get(path).get("Cache-Control", ""), path
