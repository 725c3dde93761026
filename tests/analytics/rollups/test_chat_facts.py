"""What single chats add to the numbers: cases that random histories seldom draw."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from analytics.measures import ACCURACY, bin_of, middle_of, percentile
from analytics.models import ChatFact
from analytics.rollups import office_hours
from analytics.rollups.chat_course import turns
from analytics.rollups.ratings import shift_of
from analytics.rollups.time_buckets import zone as organisation_zone
from analytics.rollups.update import refresh
from analytics.tiles.definitions.phrases import phrase_impact
from tests.factories import ContactFactory, ConversationFactory, MessageFactory

START = datetime(2026, 5, 4, 9, tzinfo=UTC)


def minutes(number: float) -> datetime:
    return START + timedelta(minutes=number)


@pytest.mark.django_db
def test_a_customer_who_comes_back_was_not_contained_after_all() -> None:
    conversation = ConversationFactory()
    first = ContactFactory(conversation=conversation, requested_at=START, state="ended", ended_at=minutes(5))
    MessageFactory(conversation=conversation, contact=first, created_at=minutes(1))
    MessageFactory(conversation=conversation, contact=first, direction="out", role="CUSTOM_BOT", status="accepted")
    refresh()
    assert ChatFact.objects.get(pk=first.pk).outcome == "contained"
    ContactFactory(conversation=conversation, requested_at=minutes(60))
    refresh()
    assert ChatFact.objects.get(pk=first.pk).outcome == "deflected"


@pytest.mark.django_db
def test_a_message_that_moves_into_a_chat_is_counted_there_alone() -> None:
    from analytics.models import Rollup
    from connect_bridge.models import Message

    conversation = ConversationFactory()
    message = MessageFactory(conversation=conversation, created_at=START)
    refresh()
    contact = ContactFactory(conversation=conversation, requested_at=START)
    Message.objects.filter(pk=message.pk).update(contact=contact, status="relayed", relayed_at=minutes(1))
    refresh()
    assert list(ChatFact.objects.values_list("unit", flat=True)) == [contact.pk]
    assert [row.received for row in Rollup.objects.filter(grain="h", facet="account")] == [1]


@pytest.mark.django_db
def test_what_numbers_do_not_depend_on_marks_no_change() -> None:
    from analytics.models import Change
    from connect_bridge.models import Contact

    contact = ContactFactory()
    refresh()
    Contact.objects.filter(pk=contact.pk).update(last_traffic_at=START, contact_id="another")
    assert not Change.objects.exists()


@pytest.mark.parametrize(
    ("scores", "shift"),
    [([0] * 5, None), ([-6, -6, 0, 0, 6, 6], 6), ([6, 6, 1, 1, 1, 1, -6, -8], -6), ([1] * 9, 0)],
)
def test_a_shift_compares_thirds_and_needs_six(scores: list[int], shift: int | None) -> None:
    assert shift_of(scores) == shift


def test_nothing_was_answered_before_somebody_answers() -> None:
    assert list(turns([])) == []


@pytest.mark.parametrize("milliseconds", [1, 2, 999, 60_000, 3_600_000, 86_400_000 * 30])
def test_a_bin_is_close_to_what_it_holds(milliseconds: int) -> None:
    assert middle_of(bin_of(milliseconds)) == pytest.approx(milliseconds, rel=ACCURACY)


def test_a_percentile_of_nothing_is_nothing() -> None:
    assert percentile({}, 0.5) is None


@pytest.mark.parametrize(
    ("hours", "start", "end", "opened"),
    [
        ("", "2026-05-04T00:00", "2026-05-05T00:00", 24.0),
        ("Mon-Fri 09:00-18:00", "2026-05-04T08:00", "2026-05-04T10:30", 1.5),
        ("Mon-Fri 09:00-18:00", "2026-05-08T17:00", "2026-05-11T10:00", 2.0),
        ("Mon-Fri 09:00-18:00, Sat 10:00-14:00", "2026-05-08T17:00", "2026-05-11T10:00", 6.0),
        ("Sun 00:00-24:00", "2026-03-29T00:00", "2026-03-30T00:00", 23.0),
    ],
)
def test_office_hours_count_what_lies_in_them(settings: Any, hours: str, start: str, end: str, opened: float) -> None:
    settings.TIME_ZONE, settings.OFFICE_HOURS = "Europe/Madrid", hours
    zone = organisation_zone()
    moments = [datetime.fromisoformat(text).replace(tzinfo=zone) for text in (start, end)]
    span = office_hours.open_between(*(moment.astimezone(UTC) for moment in moments))
    expected = opened if hours else 24.0
    assert span == timedelta(hours=expected)


@pytest.mark.parametrize("text", ["Mon 9-18", "Xyz 09:00-18:00", "Fri-Mon 09:00-18:00", "Mon 18:00-09:00"])
def test_office_hours_that_cannot_be_read_say_how_to_write_them(text: str) -> None:
    from django.core.exceptions import ImproperlyConfigured

    with pytest.raises(ImproperlyConfigured, match="Mon-Fri 09:00-18:00"):
        office_hours.parse(text, "UTC")


def test_a_phrase_costs_its_share_times_what_chats_with_it_lack() -> None:
    having, total = {"rated": 5, "rating_sum": -25_000}, {"rated": 10, "rating_sum": 0}
    assert phrase_impact(having, total) == pytest.approx(0.5 * (0.5 + 0.5))
    assert phrase_impact({"rated": 4, "rating_sum": -1}, total) is None
