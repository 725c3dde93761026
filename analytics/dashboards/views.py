"""The dashboards' pages: the overview, its drill-downs, and the parts that live updates fetch."""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe
from msgspec.structs import replace

from analytics import formatting
from analytics.dashboards import filter_bar, transcript
from analytics.dashboards.access import allowed, dashboards, redacted, visible
from analytics.models import AlertRule, Change, SavedView
from analytics.queries import chat_selection
from analytics.queries.filters import COMPARISONS, BadFilter, parse
from analytics.tiles import catalogue, chat_queries
from analytics.tiles.chat_rows import chat_columns, chat_row
from analytics.tiles.dashboard_data import DashboardData
from analytics.tiles.registry import OVERVIEW, PAGES
from analytics.tiles.tile import Row, Tile
from people.audit import note_read
from people.privacy import Sight, masked_name, masked_text, sight_of

#: Chats on the page of chats.
MOST_CHATS = 200
#: Seconds after which the numbers count as old.
STALE = 30


@require_safe
@dashboards()
def overview(request: HttpRequest) -> HttpResponse:
    """Show the overview: how customers are, who waits, how fast we answer, what fails, who needs somebody."""
    if not request.GET and (
        pinned := SavedView.objects.filter(owner_id=request.user.pk, pinned=True, page="overview").first()
    ):
        return HttpResponseRedirect(f"{request.path}?{pinned.query}&view={pinned.id}")
    return _page(request, OVERVIEW, "Overview")


@require_safe
@dashboards()
def page(request: HttpRequest, name: str) -> HttpResponse:
    """Show one drill-down."""
    if name == "chats":
        return _chats(request)
    if name not in PAGES:
        raise Http404
    return _page(request, name, PAGES[name])


@require_safe
@dashboards()
def parts(request: HttpRequest) -> HttpResponse:
    """Answer the tiles of a page alone, for its live updates."""
    name = request.GET.get("page", OVERVIEW)
    try:
        data = _data(request)
    except BadFilter as problem:
        return HttpResponse(str(problem), status=400, content_type="text/plain; charset=utf-8")
    return render(request, "analytics/parts.html", _context(request, data, name))


@require_safe
@dashboards()
def chat(request: HttpRequest, contact: uuid.UUID) -> HttpResponse:
    """Show one chat's transcript with its marks; the page opens at the lowest message."""
    transcript_of_chat = transcript.load(contact, sight_of(request.user))
    if transcript_of_chat is None:
        raise Http404
    note_read(request.user, "chat", [contact])
    return render(request, "analytics/chat.html", {"section": "dashboards", "chat": transcript_of_chat})


def _page(request: HttpRequest, name: str, title: str) -> HttpResponse:
    try:
        data = _data(request)
    except BadFilter as problem:
        return _bad_filter(request, problem)
    context = _context(request, data, name)
    context |= {"title": title, "filter_bar": filter_bar.build(request, data, name)}
    return render(request, "analytics/overview.html" if name == OVERVIEW else "analytics/page.html", context)


def _called(line: Row, sight: Sight) -> Row:
    return replace(line, label=masked_name(line.label, sight))


def _chats(request: HttpRequest) -> HttpResponse:
    try:
        data = _data(request)
    except BadFilter as problem:
        return _bad_filter(request, problem)
    selection, columns = chat_selection.parse(request.GET), chat_columns()
    chats = chat_queries.chats(data, MOST_CHATS + 1, selection)
    shown, sight = chats[:MOST_CHATS], sight_of(request.user)
    note_read(request.user, "chat", [chat.contact for chat in shown])
    context = _context(request, data, "chats")
    context |= {
        "title": "Chats",
        "filter_bar": filter_bar.build(request, data, "chats"),
        "columns": columns,
        "rows": [(chat, _called(chat_row(data, chat, columns), sight)) for chat in shown],
        "words": {chat.unit: masked_text(chat.words or "", sight) for chat in shown} if sight is not Sight.NONE else {},
        "more": len(chats) > MOST_CHATS,
        "selection": selection,
        "selected_query": data.filter.query(**selection.parameters),
        "outcomes": [
            (label, key == selection.outcome, data.filter.query(**{**selection.parameters, "outcome": key}))
            for key, label in chat_selection.OUTCOMES.items()
        ],
        "chosen": [
            (text, data.filter.query(**{**selection.parameters, name: ""}))
            for name, text in selection.described.items()
        ],
    }
    return render(request, "analytics/chats.html", context)


def _data(request: HttpRequest) -> DashboardData:
    return DashboardData(allowed(request.user, parse(request.GET, timezone.now())))


def _context(request: HttpRequest, data: DashboardData, name: str) -> dict[str, Any]:
    sight = sight_of(request.user)
    tiles = [catalogue.make(key, data) for key in visible(request.user, catalogue.keys_on(name))]
    catalogue.keep(tiles, data)
    shown = [redacted(_with_link(tile, name, data), sight) for tile in tiles]
    state = data.state
    return {
        "section": "dashboards",
        "page": name,
        "tiles": {tile.key: tile for tile in shown},
        "data": data,
        "filter": data.filter,
        "clear_query": data.filter.cleared,
        "span": f"{formatting.hour(data.filter.start)} to {formatting.hour(min(data.filter.end, data.now))}",
        "comparison": COMPARISONS[data.filter.compare],
        "zone": formatting.zone_name(data.now),
        "fresh_at": state.fresh_at if state else None,
        "version": state.version if state else 0,
        "stale": state is None or state.fresh_at is None or (data.now - state.fresh_at).total_seconds() > STALE,
        "rebuild": _rebuilt(data),
        "engine": settings.SENTIMENT_ENGINE,
        "firing": AlertRule.objects.filter(enabled=True, state=AlertRule.State.FIRING).count(),
    }


def _with_link(tile: Tile, page: str, data: DashboardData) -> Tile:
    """Return the tile with a link that leads on: one that would lead to its own page leads to the chats instead."""
    own_page = not tile.drill or tile.drill == data.drill(page)
    return replace(tile, drill=data.drill("chats")) if own_page and tile.page == page else tile


def _rebuilt(data: DashboardData) -> int | None:
    """Return how much of a rebuild is done, in per cent; None if none is under way."""
    state = data.state
    if state is None or not state.rebuild_of:
        return None
    return max(0, min(99, 100 - 100 * Change.objects.count() // state.rebuild_of))


def _bad_filter(request: HttpRequest, problem: BadFilter) -> HttpResponse:
    context = {
        "section": "dashboards",
        "field": problem.field,
        "why": str(problem),
    }
    return render(request, "analytics/bad_filter.html", context, status=400)
