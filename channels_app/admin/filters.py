"""Filters and renderings that several admin pages share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.db.models import QuerySet
from django.http import HttpRequest

from channels_app.models import ChannelAccount
from channels_app.registry import channels

#: A header or parameter with such a word in its name proves who sends: it is not for the eye.
_PROOFS = ("secret", "token", "signature", "authorization", "password", "cookie")


def without_proofs(pairs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the mapping with the values hidden that could be used to pass for the provider."""
    return {name: "••••" if any(word in name.lower() for word in _PROOFS) else pairs[name] for name in pairs}


def query_without_proofs(query: str) -> str:
    return urlencode(without_proofs(dict(parse_qsl(query, keep_blank_values=True))), safe="•")


class _AccountFilter(admin.SimpleListFilter):
    title = "account"
    parameter_name = "account"
    path = "account"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, str]]:  # noqa: ARG002 - Django's signature
        rows = ChannelAccount.objects.order_by("kind", "name").values_list("pk", "name", "kind")
        return [(str(pk), f"{name} ({kind})") for pk, name, kind in rows]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002 - as above
        if self.value() is None:
            return queryset
        try:
            return queryset.filter(**{self.path: UUID(self.value())})
        except ValueError as fault:
            raise IncorrectLookupParameters("not the id of an account") from fault


class _KindFilter(admin.SimpleListFilter):
    title = "channel"
    parameter_name = "kind"
    path = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, str]]:  # noqa: ARG002 - as above
        return [(kind, channel.label) for kind, channel in sorted(channels().items())]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002 - as above
        return queryset if self.value() is None else queryset.filter(**{self.path: self.value()})


def account_filter(path: str = "account") -> type[admin.SimpleListFilter]:
    """Return a filter by account, which lies at `path`."""
    return type("AccountFilter", (_AccountFilter,), {"path": path})


def kind_filter(path: str = "account__kind") -> type[admin.SimpleListFilter]:
    """Return a filter by channel, whose kind lies at `path`."""
    return type("KindFilter", (_KindFilter,), {"path": path})
