"""What a spreadsheet must not take for a formula or for a border between cells, wherever its locale puts these."""

from __future__ import annotations

import csv
from decimal import Decimal

import pytest

from analytics.dashboards.exports import safe, written


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+1",
        "-1+1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        "\uff1d1+1",
        "\uff0b1",
        "\uff0d1",
        "\uff20a",
        " =1+1",
        "\ufeff=1",
        "\u200b=1",
        '"=1',
        "\u202a=1",
        "\u200c\u2003=1",
        "\x0b=1",
        "\ufe66 1",
        "\ufe621",
        "\ufe6ba",
        "\u22121+1",
    ],
)
def test_no_text_is_a_formula(text: str) -> None:
    assert safe(text).startswith("'")


@pytest.mark.parametrize("number", [-1, -0.5, Decimal("-0.09"), 3, None, True])
def test_a_number_stays_one(number: object) -> None:
    assert safe(number) is number


def test_a_text_with_any_border_in_it_is_one_cell() -> None:
    text = 'a;=1+1\t,b\r\nc"d'
    (line,) = written([[text, -1, ""]])

    assert line.startswith('"a;=1+1')
    assert next(csv.reader([line], delimiter=",")) == [text, "-1", ""]
    assert line.rstrip().endswith('"-1",""')


@pytest.mark.parametrize("text", ["", " ", "\u200b", "hello = 1", "#1", "1-2", "\u0645\u0631", "a" * 10**5])
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert safe(text) == text
