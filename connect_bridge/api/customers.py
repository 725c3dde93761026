"""Customers and their identities in the API, and the routes of all of the API that is about customers."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from django.urls import URLPattern, URLResolver
from django_filters.rest_framework import BooleanFilter, CharFilter, FilterSet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter

from connect_bridge.api.consents import ConsentView
from connect_bridge.api.customer_serializers import (
    CustomerChange,
    CustomerSerializer,
    EraseAsked,
    ErasedSerializer,
    IdentitySerializer,
    SuggestionSerializer,
)
from connect_bridge.api.link_codes import LinkCodeView
from connect_bridge.api.merges import MergeAsked, MergedSerializer, MergeView
from connect_bridge.api.verbs import Conflict, CustomerViewSet, RefusalSerializer, read, run_steps, username
from connect_bridge.privacy.erasure import CannotErase, erase
from connect_bridge.privacy.export import exported
from customers import suggestions
from customers.merging import Method, keep_apart, merge
from customers.models import Customer, Identity


class CustomerFilter(FilterSet):  # type: ignore[misc] # django-filter has no types
    kind = CharFilter(method="of_identity")
    external_id = CharFilter(method="of_identity")
    handle = CharFilter(method="of_identity")
    phone = CharFilter(method="of_phone")
    merged = BooleanFilter(field_name="merged_into", lookup_expr="isnull", exclude=True)
    erased = BooleanFilter(field_name="erased_at", lookup_expr="isnull", exclude=True)

    class Meta:
        model = Customer
        fields: ClassVar[Any] = []

    def of_identity(self, rows: QuerySet[Customer], name: str, value: str) -> QuerySet[Customer]:
        return rows.filter(pk__in=Identity.objects.filter(**{name: value}).values("customer"))

    def of_phone(self, rows: QuerySet[Customer], _name: str, value: str) -> QuerySet[Customer]:
        with_number = Identity.objects.filter(aliases__type="phone", aliases__value=value)
        return rows.filter(pk__in=with_number.values("customer"))


class CustomerView(CustomerViewSet):
    """People. `merged=false` leaves out the ids under which nobody is shown any more."""

    queryset = Customer.objects.prefetch_related("identities")
    serializer_class = CustomerSerializer
    filterset_class = CustomerFilter
    names_people = frozenset({"external_id", "handle", "phone"})
    needs: ClassVar[dict[str, str]] = {
        "partial_update": "customers.change_customer",
        "merge": "customers.merge_customer",
        "keep_apart": "customers.merge_customer",
        "export": "customers.export_customer",
        "erase": "customers.erase_customer",
    }

    @extend_schema(request=CustomerChange, responses=CustomerSerializer)
    def partial_update(self, request: Request, *_args: Any, **_kwargs: Any) -> Response:
        customer = self.get_object()
        data = read(CustomerChange, request.data)
        if customer.merged_into_id or customer.erased_at:
            raise Conflict("not_shown", "This id is merged into another or erased; change the one that is shown.")
        for name, value in data.items():
            setattr(customer, name, value)
        customer.save(update_fields=list(data))
        return Response(self.get_serializer(customer).data)

    @extend_schema(responses=SuggestionSerializer(many=True))
    @action(detail=True, pagination_class=None, filterset_class=None)
    def suggestions(self, _request: Request, **_kwargs: Any) -> Response:
        """Say who may be the same person, the likeliest first."""
        customer = self.get_object()
        likely = suggestions.suggest(customer.merged_into_id or customer.pk)
        return Response(SuggestionSerializer(likely, many=True).data)

    @extend_schema(request=MergeAsked, responses={200: MergedSerializer, 409: RefusalSerializer})
    @action(detail=True, methods=["post"])
    def merge(self, request: Request, **_kwargs: Any) -> Response:
        """Make two customers one, as a person's decision. It can be undone at any time."""
        data = read(MergeAsked, request.data)
        customer, by = self.get_object(), username(request)
        steps = merge(customer.pk, data["other"], Method.PERSON, evidence={}, by=by, reason=data["reason"])
        return Response(MergedSerializer(run_steps(steps)).data)

    @extend_schema(request=MergeAsked, responses={204: None, 409: RefusalSerializer})
    @action(detail=True, methods=["post"], url_path="keep-apart")
    def keep_apart(self, request: Request, **_kwargs: Any) -> Response:
        """Decide that two customers are two people: they are not suggested again."""
        data = read(MergeAsked, request.data)
        run_steps(keep_apart(self.get_object().pk, data["other"], by=username(request), reason=data["reason"]))
        return Response(status=204)

    @extend_schema(responses={(200, "application/json"): OpenApiTypes.OBJECT})
    @action(detail=True, pagination_class=None, filterset_class=None)
    def export(self, request: Request, **_kwargs: Any) -> StreamingHttpResponse:
        """Give everything that is known of the customer, as one document. It goes on record."""
        return exported(self.get_object(), request)

    @extend_schema(request=EraseAsked, responses={200: ErasedSerializer, 409: RefusalSerializer})
    @action(detail=True, methods=["post"])
    def erase(self, request: Request, **_kwargs: Any) -> Response:
        """Erase the person for ever, on all channels. Refused while a chat is open."""
        data = read(EraseAsked, request.data)
        try:
            erasure = erase(self.get_object().pk, by=username(request), reason=data["reason"])
        except CannotErase as refusal:
            raise Conflict("cannot_erase", str(refusal)) from None
        return Response(ErasedSerializer(erasure).data)


class IdentityView(CustomerViewSet):
    """The names by which messengers know customers."""

    queryset = Identity.objects.prefetch_related("aliases", "changes")
    serializer_class = IdentitySerializer
    filterset_fields = ("customer", "home", "kind", "issuer", "external_id", "handle")
    names_people = frozenset({"external_id", "handle"})


VIEWS: dict[str, type[CustomerViewSet]] = {
    "customers": CustomerView,
    "identities": IdentityView,
    "merges": MergeView,
    "link-codes": LinkCodeView,
    "consents": ConsentView,
}


def urls() -> list[URLPattern | URLResolver]:
    """Return the routes of this part of the API, to be mounted under /api/v1/."""
    router = SimpleRouter()
    for name, view in VIEWS.items():
        router.register(name, view, basename=name)
    return router.urls
