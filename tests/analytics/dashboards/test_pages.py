"""The pages as people meet them: who may see what, what the address says, one number everywhere."""

from __future__ import annotations

import csv
import io
import re
from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from analytics.models import Export, SavedView
from analytics.rollups.update import refresh
from analytics.tiles import catalogue
from analytics.tiles.registry import OVERVIEW, PAGES, TILES
from channels_app.models import ChannelAccount
from connect_bridge.operations.account_status import account_statuses
from tests.analytics.dashboards.kit import RIGHTS, login
from tests.analytics.kit import BAD, GOOD, customer_wrote
from tests.factories import ChannelAccountFactory, ContactFactory, ConversationFactory, MessageFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def manager() -> Client:
    return login(*RIGHTS)


@pytest.fixture
def story() -> Any:
    """Store a chat of today: a customer who is angry, an agent who answers."""
    from analytics.models import Sentiment

    account = ChannelAccountFactory(kind="whatsapp", name="Acme")
    conversation = ConversationFactory(account=account, identity__display_name="=Mia <b>")
    begun = timezone.now() - timedelta(minutes=3)
    contact = ContactFactory(conversation=conversation, requested_at=begun, agent_name="Ann", bot=False)
    for number, score in enumerate((BAD, GOOD, BAD)):
        message = customer_wrote(f"=secret words {number}", conversation, contact=contact, created_at=begun)
        shares = {name: getattr(score, name) for name in ("positive", "negative", "neutral", "mixed")}
        common = {"state": "scored", "score": score.value, "label": score.label, "language": "en", "due_at": begun}
        Sentiment.objects.create(message=message, **common, **shares)
    answered = begun + timedelta(seconds=90)
    MessageFactory(
        conversation=conversation,
        contact=contact,
        direction="out",
        status="accepted",
        created_at=answered,
        occurred_at=answered,
        settled_at=answered,
    )
    refresh()
    return contact


@pytest.mark.parametrize("path", ["", *(f"{name}/" for name in PAGES), "chats/"])
def test_every_page_can_be_seen_full_and_empty(manager: Client, story: Any, path: str) -> None:
    def seen(query: str) -> str:
        answer = manager.get(f"/dashboards/{path}?{query}")
        assert answer.status_code == 200
        page = answer.content.decode()
        assert "could not be computed" not in page
        return str(page)

    assert ("=secret words" in seen("range=24h")) is (path in ("", "chats/")), (
        "lists of chats show words, no other page"
    )
    for query in ("range=custom&since=2020-01-01&until=2020-01-02", "range=7d&channel=none"):
        assert "=secret" not in seen(query)


def test_the_numbers_are_those_of_the_rows(manager: Client, story: Any) -> None:
    page = manager.get("/dashboards/?range=24h").content.decode()
    assert tile(page, "sentiment") == "\N{MINUS SIGN}29"
    assert tile(page, "volume") == "3"
    assert tile(page, "first_response").startswith("1 m ")
    assert tile(page, "active") == "1"


def test_the_overview_calls_each_account_what_the_page_of_channels_calls_it(manager, story):
    ChannelAccountFactory(kind="twitter", name="Nobody called")
    ChannelAccountFactory(kind="messenger", name="Off", enabled=False)

    page = manager.get("/dashboards/").content.decode()

    for status in account_statuses(ChannelAccount.objects.all()):
        assert re.search(rf"{status.account.name}.*?{status.state}", page, re.DOTALL), status.account.name
    assert {str(status.state) for status in account_statuses(ChannelAccount.objects.all())} >= {
        "Not set up",
        "Switched off",
    }


def tile(page: str, key: str) -> str:
    match = re.search(rf'id="tile-{key}".*?<strong class="value number">(.*?)</strong>', page, re.DOTALL)
    assert match, key
    return match[1]


def test_the_api_gives_the_numbers_of_the_page(manager: Client, story: Any) -> None:
    answer = manager.get("/api/v1/metrics/?range=24h").json()
    metrics = {metric["key"]: metric for metric in answer["metrics"]}
    assert set(metrics) == set(TILES)
    assert metrics["sentiment"]["value"] == pytest.approx(-0.2933, abs=1e-3)
    assert metrics["volume"]["value"] == 3
    assert metrics["worst"]["rows"][0]["values"][-1] == "=secret words 0"
    single = manager.get("/api/v1/metrics/sentiment/?range=24h").json()["metrics"][0]
    assert single["value"] == metrics["sentiment"]["value"]
    assert single["small_sample"] is True


def test_an_api_parameter_that_nobody_knows_is_refused(manager: Client) -> None:
    answer = manager.get("/api/v1/metrics/?chanel=x")
    assert (answer.status_code, list(answer.json())) == (400, ["chanel"])


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("range=year", "range"),
        ("range=custom&since=yesterday&until=2026-01-01", "since"),
        ("range=custom&since=2026-02-01&until=2026-01-01", "until"),
        ("range=custom&since=2020-01-01&until=2026-01-01", "since"),
        ("account=7", "account"),
        ("queue=%00", "queue"),
        ("compare=never", "compare"),
    ],
)
def test_a_filter_that_cannot_be_read_says_which_and_how(manager: Client, query: str, field: str) -> None:
    assert list(manager.get(f"/api/v1/metrics/?{query}").json()) == [field]
    page = manager.get(f"/dashboards/?{query}")
    assert page.status_code == 400
    assert f'<span class="mono">{field}</span>' in page.content.decode()
    assert manager.get(f"/dashboards/parts/?{query}").status_code == 400


def test_filters_in_the_address_choose(manager: Client, story: Any) -> None:
    account = story.conversation.account
    ChannelAccountFactory(kind="messenger")
    hit = manager.get(f"/dashboards/?range=24h&account={account.id}&queue=-&agent=Ann&language=en")
    assert tile(hit.content.decode(), "volume") == "3"
    assert "agent: <bdi>Ann</bdi>" in hit.content.decode()
    missed = manager.get("/dashboards/?range=24h&channel=messenger").content.decode()
    assert "Nothing matches the filters" in missed


def test_without_the_permission_it_says_what_is_missing() -> None:
    answer = login().get("/dashboards/")
    assert answer.status_code == 403
    assert "people.use_dashboards" in answer.content.decode()
    assert login_less().get("/dashboards/").status_code == 302
    assert login_less().get("/api/v1/metrics/").status_code == 401


def login_less() -> Client:
    return Client()


def test_words_and_agents_need_permissions_of_their_own(story: Any) -> None:
    client = login("use_dashboards")
    page = client.get("/dashboards/?range=24h&agent=Nobody").content.decode()
    assert "=secret" not in page
    assert tile(page, "volume") == "3", "a filter by agent counts for nothing"
    assert 'name="agent"' not in page
    assert 'id="tile-by_agent"' not in client.get("/dashboards/agents/?range=24h").content.decode()
    metrics = client.get("/api/v1/metrics/?range=24h").json()["metrics"]
    assert "by_agent" not in {metric["key"] for metric in metrics}
    assert "=secret" not in str(metrics)
    transcript = client.get(f"/dashboards/chat/{story.pk}/").content.decode()
    assert "secret" not in transcript
    assert "•" in transcript
    assert client.get("/dashboards/export/rows/messages.csv").status_code == 403


def test_a_transcript_opens_at_its_lowest_message_and_shows_every_mark(manager: Client, story: Any) -> None:
    page = manager.get(f"/dashboards/chat/{story.pk}/").content.decode()
    assert page.count('id="lowest"') == 1
    assert page.count('class="mark negative"') == 2
    assert "=Mia &lt;b&gt;" in page


def test_a_chat_that_nobody_knows_is_not_found(manager: Client) -> None:
    assert manager.get("/dashboards/chat/00000000-0000-4000-8000-000000000000/").status_code == 404
    assert manager.get("/dashboards/nothing/").status_code == 404


def test_one_tile_that_fails_leaves_the_others_and_shows_its_last_value(
    manager: Client, story: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue, "_kept_at", {})
    manager.get("/dashboards/?range=24h")

    def broken(_data: Any) -> Any:
        raise RuntimeError("a secret in an error")

    monkeypatch.setattr(TILES["sentiment"], "build", broken)
    monkeypatch.setattr(TILES["negative"], "build", broken)
    page = manager.get("/dashboards/?range=24h").content.decode()
    assert page.count("could not be computed") == 2
    assert "the last good value is \N{MINUS SIGN}29" in page
    assert re.search(r"the last good value is \N{MINUS SIGN}29, (\d+ ms|[\d.]+ s|\d+ m \d\d s) old", page)
    assert tile(page, "volume") == "3"


def test_a_list_that_fails_shows_what_it_last_said_and_of_when(
    manager: Client, story: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue, "_kept_at", {})
    manager.get("/dashboards/?range=24h")
    monkeypatch.setattr(TILES["worst"], "build", _broken)

    with time_machine.travel(timezone.now() + timedelta(minutes=7, seconds=5), tick=False):
        page = manager.get("/dashboards/?range=24h").content.decode()
        failed = manager.get("/api/v1/metrics/worst/?range=24h").json()["metrics"][0]
        hidden = login("use_dashboards", name="bob").get("/dashboards/?range=24h").content.decode()

    assert re.search(r"what it last said is 7 m \d\d s old", page)
    assert "=secret words 0" in page
    assert failed["state"] == "failed"
    assert datetime.fromisoformat(failed["as_of"]) < timezone.now() + timedelta(minutes=1)
    assert "what it last said" in hidden
    assert "=secret" not in hidden


def test_a_tile_that_goes_on_failing_keeps_what_it_last_said_for_an_hour(
    manager: Client, story: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = timezone.now()
    monkeypatch.setattr(catalogue, "_kept_at", {})
    manager.get("/dashboards/?range=24h")
    monkeypatch.setattr(TILES["sentiment"], "build", _broken)

    def after(minutes: int) -> str:
        monkeypatch.setattr(catalogue, "_kept_at", {})  # each of these pages is remembered anew
        with time_machine.travel(begun + timedelta(minutes=minutes), tick=False):
            return str(manager.get("/dashboards/?range=24h").content.decode())

    assert all("the last good value is \N{MINUS SIGN}29" in after(minutes) for minutes in (2, 20, 40, 59))
    assert "the last good value is" not in after(61)


def _broken(_data: Any) -> Any:
    raise RuntimeError("a secret in an error")


def test_a_range_of_ones_own_stands_in_the_filter_bar(manager: Client) -> None:
    def shown_range(query: str) -> str:
        page = manager.get(f"/dashboards/?range=custom&{query}").content.decode()
        match = re.search(r'<summary class="button tight" aria-current="true">(.*?)</summary>', page)
        assert match
        return match[1]

    assert shown_range("since=2026-11-02&until=2026-11-15") == "2 Nov \N{EN DASH} 15 Nov 2026"
    assert shown_range("since=2025-12-31&until=2026-01-01") == "31 Dec 2025 \N{EN DASH} 1 Jan 2026"
    assert shown_range("since=2026-11-02&until=2026-11-02") == "2 Nov 2026"
    page = manager.get("/dashboards/?range=custom&since=2026-11-02&until=2026-11-15").content.decode()
    assert 'name="since" value="2026-11-02"' in page
    assert 'aria-current="true"' not in manager.get("/dashboards/?range=7d").content.decode()


def test_an_export_is_safe_for_spreadsheets_and_on_record(manager: Client, story: Any) -> None:
    answer = manager.get("/dashboards/export/rows/messages.csv?range=24h")
    rows = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))  # type: ignore[attr-defined]
    assert [row["text"] for row in rows if row["direction"] == "in"] == [f"'=secret words {n}" for n in range(3)]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+[+-]\d\d:\d\d", rows[0]["at"])
    chats = b"".join(manager.get("/dashboards/export/rows/chats.csv?range=24h").streaming_content).decode()  # type: ignore[attr-defined]
    assert chats.count("\n") == 2
    kept = Export.objects.order_by("at").values_list("by", "what", "query")
    assert list(kept) == [("ana", "rows messages", "range=24h"), ("ana", "rows chats", "range=24h")]


@pytest.mark.parametrize("key", list(TILES))
def test_every_tile_can_be_exported_with_its_formula(manager: Client, story: Any, settings: Any, key: str) -> None:
    settings.TIME_ZONE = "Asia/Tokyo"
    answer = manager.get(f"/dashboards/export/tile/{key}.csv?range=24h")
    text = b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]
    assert text.startswith('"tile",')
    assert '"formula",' in text
    assert '"zone","Asia/Tokyo, UTC+9"' in text


def test_a_view_is_saved_shared_pinned_and_deleted(manager: Client, story: Any) -> None:
    values = {"name": "Mine", "page": "overview", "query": "range=7d&compare=off", "pinned": "on", "shared": "on"}
    manager.post("/dashboards/views/", values)
    view = SavedView.objects.get()
    assert manager.get("/dashboards/").headers["Location"] == f"/dashboards/?range=7d&compare=off&view={view.id}"
    page = manager.get(f"/dashboards/?range=7d&compare=off&view={view.id}").content.decode()
    assert "● modified" not in page
    assert "● modified" in manager.get(f"/dashboards/?range=28d&view={view.id}").content.decode()
    other = User.objects.create_user("bob", is_staff=True, is_superuser=True)
    stranger = Client()
    stranger.force_login(other)
    assert "shared by ana" in stranger.get("/dashboards/").content.decode()
    assert stranger.post(f"/dashboards/views/{view.id}/delete/").status_code == 404
    manager.post(f"/dashboards/views/{view.id}/delete/", {"back": "https://evil.example/"})
    assert not SavedView.objects.exists()


def test_more_accounts_mean_no_more_queries_of_the_overview(manager: Client, story: Any) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            manager.get("/dashboards/?range=7d")
        return len(captured)

    manager.get("/dashboards/?range=7d")  # what is asked for once alone
    before = queries()
    for _ in range(5):
        ChannelAccountFactory(kind="messenger")
    assert queries() == before


def test_no_page_needs_what_a_strict_policy_forbids(manager: Client, story: Any) -> None:
    for path in ("", "hours/", "chats/", f"chat/{story.pk}/"):
        page = manager.get(f"/dashboards/{path}?range=24h").content.decode()
        assert not re.search(r"<script(?![^>]*src=)|<style|\son[a-z]+=|\sstyle=|https?://(?!www\.w3\.org)", page)


def test_every_tile_of_the_overview_has_a_formula(manager: Client, story: Any) -> None:
    keys = catalogue.keys_on(OVERVIEW)
    page = manager.get("/dashboards/?range=24h").content.decode()
    assert [key for key in keys if f'id="tile-{key}"' not in page] == []
    assert page.count('<dl class="facts">') == len(keys)
