"""The rollups and the facts of the chats give the same numbers, however they are asked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics.measures import DIGESTS
from analytics.queries import chat_facts, rollups
from analytics.queries.question import Question
from analytics.rollups.time_buckets import day_of, days_between, hour_of, hours_between, midnight
from analytics.rollups.update import refresh
from tests.analytics.rollups import history as histories
from tests.analytics.rollups.history import History
from tests.analytics.rollups.kit import undone

START = datetime(2026, 10, 24, 12, tzinfo=UTC)  # a day before the clocks of Europe change
moments = st.integers(-10, 120).map(lambda hours: START + timedelta(hours=hours))
questions = st.fixed_dictionaries(
    {
        "facets": st.sampled_from(({}, {"queue": "Sales"}, {"agent": "Ann"}, {"language": "en"}, {"queue": ""})),
        "by": st.sampled_from(((), ("at",), ("account",), ("at", "account"))),
        "hourly": st.booleans(),
    }
)


def nonzero(groups: dict[Any, dict[str, int]]) -> dict[Any, dict[str, int]]:
    kept = {group: {name: number for name, number in sums.items() if number} for group, sums in groups.items()}
    return {group: sums for group, sums in kept.items() if sums}


@pytest.mark.django_db
@pytest.mark.slow
@pytest.mark.timeout(600)
@settings(
    max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], derandomize=True
)
@given(data=st.data())
def test_rollups_and_facts_answer_alike(data: Any, settings: Any) -> None:
    settings.TIME_ZONE = "Europe/Madrid"
    with undone():
        story = History(START)
        story.begin()
        for chat in data.draw(st.lists(histories.chats, min_size=1, max_size=4), label="chats"):
            story.write(chat)
        refresh()
        for options in data.draw(st.lists(questions, min_size=3, max_size=6), label="questions"):
            start, end = sorted((data.draw(moments), data.draw(moments)))
            if data.draw(st.booleans(), label="whole days"):
                start, end = day_of(start), day_of(end)
            question = Question(start=hour_of(start), end=hour_of(end), **options)
            assert nonzero(rollups.sums(question)) == nonzero(chat_facts.sums(question))
            assert rollups.bins(question, DIGESTS[:6]) == chat_facts.bins(question, DIGESTS[:6])


@pytest.mark.django_db
def test_a_range_that_begins_within_a_day_is_counted_by_that_day(settings: Any) -> None:
    settings.TIME_ZONE = "Europe/Madrid"
    story = History(START)
    story.begin()
    line = {"role": "CUSTOMER", "after": 60, "took": 20, "status": "", "code": "", "score": None}
    line |= {"outside": False, "doubled": False, "wordless": False}
    chat = {
        "conversation": 0,
        "after": 0,
        "lines": [line] * 200,
        "ended": True,
        "stays": [],
        "agent": "",
        "detail": None,
    }
    story.write({**chat, "detail": None})
    refresh()
    question = Question(
        start=hour_of(START), end=hour_of(START) + timedelta(hours=4), by=("at",), measures=("received",)
    )
    assert rollups.sums(question) == {(day_of(START),): {"received": 200}}
    assert chat_facts.sums(question) == rollups.sums(question)


@pytest.mark.parametrize("facet", ["queue", "agent", "language", "code", "phrase"])
@pytest.mark.django_db
def test_values_of_a_facet_are_told_alike(facet: str) -> None:
    story = History(START)
    story.begin()
    for number in range(3):
        line = {"after": 600, "took": 20, "outside": False, "doubled": False, "wordless": False}
        score = {"state": "scored", "score": -8000, "label": "negative", "language": "en"}
        score |= {"positive": 0.1, "negative": 0.9, "neutral": 0, "mixed": 0}
        lines = [
            {**line, "role": "CUSTOMER", "status": "", "code": "", "score": score},
            {**line, "role": "AGENT", "status": "failed", "code": "rejected", "score": None},
        ]
        chat = {"conversation": number, "after": 40_000 * number, "lines": lines, "ended": True, "stays": []}
        story.write({**chat, "agent": ("Ann", "Bob", "")[number], "detail": ("Sales", 10, 20, True)})
        story.messages[-2].phrases.create(text=f"phrase {number % 2}")
    refresh()
    days = Question(
        start=midnight(START.date()), end=midnight(START.date() + timedelta(days=4)), facet=facet, by=("value",)
    )
    sums = nonzero(rollups.sums(days))
    assert len(sums) >= 1
    assert sums == nonzero(chat_facts.sums(days))


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-01", 24)])
def test_days_of_clock_change_have_their_own_number_of_hours(settings: Any, day: str, hours: int) -> None:
    settings.TIME_ZONE = "Europe/Madrid"
    first = datetime.fromisoformat(day).date()
    start, end = midnight(first), midnight(first + timedelta(days=1))
    beginnings = hours_between(start, end)
    assert len(beginnings) == len(set(beginnings)) == hours
    assert days_between(start, end) == [start]


def test_hours_of_a_zone_that_is_half_an_hour_off_are_its_own(settings: Any) -> None:
    settings.TIME_ZONE = "Asia/Kolkata"
    assert hour_of(datetime(2026, 5, 1, 10, 15, tzinfo=UTC)) == datetime(2026, 5, 1, 9, 30, tzinfo=UTC)
    assert hour_of(datetime(2026, 5, 1, 10, 30, tzinfo=UTC)) == datetime(2026, 5, 1, 10, 30, tzinfo=UTC)


def test_every_moment_of_a_clock_change_of_half_an_hour_has_one_hour(settings: Any) -> None:
    settings.TIME_ZONE = "Australia/Lord_Howe"
    start = datetime(2026, 4, 4, 12, tzinfo=UTC)  # clocks go back half an hour at 15:00 UTC
    known = set(hours_between(hour_of(start), start + timedelta(hours=8)))
    for minutes in range(0, 8 * 60 - 60, 7):
        assert hour_of(start + timedelta(minutes=minutes)) in known
