"""CSV of what dashboards show: a tile, or the rows behind it, streamed. Every export is recorded."""

from __future__ import annotations

import csv
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from analytics import formatting
from analytics.dashboards.access import AGENTS, EXPORT, allowed, dashboards, may_see, redacted
from analytics.models import Export
from analytics.queries import chat_selection
from analytics.queries.chat_selection import MATCHES_FILTER, ChatSelection
from analytics.queries.filters import BadFilter, parse
from analytics.rollups.time_buckets import local
from analytics.tiles import catalogue
from analytics.tiles.dashboard_data import DashboardData
from analytics.tiles.registry import TILES
from analytics.tiles.tile import Tile
from people.privacy import Sight, sight_of
from people.streaming import streamed

#: A spreadsheet takes what begins so for a formula. Compared in normal form (NFKC), so full-width and small ones count.
FORMULA = frozenset("=+-@\t\r\n\u2212")
#: Quotes, and categories of invisible characters: behind either, a formula is still one.
_QUOTES, _UNSEEN = frozenset("\"'"), frozenset(["Cc", "Cf", "Zl", "Zp", "Zs", "Mn"])
#: Rows that are fetched from the database at a time.
CHUNK = 2_000

CHATS = """
SELECT f.contact_id, f.conversation_id, a.kind, a.name, f.started_at, f.ended_at, f.outcome, f.queue, f.agent,
       f.language, f.scored, f.rating / 100.0, f.lowest / 100.0, f.shift / 100.0, f.first_response_ms / 1000.0,
       f.handle_ms / 1000.0
  FROM analytics_chatfact f JOIN channels_app_channelaccount a ON a.id = f.account_id
 WHERE {where} {of} ORDER BY f.started_at
"""
MESSAGES = """
SELECT m.id, m.contact_id, m.conversation_id, a.kind, a.name, m.created_at, m.direction, m.role, m.status, m.error_code,
       s.state, s.label, s.score / 100.0, s.positive, s.negative, s.neutral, s.mixed, s.language, s.engine, s.model
       {text}
  FROM connect_bridge_message m JOIN connect_bridge_conversation c ON c.id = m.conversation_id
  JOIN channels_app_channelaccount a ON a.id = c.account_id
  JOIN analytics_chatfact f ON f.unit = COALESCE(m.contact_id, m.conversation_id)
  LEFT JOIN analytics_sentiment s ON s.message_id = m.id
 WHERE {where} {of} ORDER BY m.created_at, m.sequence
"""
#: Without a selection of chats: the messages of the range. With one: all messages of those chats.
IN_RANGE = "m.created_at >= %(start)s AND m.created_at < %(end)s"
COLUMNS = {
    "chats": "contact conversation channel account started_at ended_at outcome queue agent language scored_messages "
    "rating lowest shift first_response_seconds handle_seconds",
    "messages": "message contact conversation channel account at direction role status error score_state label score "
    "positive negative neutral mixed language engine model",
}


@require_safe
@dashboards(EXPORT)
def tile(request: HttpRequest, key: str) -> HttpResponse:
    """Answer one tile: its number with formula, n and zone, its series, its rows."""
    if key not in TILES or not may_see(request.user, key):
        raise Http404
    data = _data(request)
    if isinstance(data, HttpResponse):
        return data
    tile_shown = redacted(catalogue.make(key, data), sight_of(request.user))
    return _answer(request, f"tile {key}", key, tile_lines(tile_shown, data))


@require_safe
@dashboards(EXPORT)
def rows(request: HttpRequest, what: str) -> HttpResponse:
    """Answer the chats or messages behind the numbers; texts only for those who may read them."""
    if what not in COLUMNS:
        raise Http404
    data = _data(request)
    if isinstance(data, HttpResponse):
        return data
    with_text = what == "messages" and sight_of(request.user) is Sight.FULL
    with_agents = bool(request.user.has_perm(AGENTS))
    lines = row_lines(what, data, chat_selection.parse(request.GET), with_text=with_text, with_agents=with_agents)
    return _answer(request, f"rows {what}", what, lines)


def tile_lines(tile: Tile, data: DashboardData) -> Iterator[Sequence[Any]]:
    """Yield a tile as lines of a table: first what the number means and what it was computed from, then the numbers."""
    yield ["tile", tile.title]
    yield ["from", data.filter.start]
    yield ["to", data.filter.end]
    yield ["zone", formatting.zone_name(data.now)]
    yield ["filters", data.filter.query()]
    yield ["formula", tile.formula]
    yield ["excluded", tile.excludes]
    yield ["n", tile.n, tile.of]
    yield ["value", tile.value, tile.unit]
    yield ["before", tile.before, tile.unit]
    for part in tile.parts:
        yield [part.label, part.value]
    if tile.series is not None:
        yield []
        yield ["at", *tile.series.names, "n", "unfinished"]
        for point in tile.series.points:
            yield [point.at, *point.values, point.n, "yes" if point.partial else ""]
    if tile.rows:
        yield []
        yield ["", *(column.label for column in tile.columns), "n"]
        for line in tile.rows:
            yield [line.label, *line.values, line.n]


def row_lines(
    what: str, data: DashboardData, selection: ChatSelection, *, with_text: bool, with_agents: bool
) -> Iterator[Sequence[Any]]:
    """Yield the header and every row behind a choice of chats, read from the database in pieces."""
    where = IN_RANGE if what == "messages" and not selection.parameters else selection.where
    template = CHATS if what == "chats" else MESSAGES
    query = template.format(of=MATCHES_FILTER, where=where, text=", m.text" if with_text else "")
    columns = COLUMNS[what].split()
    yield [*columns, *(["text"] if with_text else [])]
    agent = columns.index("agent") if "agent" in columns and not with_agents else None
    with transaction.atomic(), connection.connection.cursor(name="export") as cursor:
        cursor.itersize = CHUNK
        cursor.execute(query, {**data.filter_params, **selection.params})
        for row in cursor:
            yield row if agent is None else [*row[:agent], "", *row[agent + 1 :]]


def safe(value: Any) -> Any:
    """Return a cell that no spreadsheet takes for a formula; moments with their offset from UTC."""
    if isinstance(value, datetime):
        return local(value).isoformat()
    return f"'{value}" if isinstance(value, str) and _is_formula(value) else value


def _is_formula(text: str) -> bool:
    for letter in text:
        if unicodedata.normalize("NFKC", letter) in FORMULA:
            return True
        if letter not in _QUOTES and unicodedata.category(letter) not in _UNSEEN:
            return False
    return False


class _Echo:
    """A file that hands back what is written to it."""

    def write(self, text: str) -> str:
        return text


def written(lines: Iterable[Sequence[Any]]) -> Iterator[str]:
    """Yield the lines as CSV. All is quoted: where `;` separates, a text with one in it stays one cell."""
    writer = csv.writer(_Echo(), quoting=csv.QUOTE_ALL)
    for line in lines:
        yield writer.writerow([safe(value) for value in line])


def _data(request: HttpRequest) -> DashboardData | HttpResponse:
    try:
        return DashboardData(allowed(request.user, parse(request.GET, timezone.now())))
    except BadFilter as problem:
        return HttpResponse(f"{problem.field}: {problem}", status=400, content_type="text/plain; charset=utf-8")


def _answer(request: HttpRequest, what: str, name: str, lines: Iterable[Sequence[Any]]) -> HttpResponse:
    Export.objects.create(by=request.user.get_username(), what=what, query=request.GET.urlencode()[:1000])
    answer = StreamingHttpResponse(
        streamed(request, _in_pieces(written(lines))), content_type="text/csv; charset=utf-8"
    )
    answer["Content-Disposition"] = f'attachment; filename="parley-{name}-{timezone.now():%Y%m%d-%H%M}.csv"'
    return answer  # type: ignore[return-value] # django-stubs keep the two apart


def _in_pieces(lines: Iterator[str]) -> Iterator[str]:
    """Join lines into pieces large enough to be worth a write."""
    piece: list[str] = []
    for line in lines:
        piece.append(line)
        if len(piece) >= CHUNK // 4:
            yield "".join(piece)
            piece.clear()
    yield "".join(piece)
