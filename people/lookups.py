"""By what a list of the admin may be narrowed: its own filters, and keys that our links name. Nothing else.

Django lets whoever sees a list filter it by any field of the model. That is an oracle: from which rows stay, one reads
letter by letter what no page shows.
"""

from __future__ import annotations

from typing import Any

from django.contrib.admin import FieldListFilter
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import get_fields_from_path
from django.core.exceptions import SuspiciousOperation
from django.db import DataError
from django.db.models import ForeignKey, Model
from django.http import HttpRequest

from people import moments


class BadLookup(SuspiciousOperation):
    """A list was asked for what it does not offer, or by a value that is none. Its words may be shown."""


class DeclaredLookups:
    """For an admin page: refuses every filter but those of `list_filter`, the keys of `keys_of` and `links`."""

    #: Further parameters that links of ours have.
    links: tuple[str, ...] = ()
    model: Any
    _of_filters: dict[Any, tuple[str, ...]]

    def lookups(self, request: HttpRequest) -> frozenset[str]:
        """Return all parameters that narrow this list."""
        page: Any = self
        known = self.__dict__.setdefault("_of_filters", {})
        names = {*self.links, *keys_of(self.model)}
        for item in page.get_list_filter(request):
            key = tuple(item) if isinstance(item, list) else item
            if key not in known:
                known[key] = _parameters(page, key, request)
            names.update(known[key])
        return frozenset(names)

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:  # noqa: ARG002 - Django's signature
        return request is not None and lookup in self.lookups(request)

    def to_field_allowed(self, request: HttpRequest, to_field: str) -> bool:  # noqa: ARG002 - Django's signature
        """Let rows be named by their keys alone."""
        return bool(to_field == self.model._meta.pk.name)

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        asked = set(request.GET) - _OF_EVERY_LIST
        if unknown := sorted(asked - self.lookups(request) if asked else ()):
            raise BadLookup(f"This list cannot be filtered by {', '.join(unknown)}. It offers what it has filters for.")
        if odd := sorted(name for name in asked if name.endswith(_OF_TIME) and not _is_time(request.GET[name])):
            raise BadLookup(f"Give a day or a moment of our times for {', '.join(odd)}, as 2026-11-25.")
        try:
            return super().get_changelist_instance(request)  # type: ignore[misc] # of the page that this is mixed into
        except (IncorrectLookupParameters, ValueError, OverflowError, DataError):
            names = ", ".join(sorted(set(request.GET)))
            raise BadLookup(f"Nothing can be looked up with what was given for {names}.") from None


#: What Django's lists take beside filters: all, order, page, search, error, facets, popup, to_field.
_OF_EVERY_LIST = frozenset({"all", "o", "p", "q", "e", "_facets", "_popup", "_to_field"})


#: How filters by time end.
_OF_TIME = ("__gte", "__lt")


def _is_time(text: str) -> bool:
    return moments.moment(text) is not None or moments.day(text) is not None


def keys_of(model: type[Model]) -> list[str]:
    """Return the lookups by the key of what a row belongs to, as links between our pages name it."""
    keys = [field for field in model._meta.concrete_fields if isinstance(field, ForeignKey)]
    return [f"{field.name}__{field.target_field.name}__exact" for field in keys]


def _parameters(page: Any, item: Any, request: HttpRequest) -> tuple[str, ...]:
    if hasattr(item, "parameter_name"):
        return (str(item.parameter_name),)
    path, made = item if isinstance(item, tuple) else (item, FieldListFilter.create)
    field = get_fields_from_path(page.model, path)[-1]
    spec: Any = made(field, request, {}, page.model, page, field_path=path)
    return tuple(str(name) for name in spec.expected_parameters())
