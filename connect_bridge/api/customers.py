"""Customers in the API, /api/v1/: who they are, one person or two, codes that prove it, what they allow."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

from django.db import transaction
from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, URLResolver
from django_filters.rest_framework import BooleanFilter, CharFilter, FilterSet, UUIDFilter
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.permissions import SAFE_METHODS, IsAdminUser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter
from rest_framework.views import APIView

from connect_bridge.api import customer_serializers as shapes
from connect_bridge.api.views import ReadView
from connect_bridge.customer_page.link_codes import CannotSend, Handed, hand_out, send_digits
from connect_bridge.privacy.erasure import CannotErase, erase
from connect_bridge.privacy.export import exported
from customers import consent, suggestions
from customers.codes import LINK_LASTS
from customers.merging import CannotMerge, Method, keep_apart, merge, unmerge
from customers.models import Consent, Customer, Identity, LinkCode, Merge
from customers.sql_steps import Steps, take_now


class Conflict(APIException):
    """What is asked for cannot be done as things are; `error` is for programs, `detail` for people."""

    status_code = 409

    def __init__(self, code: str, why: str) -> None:
        super().__init__({"error": code, "detail": why})


class May(IsAdminUser):
    """Staff who may view such rows and hold the permission that the view names for what they do."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        options = view.queryset.model._meta  # type: ignore[attr-defined] # every view here has one
        needed = [f"{options.app_label}.view_{options.model_name}"]
        needs: dict[str, str] = view.needs  # type: ignore[attr-defined] # as above
        action: str = view.action or ""  # type: ignore[attr-defined] # as above
        if request.method not in SAFE_METHODS or action in needs:
            needed.append(needs.get(action, ""))
        return bool(super().has_permission(request, view)) and all(map(request.user.has_perm, needed))


class CustomerApi(ReadView):
    """Reads as the others do; its verbs each need a permission, named in `needs`."""

    permission_classes = [May]
    needs: ClassVar[dict[str, str]] = {}


def done(steps: Steps[Any]) -> Any:
    """Take the steps in a transaction; a merge that cannot be is a conflict."""
    try:
        with transaction.atomic():
            return take_now(steps)
    except CannotMerge as refusal:
        raise Conflict(refusal.code, str(refusal)) from None


def by_whom(request: Request) -> str:
    return request.user.get_username()


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
        held = Identity.objects.filter(aliases__type="phone", aliases__value=value)
        return rows.filter(pk__in=held.values("customer"))


class CustomerView(CustomerApi):
    """People. `merged=false` leaves out the ids under which nobody is shown any more."""

    queryset = Customer.objects.prefetch_related("identities")
    serializer_class = shapes.CustomerSerializer
    filterset_class = CustomerFilter
    names_people = frozenset({"external_id", "handle", "phone"})
    needs: ClassVar[dict[str, str]] = {
        "partial_update": "customers.change_customer",
        "merge": "customers.merge_customer",
        "keep_apart": "customers.merge_customer",
        "export": "customers.export_customer",
        "erase": "customers.erase_customer",
    }

    @extend_schema(request=shapes.CustomerChange, responses=shapes.CustomerSerializer)
    def partial_update(self, request: Request, *_args: Any, **_kwargs: Any) -> Response:
        customer = self.get_object()
        asked = shapes.read(shapes.CustomerChange, request.data)
        if customer.merged_into_id or customer.erased_at:
            raise Conflict("not_shown", "This id is merged into another or erased; change the one that is shown.")
        for name, value in asked.items():
            setattr(customer, name, value)
        customer.save(update_fields=list(asked))
        return Response(self.get_serializer(customer).data)

    @extend_schema(responses=shapes.SuggestionSerializer(many=True))
    @action(detail=True, pagination_class=None, filterset_class=None)
    def suggestions(self, _request: Request, **_kwargs: Any) -> Response:
        """Say who may be the same person, the likeliest first."""
        customer = self.get_object()
        found = suggestions.suggest(customer.merged_into_id or customer.pk)
        return Response(shapes.SuggestionSerializer(found, many=True).data)

    @extend_schema(request=shapes.MergeAsked, responses={200: shapes.MergedSerializer, 409: shapes.RefusalSerializer})
    @action(detail=True, methods=["post"])
    def merge(self, request: Request, **_kwargs: Any) -> Response:
        """Make two customers one, as a person's decision. It can be undone at any time."""
        asked = shapes.read(shapes.MergeAsked, request.data)
        one, by = self.get_object(), by_whom(request)
        steps = merge(one.pk, asked["other"], Method.PERSON, evidence={}, by=by, reason=asked["reason"])
        return Response(shapes.MergedSerializer(done(steps)).data)

    @extend_schema(request=shapes.MergeAsked, responses={204: None, 409: shapes.RefusalSerializer})
    @action(detail=True, methods=["post"], url_path="keep-apart")
    def keep_apart(self, request: Request, **_kwargs: Any) -> Response:
        """Decide that two customers are two people: they are not suggested again."""
        asked = shapes.read(shapes.MergeAsked, request.data)
        done(keep_apart(self.get_object().pk, asked["other"], by=by_whom(request), reason=asked["reason"]))
        return Response(status=204)

    @extend_schema(responses={(200, "application/json"): OpenApiTypes.OBJECT})
    @action(detail=True, pagination_class=None, filterset_class=None)
    def export(self, request: Request, **_kwargs: Any) -> StreamingHttpResponse:
        """Give everything that is known of the customer, as one document. It goes on record."""
        return exported(self.get_object(), request)

    @extend_schema(request=shapes.EraseAsked, responses={200: shapes.ErasedSerializer, 409: shapes.RefusalSerializer})
    @action(detail=True, methods=["post"])
    def erase(self, request: Request, **_kwargs: Any) -> Response:
        """Erase the person for ever, on all channels. Refused while a chat is open."""
        asked = shapes.read(shapes.EraseAsked, request.data)
        try:
            done = erase(self.get_object().pk, by=by_whom(request), reason=asked["reason"])
        except CannotErase as refusal:
            raise Conflict("cannot_erase", str(refusal)) from None
        return Response(shapes.ErasedSerializer(done).data)


class IdentityView(CustomerApi):
    """The names by which messengers know customers."""

    queryset = Identity.objects.prefetch_related("aliases", "changes")
    serializer_class = shapes.IdentitySerializer
    filterset_fields = ("customer", "home", "kind", "issuer", "external_id", "handle")
    names_people = frozenset({"external_id", "handle"})


class MergeFilter(FilterSet):  # type: ignore[misc] # django-filter has no types
    in_force = BooleanFilter(field_name="undone_at", lookup_expr="isnull")
    customer = UUIDFilter(method="of_customer")

    class Meta:
        model = Merge
        fields: ClassVar[Any] = ["method"]

    def of_customer(self, rows: QuerySet[Merge], _name: str, value: Any) -> QuerySet[Merge]:
        homes = Customer.objects.filter(pk=value) | Customer.objects.filter(merged_into=value)
        return rows.filter(low__in=homes.values("pk")) | rows.filter(high__in=homes.values("pk"))


class MergeView(CustomerApi):
    """What made customers one, and what was undone."""

    queryset = Merge.objects.all()
    serializer_class = shapes.MergeSerializer
    newest_by = "made_at"
    filterset_class = MergeFilter
    needs: ClassVar[dict[str, str]] = {"undo": "customers.merge_customer", "create": "customers.assert_customer"}

    @extend_schema(request=shapes.UndoAsked, responses={200: shapes.UndoneSerializer, 409: shapes.RefusalSerializer})
    @action(detail=True, methods=["post"])
    def undo(self, request: Request, **_kwargs: Any) -> Response:
        """Take a merge back: both histories are as if it had never been made."""
        asked = shapes.read(shapes.UndoAsked, request.data)
        made, by = self.get_object(), by_whom(request)
        parts = done(unmerge(made.pk, by=by, reason=asked["reason"], keep_apart=asked["keep_apart"]))
        return Response(shapes.UndoneSerializer({"customers": parts}).data)

    @extend_schema(request=shapes.Assertion, responses={200: shapes.MergedSerializer, 409: shapes.RefusalSerializer})
    def create(self, request: Request, **_kwargs: Any) -> Response:
        """Take a trusted system's word that identities are one person."""
        asked = shapes.read(shapes.Assertion, request.data)
        named = [get_object_or_404(Identity, **one) for one in asked["identities"]]
        evidence = {"system": asked["system"], "reference": asked["reference"]}
        return Response(shapes.MergedSerializer(done(_assert(named, evidence, by_whom(request)))).data)


def _assert(named: list[Identity], evidence: dict[str, Any], by: str) -> Steps[Any]:
    first, *others = named
    merged = None
    for other in others:
        told = {**evidence, "identities": [str(first.pk), str(other.pk)]}
        now = yield from merge(first.home_id, other.home_id, Method.ASSERTION, evidence=told, by=by)
        merged = now if merged is None or now.merge else merged
    return merged


class LinkCodeView(CustomerApi):
    """Codes that prove a second channel. The codes themselves are told once, to who asks for one."""

    queryset = LinkCode.objects.all()
    serializer_class = shapes.LinkCodeSerializer
    newest_by = "made_at"
    filterset_fields = ("customer", "identity", "typed_by", "form", "outcome")
    needs: ClassVar[dict[str, str]] = {"create": "customers.add_linkcode"}

    @extend_schema(request=shapes.LinkCodeAsked, responses={201: shapes.HandedOut, 409: shapes.RefusalSerializer})
    def create(self, request: Request, **_kwargs: Any) -> Response:
        """Make a code: a link to hand to the customer, or digits that are sent to one channel and typed on another."""
        asked = shapes.read(shapes.LinkCodeAsked, request.data)
        make = self._one_time if asked["form"] == LinkCode.Form.ONE_TIME else self._link
        handed = make(asked, by_whom(request))
        told = {**shapes.LinkCodeSerializer(handed.row).data, "code": handed.code or None}
        return Response({**told, "links": shapes.LinkSerializer(handed.links, many=True).data}, status=201)

    def _link(self, asked: dict[str, Any], by: str) -> Handed:
        if ("customer" in asked) == ("identity" in asked):
            raise ValidationError("Name a customer, or the identity on which the code is handed out.")
        identity = get_object_or_404(Identity, pk=asked["identity"]) if "identity" in asked else None
        customer = identity.home if identity else get_object_or_404(Customer, pk=asked["customer"], erased_at=None)
        lasts = timedelta(seconds=asked["lasts_seconds"]) if "lasts_seconds" in asked else LINK_LASTS
        return hand_out(customer.pk, identity.pk if identity else None, by=by, greeting=asked["greeting"], lasts=lasts)

    def _one_time(self, asked: dict[str, Any], by: str) -> Handed:
        if "identity" not in asked or "typed_by" not in asked or asked["identity"] == asked["typed_by"]:
            raise ValidationError("Name two identities: the one that the code is sent to, and typed_by.")
        identity, typed_by = (get_object_or_404(Identity, pk=asked[name]) for name in ("identity", "typed_by"))
        try:
            return Handed(send_digits(identity, typed_by, by=by), "", ())
        except CannotSend as refusal:
            raise Conflict("cannot_send", str(refusal)) from None


class ConsentFilter(FilterSet):  # type: ignore[misc] # django-filter has no types
    customer = UUIDFilter(field_name="identity__customer")

    class Meta:
        model = Consent
        fields: ClassVar[Any] = ["identity", "purpose", "granted"]


class ConsentView(CustomerApi):
    """What customers allowed and forbade, newest first; of each identity and purpose the newest counts."""

    queryset = Consent.objects.select_related("identity")
    serializer_class = shapes.ConsentSerializer
    newest_by = "at"
    filterset_class = ConsentFilter
    needs: ClassVar[dict[str, str]] = {"create": "customers.add_consent"}

    @extend_schema(request=shapes.ConsentAsked, responses={201: shapes.ConsentSerializer(many=True)})
    def create(self, request: Request, **_kwargs: Any) -> Response:
        """Write down a customer's decision that was made elsewhere, with its evidence."""
        asked = shapes.read(shapes.ConsentAsked, request.data)
        purposes = [consent.Purpose(one) for one in asked["purposes"]]
        word = consent.Word(source="api", topic=asked["topic"], evidence=asked["evidence"], by=by_whom(request))
        identities = self._identities(asked)
        with transaction.atomic():
            for identity in identities:
                take_now(consent.record(identity.pk, purposes, word, granted=asked["granted"]))
            made = self.get_queryset().filter(identity__in=identities, purpose__in=purposes).order_by("-pk")
            told = self.get_serializer(made[: len(identities) * len(purposes)], many=True).data
        return Response(told, status=201)

    def _identities(self, asked: dict[str, Any]) -> list[Identity]:
        if "identity" in asked:
            return [get_object_or_404(Identity, pk=asked["identity"])]
        found = list(Identity.objects.filter(customer=asked["customer"], kind=asked["channel"]))
        if not found:
            raise ValidationError({"channel": ["The customer has no identity on this channel."]})
        return found


VIEWS: dict[str, type[CustomerApi]] = {
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
