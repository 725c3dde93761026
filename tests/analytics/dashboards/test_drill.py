"""Every number leads to the chats behind it: as many as it says, on the page and in the export."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from analytics.queries import chat_selection
from analytics.queries.chat_selection import OUTCOMES, ChatSelection
from analytics.queries.filters import parse
from analytics.rollups.update import refresh
from analytics.tiles import chat_queries
from analytics.tiles.catalogue import make
from analytics.tiles.dashboard_data import DashboardData
from connect_bridge.models import Contact, OutboxEntry
from tests.analytics.dashboards.kit import login
from tests.analytics.kit import customer_wrote
from tests.factories import ContactFactory, ConversationFactory, MessageFactory, OutboxEntryFactory

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 11, 15, 30, tzinfo=UTC)  # a Wednesday
TODAY = "range=today"


@pytest.fixture
def _afternoon() -> Any:
    with time_machine.travel(NOW, tick=False):
        yield


def chat(begun: datetime, *speakers: str, ended: datetime | None, agent: str = "", **failing: Any) -> Contact:
    """Store a chat in which these spoke, a minute apart."""
    contact: Contact = ContactFactory(
        conversation=ConversationFactory(),
        requested_at=begun,
        agent_name=agent,
        state="ended" if ended else "connected",
        ended_at=ended,
        bot=not agent,
    )
    for number, speaker in enumerate(speakers):
        at = begun + timedelta(minutes=number)
        times = {"created_at": at, "occurred_at": at}
        if speaker == "customer":
            customer_wrote("words", contact.conversation, contact=contact, **times)
        else:
            more = {"status": "accepted", "settled_at": at} | failing
            role = {"role": "AGENT" if speaker == "agent" else "CUSTOM_BOT"}
            MessageFactory(conversation=contact.conversation, contact=contact, direction="out", **times, **role, **more)
    return contact


@pytest.fixture
def day(_afternoon: Any) -> dict[str, Contact]:
    """Store the chats of a day, and of the evening before."""
    nine, eve = NOW.replace(hour=9, minute=0), NOW - timedelta(hours=20)
    hour = timedelta(hours=1)
    chats = {
        "handled": chat(nine, "customer", "agent", ended=nine + hour, agent="Ann"),
        "abandoned": chat(nine, "customer", ended=nine + hour),
        "contained": chat(nine + hour, "customer", "bot", ended=nine + 2 * hour),
        "open": chat(nine + hour, "customer", ended=None),
        "over midnight": chat(eve, "customer", ended=nine),  # gave up today, counts yesterday
        "open since yesterday": chat(eve, "customer", ended=None),
        "failed": chat(
            nine + hour, "customer", "agent", ended=nine + hour, agent="Bob", status="failed", error_code="rejected"
        ),
    }
    for name in ("over midnight", "open since yesterday"):
        customer_wrote("still here", chats[name].conversation, contact=chats[name], created_at=nine, occurred_at=nine)
    sent = chats["failed"].messages.get(direction="out")
    OutboxEntryFactory(message=sent, provider_code="63016", state=OutboxEntry.State.DEAD)
    while refresh().changes:  # type: ignore[union-attr]
        pass
    return chats


def data() -> DashboardData:
    return DashboardData(parse({"range": "today"}, timezone.now()))


def names(day: dict[str, Contact], selection: ChatSelection) -> set[str]:
    known = {contact.pk: name for name, contact in day.items()}
    return {known[line.contact] for line in chat_queries.chats(data(), 100, selection)}


@pytest.mark.parametrize("outcome", [name for name in OUTCOMES if name not in ("", "open", "negative")])
def test_as_many_chats_as_the_number_says(day: dict[str, Contact], outcome: str) -> None:
    assert len(names(day, ChatSelection(outcome=outcome))) == data().total[outcome]


def test_chats_of_a_range_are_those_that_were_requested_in_it(day: dict[str, Contact]) -> None:
    assert len(names(day, ChatSelection())) == data().total["chats"] == 5
    assert names(day, ChatSelection(outcome="abandoned")) == {"abandoned"}
    assert names(day, ChatSelection(outcome="contained")) == {"contained"}


def test_what_is_open_is_open_now_whenever_it_began(day: dict[str, Contact]) -> None:
    assert names(day, ChatSelection(outcome="open")) == {"open", "open since yesterday"}
    assert make("active", data()).value == 2


def test_a_failures_code_leads_to_its_chats(day: dict[str, Contact]) -> None:
    tile = make("failures", data())
    assert [(row.label, row.n) for row in tile.rows] == [("63016", 1)]
    assert "code=63016" in tile.rows[0].link
    assert names(day, ChatSelection(code="63016")) == {"failed"}
    assert names(day, ChatSelection(code="rejected")) == set()


def test_an_hour_of_the_week_leads_to_the_chats_that_began_in_it(day: dict[str, Contact], settings: Any) -> None:
    settings.TIME_ZONE = "Asia/Kolkata"
    assert names(day, ChatSelection(slot="Wed-14")) == {"handled", "abandoned"}
    assert names(day, ChatSelection(slot="Tue-14")) == set()
    row = next(row for row in make("heat", data()).rows if row.label == "Wed 14:00")
    assert "slot=Wed-14" in row.link


@pytest.mark.parametrize(
    ("params", "parameters"),
    [
        ({"outcome": "handled", "phrase": "late"}, {"outcome": "handled", "phrase": "late"}),
        ({"outcome": "'; DROP TABLE", "slot": "Wed-24"}, {}),
        ({"slot": "Wed-x"}, {}),
        ({"slot": "Foo-09", "code": "a\x00b"}, {"code": "ab"}),
    ],
)
def test_a_choice_is_read_from_the_address_and_goes_back(params: dict[str, str], parameters: dict[str, str]) -> None:
    assert chat_selection.parse(params).parameters == parameters


def test_the_export_has_the_chats_of_the_page(day: dict[str, Contact]) -> None:
    manager = login("use_dashboards", "read_transcripts", "export")

    def exported(what: str, query: str) -> set[str]:
        answer: Any = manager.get(f"/dashboards/export/rows/{what}.csv?{TODAY}&{query}")
        lines = csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode()))
        known = {str(contact.pk): name for name, contact in day.items()}
        return {known[line["contact"]] for line in lines}

    assert exported("chats", "outcome=abandoned") == {"abandoned"}
    assert exported("messages", "outcome=abandoned") == {"abandoned"}
    assert exported("chats", "code=63016") == {"failed"}
    assert exported("chats", "") == set(day) - {"over midnight", "open since yesterday"}
    page = manager.get(f"/dashboards/chats/?{TODAY}&outcome=abandoned&slot=Wed-09").content.decode()
    assert "outcome=abandoned&amp;slot=Wed-09" in page, "the page's links to CSV choose the same"
    assert "began Wed 09:00" in page


@pytest.mark.usefixtures("_afternoon")
@pytest.mark.parametrize("key", ["abandonment", "unanswered", "deflection", "containment", "negative", "courses"])
def test_a_title_or_a_row_leads_to_the_chats(key: str) -> None:
    tile = make(key, data())
    assert "/dashboards/chats/" in tile.drill or all("/dashboards/chats/" in row.link for row in tile.rows)


def test_a_page_leads_on_from_the_tiles_that_are_its_subject(day: dict[str, Contact]) -> None:
    client: Client = login("use_dashboards")
    page = client.get(f"/dashboards/service/?{TODAY}").content.decode()
    head = page.partition('id="tile-first_response"')[2].partition("</h2>")[0]
    assert "/dashboards/chats/" in head
