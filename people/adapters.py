"""How people sign in: nobody signs up by themselves, and groups of a company's directory become groups of Parley's."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from allauth.core.exceptions import ImmediateHttpResponse
from django.conf import settings
from django.contrib.auth.models import Group
from django.http import HttpRequest
from django.shortcuts import render

from people.history import because
from people.seals import cipher

if TYPE_CHECKING:  # allauth is not typed

    class DefaultAccountAdapter:
        request: HttpRequest

        def is_reauthentication_required(self, *, app: str, **more: Any) -> bool: ...

    class DefaultMFAAdapter: ...

    class DefaultSocialAccountAdapter:
        def save_user(self, request: HttpRequest, sociallogin: Any, form: Any = None) -> Any: ...
else:
    from allauth.account.adapter import DefaultAccountAdapter
    from allauth.mfa.adapter import DefaultMFAAdapter
    from allauth.socialaccount.adapter import DefaultSocialAccountAdapter


#: Seconds after signing in within which what needs a fresh proof of who somebody is needs no other.
JUST_NOW = 300


class AccountAdapter(DefaultAccountAdapter):
    """Passwords are for those whom an administrator has let in."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:  # noqa: ARG002 - the library's signature
        return False

    def is_reauthentication_required(self, *, app: str, **more: Any) -> bool:
        """Whoever has signed in a moment ago is not asked for the password again."""
        ways = self.request.session.get("account_authentication_methods", [])
        latest = max((one.get("at", 0) for one in ways), default=0)
        return time.time() - latest > JUST_NOW and bool(super().is_reauthentication_required(app=app, **more))


class SocialAccountAdapter(DefaultSocialAccountAdapter):
    """Whoever the company's directory vouches for is let in, with what their groups there mean here each time."""

    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:  # noqa: ARG002 - as above
        return bool(mapped(groups_of(sociallogin)))

    def is_auto_signup_allowed(self, request: HttpRequest, sociallogin: Any) -> bool:  # noqa: ARG002 - as above
        return True

    def pre_social_login(self, request: HttpRequest, sociallogin: Any) -> None:
        """Turn away whoever has no group here, also those who had one; set the groups of those whom we know."""
        wanted = mapped(groups_of(sociallogin))
        if not wanted:
            raise ImmediateHttpResponse(render(request, "people/no_group.html", status=403))
        if sociallogin.is_existing:
            set_groups(sociallogin.user, wanted)

    def save_user(self, request: HttpRequest, sociallogin: Any, form: Any = None) -> Any:
        user = super().save_user(request, sociallogin, form)
        set_groups(user, mapped(groups_of(sociallogin)))
        return user


class MfaAdapter(DefaultMFAAdapter):
    """Keeps the keys of authenticator apps and the seeds of recovery codes encrypted, as credentials are."""

    def encrypt(self, text: str) -> str:
        return cipher().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        return cipher().decrypt(encrypted_text.encode()).decode()


def groups_of(sociallogin: Any) -> list[str]:
    """Return the groups that the directory names: a claim of OIDC's, an attribute of SAML's."""
    told = sociallogin.account.extra_data or {}
    claims = [told, told.get("userinfo") or {}, told.get("id_token") or {}]
    found: Any = next((one[settings.SSO_GROUPS_CLAIM] for one in claims if settings.SSO_GROUPS_CLAIM in one), [])
    return [found] if isinstance(found, str) else [str(one) for one in found]


def mapped(groups: Iterable[str]) -> list[str]:
    """Return the groups here that those there mean, by SSO_GROUPS."""
    return sorted({settings.SSO_GROUPS[one] for one in groups if one in settings.SSO_GROUPS})


def set_groups(user: Any, names: Iterable[str]) -> None:
    """Give somebody these groups, of those that SSO_GROUPS hands out; groups given by hand stay."""
    handed_out = set(settings.SSO_GROUPS.values())
    kept = user.groups.exclude(name__in=handed_out)
    because(user, "groups of the company's directory")
    user.groups.set([*kept, *Group.objects.filter(name__in=names)])
