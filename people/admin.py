"""Admin pages of the people who work with Parley. What somebody may do comes from groups."""

from __future__ import annotations

from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from allauth.usersessions.models import UserSession
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from people.admin_base import AdminPasswordChangeForm, AdminUserCreationForm, TabularInline, UserChangeForm
from people.history_admin import AuditedAdmin
from people.models import ApiToken
from people.roles import ROLES

#: The sign-in library's own pages would show tokens, and secrets of directories.
for model in (User, Group, Authenticator, EmailAddress, SocialAccount, SocialApp, SocialToken, UserSession):
    admin.site.unregister(model)


class SecondFactors(TabularInline[Authenticator, User]):
    """What somebody proves themselves with beside the password. Whoever has lost it all starts anew without it."""

    model = Authenticator
    verbose_name = "second factor"
    verbose_name_plural = "second factors"
    fields = ("type", "created_at", "last_used_at")
    readonly_fields = ("type", "created_at", "last_used_at")
    extra = 0

    def has_add_permission(self, request: HttpRequest, obj: User | None = None) -> bool:  # noqa: ARG002 - Django's signature
        return False

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:  # noqa: ARG002 - as above
        return False

    def has_view_permission(self, request: HttpRequest, obj: User | None = None) -> bool:  # noqa: ARG002 - as above
        return bool(request.user.has_perm("auth.view_user"))

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return _may_touch(request, obj) and bool(request.user.has_perm("auth.change_user"))


class ApiTokens(TabularInline[ApiToken, User]):
    """What opens the API in somebody's name: to look at, and to end."""

    model = ApiToken
    fields = readonly_fields = ("name", "shown", "made_at", "last_used_at", "expires_at", "state")
    extra = 0

    @admin.display(description="now")
    def state(self, token: ApiToken) -> str:
        if token.ended_at is not None:
            return f"ended: {token.ended_because}"
        return "in force" if token.expires_at > timezone.now() else "ended"

    def has_add_permission(self, request: HttpRequest, obj: User | None = None) -> bool:  # noqa: ARG002 - Django's signature
        return False

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:  # noqa: ARG002 - as above
        return False

    def has_view_permission(self, request: HttpRequest, obj: User | None = None) -> bool:  # noqa: ARG002 - as above
        return bool(request.user.has_perm("auth.view_user"))

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return _may_touch(request, obj) and bool(request.user.has_perm("auth.change_user"))


@admin.register(User)
class UserAdmin(AuditedAdmin[User], DjangoUserAdmin[User]):
    form: Any = UserChangeForm
    add_form = AdminUserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ["username", "email", "groups_of", "is_active", "is_superuser", "last_login"]
    list_filter = ["is_active", "is_superuser", "groups"]
    fieldsets = [
        (None, {"fields": ["username", "password", "first_name", "last_name", "email"]}),
        ("Rights", {"fields": ["is_active", "is_staff", "is_superuser", "groups"]}),
        ("Dates", {"fields": ["last_login", "date_joined"]}),
    ]
    # Unfold's base has an empty one, which hides Django's.
    add_fieldsets = [
        (None, {"fields": ["username", "first_name", "last_name", "email"]}),
        ("Signing in", {"fields": ["usable_password", "password1", "password2"]}),
        ("Rights", {"fields": ["groups"]}),
    ]
    readonly_fields = ["last_login", "date_joined"]
    filter_horizontal = ()

    def get_inlines(self, request: HttpRequest, obj: User | None) -> list[Any]:  # noqa: ARG002 - Django's signature
        if obj is None:
            return []
        factors = [SecondFactors] if Authenticator.objects.filter(user=obj).exists() else []
        return [*factors, ApiTokens] if obj.api_tokens.exists() else factors

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return super().get_queryset(request).prefetch_related("groups")

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        """Nobody makes themselves, or others, more than they are: only a superuser makes superusers."""
        fixed = super().get_readonly_fields(request, obj)
        return fixed if request.user.is_superuser else [*fixed, "is_superuser"]

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return _may_touch(request, obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return _may_touch(request, obj) and super().has_delete_permission(request, obj)

    @admin.display(description="groups")
    def groups_of(self, user: User) -> str:
        return ", ".join(group.name for group in user.groups.all()) or "-"


def _may_touch(request: HttpRequest, user: User | None) -> bool:
    return user is None or request.user.is_superuser or not user.is_superuser


@admin.register(Group)
class GroupAdmin(AuditedAdmin[Group], DjangoGroupAdmin):
    list_display = ["name", "comes_with_parley"]
    filter_horizontal = ()

    @admin.display(description="comes with Parley", boolean=True)
    def comes_with_parley(self, group: Group) -> bool:
        return group.name in ROLES

    def has_change_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        """Parley's own groups are made by `migrate`; whoever needs other rights makes a group of their own."""
        return (obj is None or obj.name not in ROLES) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return (obj is None or obj.name not in ROLES) and super().has_delete_permission(request, obj)
