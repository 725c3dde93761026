"""Merges in the API: join two customers, keep them apart, undo, and assertions of trusted systems."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django_filters.rest_framework import BooleanFilter, FilterSet, UUIDFilter
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from connect_bridge.api.verbs import CustomerViewSet, RefusalSerializer, Strict, read, reason_field, run_steps, username
from customers.merging import Method, merge, unmerge
from customers.models import Customer, Identity, Merge
from customers.sql_steps import Steps
from people.serializer_fields import Evidence


class MergeSerializer(serializers.ModelSerializer[Merge]):
    evidence = Evidence()
    customers = serializers.SerializerMethodField()

    class Meta:
        model = Merge
        fields: ClassVar[Any] = [
            "id",
            "customers",
            "method",
            "evidence",
            "reason",
            "made_at",
            "made_by",
            "undone_at",
            "undone_by",
            "undo_reason",
        ]

    def get_customers(self, merge: Merge) -> list[str]:
        return [str(merge.low_id), str(merge.high_id)]


class MergeAsked(Strict):
    """Whom to merge with, and why."""

    other = serializers.UUIDField(help_text="The other customer's id.")
    reason = reason_field()


class UndoAsked(Strict):
    reason = reason_field()
    keep_apart = serializers.BooleanField(default=True, help_text="Never merge or suggest these two by itself again.")


class Named(Strict):
    """An identity as its messenger names it."""

    kind = serializers.CharField(max_length=32)
    issuer = serializers.CharField(max_length=128, required=False, allow_blank=True, default="")
    external_id = serializers.CharField(max_length=256)


class Assertion(Strict):
    """A trusted system's word that these identities are one person."""

    identities = serializers.ListField(child=Named(), min_length=2, max_length=20)
    system = serializers.CharField(max_length=64)
    reference = serializers.CharField(max_length=128, required=False, allow_blank=True, default="")


class MergedSerializer(serializers.Serializer[Any]):
    customer = serializers.UUIDField(help_text="The id under which the person is shown now.")
    merge = serializers.UUIDField(allow_null=True, help_text="Undo it by this id; null if they were one already.")


class UndoneSerializer(serializers.Serializer[Any]):
    customers = serializers.ListField(child=serializers.UUIDField())


class MergeFilter(FilterSet):  # type: ignore[misc] # django-filter has no types
    in_force = BooleanFilter(field_name="undone_at", lookup_expr="isnull")
    customer = UUIDFilter(method="of_customer")

    class Meta:
        model = Merge
        fields: ClassVar[Any] = ["method"]

    def of_customer(self, rows: QuerySet[Merge], _name: str, value: Any) -> QuerySet[Merge]:
        homes = Customer.objects.filter(pk=value) | Customer.objects.filter(merged_into=value)
        return rows.filter(low__in=homes.values("pk")) | rows.filter(high__in=homes.values("pk"))


class MergeView(CustomerViewSet):
    """What made customers one, and what was undone."""

    queryset = Merge.objects.all()
    serializer_class = MergeSerializer
    newest_by = "made_at"
    filterset_class = MergeFilter
    needs: ClassVar[dict[str, str]] = {"undo": "customers.merge_customer", "create": "customers.assert_customer"}

    @extend_schema(request=UndoAsked, responses={200: UndoneSerializer, 409: RefusalSerializer})
    @action(detail=True, methods=["post"])
    def undo(self, request: Request, **_kwargs: Any) -> Response:
        """Take a merge back: both histories are as if it had never been made."""
        data = read(UndoAsked, request.data)
        merged, by = self.get_object(), username(request)
        parts = run_steps(unmerge(merged.pk, by=by, reason=data["reason"], keep_apart=data["keep_apart"]))
        return Response(UndoneSerializer({"customers": parts}).data)

    @extend_schema(request=Assertion, responses={200: MergedSerializer, 409: RefusalSerializer})
    def create(self, request: Request, **_kwargs: Any) -> Response:
        """Take a trusted system's word that identities are one person."""
        data = read(Assertion, request.data)
        identities = [get_object_or_404(Identity, **names) for names in data["identities"]]
        evidence = {"system": data["system"], "reference": data["reference"]}
        return Response(MergedSerializer(run_steps(_merge_all(identities, evidence, username(request)))).data)


def _merge_all(identities: list[Identity], evidence: dict[str, Any], by: str) -> Steps[Any]:
    """Merge each with the first. Return the last merge that was made, or what the first attempt says if none was."""
    first, *others = identities
    merged = None
    for other in others:
        pair = {**evidence, "identities": [str(first.pk), str(other.pk)]}
        step = yield from merge(first.home_id, other.home_id, Method.ASSERTION, evidence=pair, by=by)
        merged = step if merged is None or step.merge else merged
    return merged
