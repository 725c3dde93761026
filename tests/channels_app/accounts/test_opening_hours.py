from __future__ import annotations

from datetime import UTC, datetime

import pytest

from channels_app.accounts.opening_hours import Hours, chosen, opening, read_spans, write_spans

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday")
OFFICE = {day: [["09:00", "12:30"], ["13:30", "18:00"]] for day in DAYS}
MADRID = Hours(zone="Europe/Madrid", week=OFFICE)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("moment", "is_open", "until"),
    [
        ("2026-11-25T08:00", True, "2026-11-25T11:30"),  # nine in Madrid
        ("2026-11-25T07:59", False, "2026-11-25T08:00"),
        ("2026-11-25T11:30", False, "2026-11-25T12:30"),  # lunch
        ("2026-11-25T17:00", False, "2026-11-26T08:00"),
        ("2026-11-27T17:00", False, "2026-11-30T08:00"),  # over the week-end
        ("2026-07-01T07:00", True, "2026-07-01T10:30"),  # in summer Madrid is two hours ahead
    ],
)
def test_a_week_with_a_lunch_break(moment, is_open, until) -> None:
    result = opening(MADRID, at(moment))

    assert (result.open, result.until) == (is_open, at(until))


def test_a_holiday_is_closed_and_half_a_one_half() -> None:
    hours = Hours(zone="Europe/Madrid", week=OFFICE, holidays={"2026-12-25": [], "2026-12-24": [["09:00", "12:00"]]})

    assert opening(hours, at("2026-12-24T10:00")).until == at("2026-12-24T11:00")
    assert opening(hours, at("2026-12-24T11:30")).until == at("2026-12-28T08:00")
    assert not opening(hours, at("2026-12-25T10:00")).open


def test_a_holiday_may_be_open_on_a_sunday() -> None:
    hours = Hours(zone="UTC", week=OFFICE, holidays={"2026-11-29": [["10:00", "14:00"]]})

    assert opening(hours, at("2026-11-29T10:00")).open


def test_nights_over_midnight_are_one_stretch() -> None:
    hours = Hours(zone="UTC", week={"friday": [["22:00", "24:00"]], "saturday": [["00:00", "04:00"]]})

    result = opening(hours, at("2026-11-27T23:00"))

    assert (result.open, result.until) == (True, at("2026-11-28T04:00"))


def test_the_night_on_which_clocks_go_back_counts_by_the_clock() -> None:
    hours = Hours(zone="Europe/Madrid", week={"sunday": [["02:30", "09:00"]]})  # 25 October: three o'clock comes twice

    assert opening(hours, at("2026-10-25T07:30")).until == at("2026-10-25T08:00")


def test_open_day_and_night_has_no_end_that_matters() -> None:
    always = Hours(zone="UTC", week={day: [["00:00", "24:00"]] for day in (*DAYS, "saturday", "sunday")})

    result = opening(always, at("2026-11-25T08:00"))

    assert result.open
    assert result.until is not None
    assert result.until > at("2027-11-25T00:00")


def test_never_open_is_said_once_for_ever() -> None:
    result = opening(Hours(zone="UTC", week={}), at("2026-11-25T08:00"))

    assert (result.open, result.until, result.period) == (False, None, "for ever")


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("", []),
        ("closed", []),
        ("9:00-17:30", [["09:00", "17:30"]]),
        (" 13:30 - 18:00 , 09:00-12:30", [["09:00", "12:30"], ["13:30", "18:00"]]),
        ("00:00-24:00", [["00:00", "24:00"]]),
    ],
)
def test_spans_are_read_as_people_write_them(text: str, spans: list[list[str]]) -> None:
    assert read_spans(text) == spans
    assert read_spans(write_spans(spans)) == spans


@pytest.mark.parametrize("text", ["nine to five", "09:00", "17:00-09:00", "09:00-09:00", "09:00-25:00", "09:61-10:00"])
def test_what_is_no_span_is_refused_in_words(text: str) -> None:
    with pytest.raises(ValueError, match=r"span|ends|time"):
        read_spans(text)


@pytest.mark.parametrize(
    ("locale", "text"),
    [("es_MX", "Hola"), ("ES", "Hola"), ("pt-BR", "Olá"), ("pt_PT", "Hello"), ("", "Hello"), ("fr", "Hello")],
)
def test_somebody_is_told_in_their_language_else_in_the_accounts(locale: str, text: str) -> None:
    assert chosen({"es": "Hola", "en": "Hello", "pt-BR": "Olá"}, locale, "en") == text


def test_in_any_language_rather_than_nothing() -> None:
    assert chosen({"de": "Hallo"}, "fr", "en") == "Hallo"
    assert chosen({}, "fr", "en") == ""
