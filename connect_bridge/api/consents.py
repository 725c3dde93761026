"""Consents in the API: what customers allow and forbid."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import transaction
from django.shortcuts import get_object_or_404
from django_filters.rest_framework import FilterSet, UUIDFilter
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from connect_bridge.api.verbs import CustomerViewSet, Strict, read, username
from customers import consent
from customers.models import Consent, Identity
from customers.sql_steps import take_now
from people.serializer_fields import Evidence
from people.typed import is_storable


class ConsentSerializer(serializers.ModelSerializer[Consent]):
    customer = serializers.UUIDField(source="identity.customer_id")
    evidence = Evidence()

    class Meta:
        model = Consent
        fields: ClassVar[Any] = [
            "id",
            "customer",
            "identity",
            "purpose",
            "granted",
            "source",
            "topic",
            "evidence",
            "by",
            "at",
        ]


class ConsentAsked(Strict):
    """A decision of a customer's, for one identity or for all that they have on one channel."""

    identity = serializers.UUIDField(required=False)
    customer = serializers.UUIDField(required=False)
    channel = serializers.CharField(max_length=32, required=False, help_text="With `customer`: whatsapp, sms, …")
    purposes = serializers.ListField(
        child=serializers.ChoiceField(choices=Consent.Purpose.choices), min_length=1, max_length=len(Consent.Purpose)
    )
    granted = serializers.BooleanField()
    topic = serializers.CharField(max_length=64, required=False, allow_blank=True, default="")
    evidence = serializers.DictField(child=serializers.CharField(max_length=500), required=False, default=dict)

    def validate_evidence(self, evidence: dict[str, str]) -> dict[str, str]:
        if not is_storable(evidence):  # DRF looks at texts, not at their names
            raise serializers.ValidationError("A name holds a character that no text has: U+0000, or half of a pair.")
        return evidence

    def validate(self, attrs: Any) -> Any:
        if ("identity" in attrs) == ("customer" in attrs) or ("channel" in attrs and "customer" not in attrs):
            raise serializers.ValidationError("Name an identity, or a customer and a channel.")
        if "customer" in attrs and "channel" not in attrs:
            raise serializers.ValidationError({"channel": ["Needed together with a customer."]})
        return attrs


class ConsentFilter(FilterSet):  # type: ignore[misc] # django-filter has no types
    customer = UUIDFilter(field_name="identity__customer")

    class Meta:
        model = Consent
        fields: ClassVar[Any] = ["identity", "purpose", "granted"]


class ConsentView(CustomerViewSet):
    """What customers allowed and forbade, newest first; of each identity and purpose the newest counts."""

    queryset = Consent.objects.select_related("identity")
    serializer_class = ConsentSerializer
    newest_by = "at"
    filterset_class = ConsentFilter
    needs: ClassVar[dict[str, str]] = {"create": "customers.add_consent"}

    @extend_schema(request=ConsentAsked, responses={201: ConsentSerializer(many=True)})
    def create(self, request: Request, **_kwargs: Any) -> Response:
        """Write down a customer's decision that was made elsewhere, with its evidence."""
        data = read(ConsentAsked, request.data)
        purposes = [consent.Purpose(purpose) for purpose in data["purposes"]]
        word = consent.ConsentSource(source="api", topic=data["topic"], evidence=data["evidence"], by=username(request))
        identities = self._identities(data)
        with transaction.atomic():
            for identity in identities:
                take_now(consent.record(identity.pk, purposes, word, granted=data["granted"]))
            recorded = self.get_queryset().filter(identity__in=identities, purpose__in=purposes).order_by("-pk")
            rows = recorded[: len(identities) * len(purposes)]
            answer = self.get_serializer(rows, many=True).data
        return Response(answer, status=201)

    def _identities(self, data: dict[str, Any]) -> list[Identity]:
        if "identity" in data:
            return [get_object_or_404(Identity, pk=data["identity"])]
        identities = list(Identity.objects.filter(customer=data["customer"], kind=data["channel"]))
        if not identities:
            raise ValidationError({"channel": ["The customer has no identity on this channel."]})
        return identities
