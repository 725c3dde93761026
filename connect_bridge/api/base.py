"""What every list of the API shares: who may view it, pages by cursor, and refusal of unknown parameters."""

from __future__ import annotations

from typing import Any, ClassVar

from django.core.exceptions import ValidationError as NotAValue
from django.db.models import QuerySet
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import CursorPagination
from rest_framework.permissions import IsAdminUser
from rest_framework.request import Request
from rest_framework.views import APIView
from rest_framework.viewsets import ReadOnlyModelViewSet

from people.moments import moment
from people.privacy import Sight, sight_of

#: Rows on a page, unless `page_size` asks for others, and at most.
PAGE_SIZE = 50
LARGEST_PAGE = 500


class MayView(IsAdminUser):
    """Staff, and permitted to view this kind of row, as in the admin."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        options = view.queryset.model._meta  # type: ignore[attr-defined] # every view here has one
        permitted = request.user.has_perm(f"{options.app_label}.view_{options.model_name}")
        return bool(super().has_permission(request, view)) and permitted


class Newest(CursorPagination):
    """Newest first. A cursor stays right while rows are added; it is opaque, so one that was altered is unknown."""

    page_size = PAGE_SIZE
    page_size_query_param = "page_size"
    max_page_size = LARGEST_PAGE

    def get_ordering(self, request: Request, queryset: QuerySet[Any], view: Any) -> tuple[str, ...]:  # noqa: ARG002 - the library's signature
        return (f"-{view.newest_by}", "-pk")

    def decode_cursor(self, request: Request) -> Any:
        """Take no cursor from outside our times: every list here goes by a moment."""
        cursor: Any = super().decode_cursor(request)
        if cursor is not None and cursor.position is not None and moment(cursor.position) is None:
            raise NotFound(self.invalid_cursor_message)
        return cursor

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any] | None:
        try:
            return super().paginate_queryset(queryset, request, view)
        except (NotAValue, ValueError, OverflowError):
            raise NotFound(self.invalid_cursor_message) from None


class ReadView(ReadOnlyModelViewSet[Any]):
    """Lists newest first and gives single rows; refuses query parameters that it does not know."""

    permission_classes = [MayView]
    pagination_class = Newest
    newest_by: ClassVar[str] = "created_at"
    #: Filters by what only some may see: to whom it is not shown, the filter would tell it.
    names_people: ClassVar[frozenset[str]] = frozenset()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        known = self._parameters() if self.action == "list" else []
        if sight_of(request.user) is not Sight.FULL:
            known = [name for name in known if name not in self.names_people]
        if unknown := sorted(set(request.query_params) - set(known)):
            offered = f"Known are: {', '.join(known)}." if known else "None is known here."
            raise ValidationError({name: [f"Unknown parameter. {offered}"] for name in unknown})

    def _parameters(self) -> list[str]:
        filters = DjangoFilterBackend().get_filterset_class(self, self.get_queryset())
        return ["cursor", "page_size", *(filters.base_filters if filters else ())]
