"""The bases of all admin pages, on Unfold's; as far as types go, on Django's own.

- `ModelAdmin`: a page whose list filters only by what it offers.
- `FindableAdmin`: a list with a fixed number of queries, searched by a pasted id.
- `ReadOnlyAdmin`: shows rows and changes nothing.

Pages of recorded models, with a history that can be put back, stand on `people.history_admin`.
"""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponseNotAllowed
from django.utils.functional import cached_property
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from people.admin_html import list_link
from people.audit import note_read
from people.lookups import DeclaredLookups
from people.privacy import Sight, sight_of

if TYPE_CHECKING:  # Unfold is not typed
    from django.contrib.admin import ModelAdmin as BaseAdmin
    from django.contrib.admin import TabularInline
    from django.contrib.auth.forms import AdminPasswordChangeForm, AdminUserCreationForm, UserChangeForm
else:
    from unfold.admin import ModelAdmin as BaseAdmin
    from unfold.admin import TabularInline
    from unfold.forms import AdminPasswordChangeForm, UserChangeForm
    from unfold.forms import UserCreationForm as AdminUserCreationForm

__all__ = [
    "AdminPasswordChangeForm",
    "AdminUserCreationForm",
    "FindableAdmin",
    "ModelAdmin",
    "ReadOnlyAdmin",
    "TabularInline",
    "UserChangeForm",
]

M = TypeVar("M", bound=Model)

#: Rows that a list page counts and can page to; behind them one searches. Counting a million rows takes too long.
MOST_COUNTED = 10_000
#: Columns that say who somebody is: a search by one would tell what the page masks.
_OF_PERSONS = frozenset({"external_id", "handle", "display_name", "value", "recipient", "sender"})


class ModelAdmin(DeclaredLookups, BaseAdmin[M]):
    """A page of the admin."""


class BoundedPaginator(Paginator[Any]):
    """Counts to MOST_COUNTED and no further."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        counted: int = rows.order_by()[:MOST_COUNTED].count()
        return counted


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
        """Leave out columns that say who somebody is, for readers who see them masked."""
        fields = super().get_search_fields(request)
        if sight_of(request.user) is Sight.FULL:
            return fields
        return [field for field in fields if _OF_PERSONS.isdisjoint(str(field).split("__"))]

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
    """Shows `fields` and changes nothing. If it `shows_words`, it is recorded who opens a row's page."""

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
