"""What the API's verbs share: a permission for each, strict input, conflicts as answers, and who did it."""

from __future__ import annotations

from typing import Any, ClassVar, cast

from django.db import transaction
from rest_framework import serializers
from rest_framework.exceptions import APIException
from rest_framework.permissions import SAFE_METHODS, IsAdminUser
from rest_framework.request import Request
from rest_framework.views import APIView

from connect_bridge.api.base import ReadView
from customers.merging import CannotMerge
from customers.sql_steps import Steps, take_now


class Conflict(APIException):
    """The request cannot be done as things are: answered 409. `error` is for programs, `detail` for people."""

    status_code = 409

    def __init__(self, code: str, why: str) -> None:
        super().__init__({"error": code, "detail": why})


class MayAct(IsAdminUser):
    """Staff who may view such rows and hold the permission that the view names for the verb."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        options = view.queryset.model._meta  # type: ignore[attr-defined] # every view here has one
        needed = [f"{options.app_label}.view_{options.model_name}"]
        needs: dict[str, str] = view.needs  # type: ignore[attr-defined] # as above
        action: str = view.action or ""  # type: ignore[attr-defined] # as above
        if request.method not in SAFE_METHODS or action in needs:
            needed.append(needs.get(action, ""))
        return bool(super().has_permission(request, view)) and all(map(request.user.has_perm, needed))


class CustomerViewSet(ReadView):
    """Reads as the other views do; each of its verbs needs a permission, named in `needs`."""

    permission_classes = [MayAct]
    needs: ClassVar[dict[str, str]] = {}


def run_steps(steps: Steps[Any]) -> Any:
    """Run the SQL steps in one transaction. A merge that is not possible is answered as a conflict."""
    try:
        with transaction.atomic():
            return take_now(steps)
    except CannotMerge as refusal:
        raise Conflict(refusal.code, str(refusal)) from None


def username(request: Request) -> str:
    return request.user.get_username()


class Strict(serializers.Serializer[Any]):
    """Takes the fields that it declares and refuses any other by name."""

    def to_internal_value(self, data: Any) -> Any:
        writable = {name for name, field in self.fields.items() if not field.read_only}
        if unknown := sorted(set(data) - writable if isinstance(data, dict) or hasattr(data, "keys") else ()):
            offered = f"Known are: {', '.join(sorted(writable))}."
            raise serializers.ValidationError({name: [f"Unknown field. {offered}"] for name in unknown})
        return super().to_internal_value(data)


class RefusalSerializer(serializers.Serializer[Any]):
    error = serializers.CharField()
    detail = serializers.CharField()


def read(schema: type[Strict], data: Any) -> dict[str, Any]:
    """Return the request's data as the schema describes it, or raise ValidationError."""
    serializer = schema(data=data)
    serializer.is_valid(raise_exception=True)
    return cast("dict[str, Any]", serializer.validated_data)


def reason_field() -> serializers.CharField:
    return serializers.CharField(max_length=300, required=False, allow_blank=True, default="")
