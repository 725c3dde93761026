"""Admin pages of recorded models: a reason to give, and a history whose changes can be put back."""

from __future__ import annotations

from typing import Any, TypeVar

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.utils import timezone

from people.admin_base import ModelAdmin
from people.audit import change_of
from people.history import because
from people.typed import posted_text

M = TypeVar("M", bound=Model)

#: Rights and passwords are given by a person, never by putting an old value back.
NEVER_PUT_BACK = frozenset(
    {"is_superuser", "is_staff", "is_active", "password", "groups", "user_permissions", "permissions", "last_login"}
)
#: Changes on one page of a history.
MOST_CHANGES = 100


class AuditedAdmin(ModelAdmin[M]):
    """Shows a row's history to those who may see it, or the audit; those who may change it may put a change back."""

    change_form_after_template = "people/reason.html"
    # A page of rows, counted once: with the count of all beside each search and filter, long lists take too long.
    list_per_page = 50
    #: Columns that the form writes although none of its fields has their name.
    behind_the_form: tuple[str, ...] = ()
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # noqa: FBT001 - Django's signature
        because(obj, posted_text(request, "change_reason"))
        super().save_model(request, obj, form, change)

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        key = unquote(object_id)
        row: Any = self.get_object(request, key)
        may_change = row is not None and self.has_change_permission(request, row)
        if not (self.has_view_permission(request, row) or request.user.has_perm("people.view_audit")):
            raise PermissionDenied
        if request.method == "POST":
            if not may_change:
                raise PermissionDenied
            return self._put_back(request, row)
        model: Any = self.model
        try:
            rows = model.history.filter(**{model._meta.pk.attname: key}).order_by("-history_date", "-history_id")
            changes = [change_of(model, change) for change in rows[:MOST_CHANGES]]
        except (ValidationError, ValueError):
            raise Http404 from None  # no id of such a row
        if row is None and not changes:
            raise Http404
        context = {
            **self.admin_site.each_context(request),
            "title": f"History of {row or changes[0].object}",
            "opts": self.opts,
            "changes": changes,
            "may_change": may_change,
            **(extra_context or {}),
        }
        return TemplateResponse(request, "people/history.html", context)

    def _put_back(self, request: HttpRequest, row: Any) -> HttpResponse:
        """Set the fields of one change to what they were before it, through the form. What changed since stays."""
        pk, requested = type(row)._meta.pk.attname, request.POST.get("change", "")
        if not (requested.isascii() and requested.isdigit() and len(requested) < len(str(2**31))):
            raise Http404
        change = get_object_or_404(type(row).history, history_id=requested, **{pk: row.pk})
        form_class = self.get_form(request, row, change=True)
        names, left = self._offered(form_class, change.differs)
        for name in names:
            setattr(row, name, change.differs[name][0])
        form = _as_sent(form_class, row)
        if not names or not form.is_valid():
            reason = f"Only what the form offers you can be put back, not: {', '.join(left)}."
            errors = " ".join(f"{name}: {' '.join(map(str, texts))}" for name, texts in form.errors.items())
            self.message_user(request, f"Not put back. {errors if names else reason}", messages.ERROR)
            return HttpResponseRedirect(request.path)
        kept = form.save(commit=False)
        because(kept, f"put back what was before {timezone.localtime(change.history_date):%Y-%m-%d %H:%M:%S}")
        kept.save()
        more = f" Left as it is, because the form does not offer it to you: {', '.join(left)}." if left else ""
        self.message_user(request, f"Put back.{more}", messages.WARNING if left else messages.SUCCESS)
        return HttpResponseRedirect(request.path)

    def _offered(self, form_class: Any, differs: dict[str, Any]) -> tuple[list[str], list[str]]:
        """Return the fields of a change that the user's form offers, and the others, among them rights and secrets."""
        fields = {self.model._meta.get_field(name) for name in differs}
        offered = {*form_class.base_fields, *self.behind_the_form} - NEVER_PUT_BACK
        in_form = {field.attname for field in fields if field.name in offered}
        return [name for name in differs if name in in_form], [name for name in differs if name not in in_form]


def _as_sent(form_class: Any, row: Any) -> Any:
    """Return the row's form as if it had been submitted with the row's present values."""
    shown = form_class(instance=row)
    return form_class(data={name: shown[name].value() for name in shown.fields}, instance=row)
