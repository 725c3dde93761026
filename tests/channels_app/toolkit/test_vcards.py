from __future__ import annotations

import time

import pytest

from channels_app.toolkit.vcards import is_card, read_card

WHOLE = "BEGIN:VCARD\r\nN:Lee;Ann;;;\r\nFN:Ann\\, the\r\n  Lee\r\nTEL;type=CELL;waid=1555:+1 555\r\nEND:VCARD"


@pytest.mark.parametrize(
    ("card", "read"),
    [
        (WHOLE, ("Ann, the Lee", "+1 555")),
        ("BEGIN:VCARD\nN:Lee;Ann;;;\nTEL:1\nTEL:2\nTEL:1\n", ("Ann Lee", "1, 2")),
        ("BEGIN:VCARD\nitem1.TEL;VALUE=uri:tel:+1-555\nORG:Acme;Sales\n", ("Sales Acme", "+1-555")),
        ("BEGIN:VCARD\n", ("", "")),
        ("", ("", "")),
    ],
)
def test_a_card_tells_a_name_and_numbers(card: str, read: tuple[str, str]) -> None:
    assert read_card(card) == read


def test_what_is_a_card() -> None:
    assert is_card(WHOLE)
    assert not is_card("my vcard")


@pytest.mark.parametrize(
    "text", ["TEL" * 90_000, "a." * 130_000, "TEL;" + ";" * 260_000, "\n " * 130_000, "TEL:\\" * 50_000]
)
def test_the_worst_card_is_read_in_no_time(text: str) -> None:
    began = time.perf_counter()
    read_card(text)
    assert time.perf_counter() - began < 2
