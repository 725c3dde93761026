"""Admin pages that only show: a fixed number of queries, search by a pasted id, links to what belongs together."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any, ClassVar, TypeVar
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponseNotAllowed
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from people.admin_base import ModelAdmin
from people.audit import note_read
from people.privacy import Sight, seen, seen_json, sight_here, sight_of

M = TypeVar("M", bound=Model)

#: Rows that a list page counts and can page to; behind them one searches. Counting a million rows takes too long.
MOST_COUNTED = 10_000
#: Characters of a stored text that a page shows.
MOST_SHOWN = 20_000


class BoundedPaginator(Paginator[Any]):
    """Counts to MOST_COUNTED and no further."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        counted: int = rows.order_by()[:MOST_COUNTED].count()
        return counted


def link(target: Model | None, text: str = "") -> str:
    """Return a link to the row's page; a dash if there is no row."""
    if target is None:
        return "-"
    options = target._meta
    url = reverse(f"admin:{options.app_label}_{options.model_name}_change", args=[target.pk])
    return format_html('<a href="{}">{}</a>', url, text or str(target))


def list_link(model: type[Model], text: str, **filters: Any) -> str:
    """Return a link to the list of a model's rows that pass the filters."""
    options = model._meta
    url = reverse(f"admin:{options.app_label}_{options.model_name}_changelist")
    return format_html('<a href="{}?{}">{}</a>', url, urlencode(filters), text)


def shown(text: str) -> str:
    """Return text from outside as HTML: escaped, cut at MOST_SHOWN, kept from reordering or covering its neighbours."""
    cut = text[:MOST_SHOWN]
    more = f"… and {len(text) - len(cut):,} more characters" if len(cut) < len(text) else ""
    return format_html('<pre dir="auto" class="p-text">{}</pre>{}', cut, more)


def sight_on(row: Any) -> Sight:
    """Return how much of its words whoever opened a row's page may see: it was put there by the page."""
    sight: Sight = getattr(row, "sight", Sight.NONE)
    return sight


def words(row: Any, text: str) -> str:
    """Return what somebody wrote as HTML, as far as whoever opened the row's page may read it."""
    return shown(seen(text, sight_on(row)))


def words_json(row: Any, value: Any) -> str:
    """Return a JSON value with what somebody wrote as HTML, as far as whoever opened the row's page may read it."""
    return "-" if value is None else shown_json(seen_json(value, sight_on(row)))


def told_json(value: Any) -> str:
    """Return a JSON value that may speak of persons as HTML, as far as whoever asks may see them."""
    return "-" if value is None else shown_json(seen_json(value, sight_here()))


def shown_json(value: Any) -> str:
    """Return a JSON value as HTML, indented."""
    return "-" if value is None else shown(json.dumps(value, indent=2, ensure_ascii=False))


#: What a search would tell to whoever sees it masked.
_OF_PERSONS = frozenset({"external_id", "handle", "display_name", "value", "recipient", "sender"})


def masked(name: str, mask: Callable[[str], str]) -> Callable[[Any, Any], str]:
    """Return what an admin page shows of a column that says who somebody is. It cannot be sorted by."""

    def show(_page: Any, row: Any) -> str:
        return mask(getattr(row, name)) or "-"

    return admin.display(description=name.replace("_", " "))(show)


class FindableAdmin(ModelAdmin[M]):
    """Finds rows by a pasted id and shows what points at them.

    `search_fields` are exact lookups unless they say otherwise (`name__icontains`); each is tried by itself, so that a
    pasted id finds its row whatever kind of id it is. `unloaded` columns stay in the database until something asks.
    """

    actions: Any = None
    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    list_select_related: ClassVar[Any] = ()
    unloaded: ClassVar[tuple[str, ...]] = ()

    def get_search_fields(self, request: HttpRequest) -> Any:
        """Leave out what says who somebody is, for who sees that masked."""
        fields = super().get_search_fields(request)
        if sight_of(request.user) is Sight.FULL:
            return fields
        return [one for one in fields if _OF_PERSONS.isdisjoint(str(one).split("__"))]

    def get_queryset(self, request: HttpRequest) -> QuerySet[M]:
        rows = super().get_queryset(request).defer(*self.unloaded)
        return rows.select_related(*self.list_select_related) if self.list_select_related else rows

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[M], search_term: str
    ) -> tuple[QuerySet[M], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        first, *others = [*self._matches(request, term), self.model._default_manager.none().values("pk")]
        return queryset.filter(pk__in=first.union(*others)), False

    def _matches(self, request: HttpRequest, term: str) -> Iterator[Any]:
        for lookup in self.get_search_fields(request):
            try:
                yield self.model._default_manager.filter(**{str(lookup): term}).values("pk")
            except (ValidationError, ValueError):
                continue  # the term cannot be an id of this type: not a UUID, not a number

    @admin.display(description="see also")
    def see_also(self, row: M) -> str:
        """Return links to the lists of everything that points at this row."""
        return format_html_join(" · ", "{}", ((each,) for each in self._links_from(row))) or SafeString("-")

    def _links_from(self, row: M) -> Iterator[str]:
        for relation in row._meta.related_objects:
            model: Any = relation.related_model
            if self.admin_site.is_registered(model):
                name = f"{relation.field.name}__{row._meta.pk.name}__exact"
                yield list_link(model, str(model._meta.verbose_name_plural), **{name: row.pk})


class ReadOnlyAdmin(FindableAdmin[M]):
    """Shows `fields` and changes nothing. If it `shows_words`, who opens a row's page is written down."""

    shows_words = False

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> M | None:
        row: Any = super().get_object(request, object_id, from_field)
        if row is not None:
            row.sight = sight_of(request.user)
        return row  # type: ignore[no-any-return] # a model's instance, with an attribute more

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> Any:
        answer = super().change_view(request, object_id, *args, **kwargs)
        if self.shows_words and answer.status_code == HTTPStatus.OK:
            note_read(request.user, str(self.opts.model_name), [unquote(object_id)])
        return answer

    def history_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return (
            super().history_view(request, *args, **kwargs)
            if request.method == "GET"
            else HttpResponseNotAllowed(["GET"])
        )

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 - Django's signature
        return False

    def has_change_permission(self, request: HttpRequest, obj: M | None = None) -> bool:  # noqa: ARG002 - as above
        return False

    def has_delete_permission(self, request: HttpRequest, obj: M | None = None) -> bool:  # noqa: ARG002 - as above
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: M | None = None) -> Any:
        return self.get_fields(request, obj)
