from __future__ import annotations

import msgspec
import pytest

from channels_app.infrastructure.rows import read_rows

pytestmark = pytest.mark.django_db

QUERY = "SELECT n, 'line ' || n AS text FROM generate_series(1, %(most)s) AS n"


class Line(msgspec.Struct, frozen=True, kw_only=True):
    n: int
    text: str


def test_rows_are_named_by_their_columns():
    assert read_rows(dict, QUERY, {"most": 2}) == [{"n": 1, "text": "line 1"}, {"n": 2, "text": "line 2"}]
    assert read_rows(Line, QUERY, {"most": 2}) == [Line(n=1, text="line 1"), Line(n=2, text="line 2")]


def test_a_query_without_rows_gives_none():
    assert read_rows(Line, QUERY, {"most": 0}) == []


def test_a_column_that_the_struct_does_not_know_is_an_error_and_not_lost():
    with pytest.raises(TypeError, match="more"):
        read_rows(Line, "SELECT 1 AS n, '' AS text, 2 AS more")
