"""Who may see what of the dashboards: pages, API and exports ask here."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from msgspec.structs import replace

from analytics.queries.filters import Filter
from analytics.tiles.registry import TILES
from analytics.tiles.tile import WORDS, Tile
from people.privacy import Sight, masked_name, masked_text

VIEW = "people.use_dashboards"
AGENTS = "analytics.see_agents"
SHARE = "people.manage_alerts"
EXPORT = "people.export"

View = Callable[..., HttpResponse]


def may_see(user: Any, key: str) -> bool:
    """Return whether somebody may see a tile: some need a permission of their own, as agents one by one do."""
    permission = TILES[key].permission
    return not permission or bool(user.has_perm(permission))


def visible(user: Any, keys: Sequence[str]) -> list[str]:
    return [key for key in keys if may_see(user, key)]


def allowed(user: Any, chosen: Filter) -> Filter:
    """Return the filter as somebody may use it: not by agent without the permission."""
    return chosen if chosen.agent is None or user.has_perm(AGENTS) else replace(chosen, agent=None)


def orphaned(owner: Any, seeing: Container[Any] | None = None) -> str:
    """Return why an owner's alerts and reports send nothing any more; "" while they do.

    `seeing`: the keys of all who may see dashboards (see `who_sees`), so that a list asks once for all its owners.
    """
    if not owner.is_active:
        return "its owner is deactivated"
    sees = owner.has_perm(VIEW) if seeing is None else owner.pk in seeing
    return "" if sees else "its owner may not see dashboards any more"


def who_sees() -> set[Any]:
    """Return the keys of everybody who may see dashboards, with one query."""
    users = get_user_model()._default_manager
    return set(users.with_perm(VIEW, backend=settings.AUTHENTICATION_BACKENDS[0]).values_list("pk", flat=True))


def reachable(addresses: Sequence[str]) -> list[str]:
    """Return the addresses to which numbers may go: not those of people who are deactivated here."""
    users = get_user_model().objects.exclude(email="").values_list("email", "is_active")
    active = {email.casefold() for email, is_active in users if is_active}
    inactive = {email.casefold() for email, is_active in users if not is_active} - active
    return [address for address in addresses if address.casefold() not in inactive]


def dashboards(permission: str = VIEW) -> Callable[[View], View]:
    """Let only those in who may see dashboards; answer 403 with the missing permission, not a redirect to the login."""

    def wrap(view: View) -> View:
        @login_required
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if not request.user.has_perms((VIEW, permission)):
                context = {"section": "dashboards", "permission": permission}
                return render(request, "analytics/forbidden.html", context, status=403)
            return view(request, *args, **kwargs)

        return guarded

    return wrap


def redacted(tile: Tile, sight: Sight) -> Tile:
    """Return a tile as somebody may read it: what customers are called and what they wrote may be hidden, or parts."""
    if sight is Sight.FULL:
        return tile
    place = next((number for number, column in enumerate(tile.columns) if column.label == WORDS), None)
    if place is not None or TILES[tile.key].names_customers:
        tile = replace(tile, rows=[replace(line, label=masked_name(line.label, sight)) for line in tile.rows])
    if place is None:
        return tile
    rows = []
    for line in tile.rows:
        words = masked_text(str(line.values[place]), sight) if sight is Sight.REDACTED else ""
        rows.append(replace(line, values=(*line.values[:place], words), shown=(*line.shown[:place], words)))
    return replace(tile, rows=rows)
