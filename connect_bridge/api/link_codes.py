"""Link codes and one-time codes in the API: they prove that a second channel is the same customer's."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from connect_bridge.api.verbs import Conflict, CustomerViewSet, RefusalSerializer, Strict, read, username
from connect_bridge.customer_page.link_codes import CannotSend, IssuedCode, issue_link_code, send_one_time_code
from customers.codes import LINK_LASTS, LONGEST
from customers.models import Customer, Identity, LinkCode


class LinkCodeSerializer(serializers.ModelSerializer[LinkCode]):
    class Meta:
        model = LinkCode
        fields: ClassVar[Any] = [
            "id",
            "form",
            "customer",
            "identity",
            "typed_by",
            "made_at",
            "made_by",
            "expires_at",
            "used_at",
            "used_by",
            "outcome",
            "merge",
        ]


class LinkCodeAsked(Strict):
    """A `link` code is for a customer, handed out on `identity` if one is named. `one_time` digits go to `identity`."""

    form = serializers.ChoiceField(choices=LinkCode.Form.choices, default=LinkCode.Form.LINK)
    customer = serializers.UUIDField(required=False)
    identity = serializers.UUIDField(required=False)
    typed_by = serializers.UUIDField(required=False, help_text="one_time: the identity that will type it.")
    greeting = serializers.CharField(max_length=200, required=False, allow_blank=True, default="")
    lasts_seconds = serializers.IntegerField(min_value=60, max_value=int(LONGEST.total_seconds()), required=False)


class LinkSerializer(serializers.Serializer[Any]):
    account = serializers.UUIDField(source="account.pk")
    kind = serializers.CharField(source="account.kind")
    name = serializers.CharField(source="account.name")
    url = serializers.URLField()


class HandedOut(LinkCodeSerializer):
    """The code is told this once; afterwards only a digest of it is kept."""

    code = serializers.CharField(allow_null=True)
    links = LinkSerializer(many=True)

    class Meta(LinkCodeSerializer.Meta):
        fields: ClassVar[Any] = [*LinkCodeSerializer.Meta.fields, "code", "links"]


class LinkCodeView(CustomerViewSet):
    """Codes that prove a second channel. The codes themselves are told once, to who asks for one."""

    queryset = LinkCode.objects.all()
    serializer_class = LinkCodeSerializer
    newest_by = "made_at"
    filterset_fields = ("customer", "identity", "typed_by", "form", "outcome")
    needs: ClassVar[dict[str, str]] = {"create": "customers.add_linkcode"}

    @extend_schema(request=LinkCodeAsked, responses={201: HandedOut, 409: RefusalSerializer})
    def create(self, request: Request, **_kwargs: Any) -> Response:
        """Make a code: a link to hand to the customer, or digits that are sent to one channel and typed on another."""
        data = read(LinkCodeAsked, request.data)
        make = self._one_time if data["form"] == LinkCode.Form.ONE_TIME else self._link
        issued = make(data, username(request))
        answer = {**LinkCodeSerializer(issued.row).data, "code": issued.code or None}
        return Response({**answer, "links": LinkSerializer(issued.links, many=True).data}, status=201)

    def _link(self, data: dict[str, Any], by: str) -> IssuedCode:
        if ("customer" in data) == ("identity" in data):
            raise ValidationError("Name a customer, or the identity on which the code is handed out.")
        identity = get_object_or_404(Identity, pk=data["identity"]) if "identity" in data else None
        customer = identity.home if identity else get_object_or_404(Customer, pk=data["customer"], erased_at=None)
        lasts = timedelta(seconds=data["lasts_seconds"]) if "lasts_seconds" in data else LINK_LASTS
        return issue_link_code(
            customer.pk, identity.pk if identity else None, by=by, greeting=data["greeting"], lasts=lasts
        )

    def _one_time(self, data: dict[str, Any], by: str) -> IssuedCode:
        if "identity" not in data or "typed_by" not in data or data["identity"] == data["typed_by"]:
            raise ValidationError("Name two identities: the one that the code is sent to, and typed_by.")
        identity, typed_by = (get_object_or_404(Identity, pk=data[name]) for name in ("identity", "typed_by"))
        try:
            return IssuedCode(send_one_time_code(identity, typed_by, by=by), "", ())
        except CannotSend as refusal:
            raise Conflict("cannot_send", str(refusal)) from None
