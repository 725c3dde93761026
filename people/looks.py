"""The base of every admin page: Unfold's, as far as types go Django's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # Unfold is not typed
    from django.contrib.admin import ModelAdmin, TabularInline
    from django.contrib.auth.forms import AdminPasswordChangeForm, AdminUserCreationForm, UserChangeForm
else:
    from unfold.admin import ModelAdmin, TabularInline
    from unfold.forms import AdminPasswordChangeForm, UserChangeForm
    from unfold.forms import UserCreationForm as AdminUserCreationForm

__all__ = ["AdminPasswordChangeForm", "AdminUserCreationForm", "ModelAdmin", "TabularInline", "UserChangeForm"]
