"""The base of every admin page: Unfold's, as far as types go Django's own; its lists filter by what they offer."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from django.db.models import Model

from people.lookups import DeclaredLookups

if TYPE_CHECKING:  # Unfold is not typed
    from django.contrib.admin import ModelAdmin as BaseAdmin
    from django.contrib.admin import TabularInline
    from django.contrib.auth.forms import AdminPasswordChangeForm, AdminUserCreationForm, UserChangeForm
else:
    from unfold.admin import ModelAdmin as BaseAdmin
    from unfold.admin import TabularInline
    from unfold.forms import AdminPasswordChangeForm, UserChangeForm
    from unfold.forms import UserCreationForm as AdminUserCreationForm

__all__ = ["AdminPasswordChangeForm", "AdminUserCreationForm", "ModelAdmin", "TabularInline", "UserChangeForm"]

M = TypeVar("M", bound=Model)


class ModelAdmin(DeclaredLookups, BaseAdmin[M]):
    """A page of the admin."""
