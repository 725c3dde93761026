"""How people sign in: nobody signs up by themselves, and groups of a company's directory become groups of Parley's."""

from __future__ import annotations

import time
from collections.abc import Iterable
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from allauth.core import context
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.core.internal.ratelimit import get_ip
from django.conf import settings
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest
from django.shortcuts import render
from django.urls import reverse

from people.directory import NO_LOCAL_MEANS, forsake, from_directory, set_groups
from people.encryption import cipher
from people.limits import slow_down, slowed_by_failure, too_many
from people.reset import send_aside
from people.security import note

if TYPE_CHECKING:  # allauth is not typed

    class DefaultAccountAdapter:
        request: HttpRequest

        def is_reauthentication_required(self, *, app: str, **more: Any) -> bool: ...

        def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None: ...

        def pre_login(self, request: HttpRequest, user: Any, **more: Any) -> Any: ...

        def set_password(self, user: Any, password: str) -> None: ...

        def send_password_reset_mail(self, user: Any, email: str, context: Any) -> None: ...

        def render_mail(self, template_prefix: str, email: str, context: Any) -> Any: ...

        def validation_error(self, code: str, *arguments: Any) -> ValidationError: ...

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
        latest = max((step.get("at", 0) for step in ways), default=0)
        return time.time() - latest > JUST_NOW and bool(super().is_reauthentication_required(app=app, **more))

    # ── guessing ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        """Count wrong passwords by name *and* address: a stranger's guesses lock no one else out."""
        return f"{get_ip(request)} {_name_in(credentials)}"

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        super().pre_authenticate(request, **credentials)
        slow_down(_name_in(credentials))

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        name = _name_in(credentials)
        slowed_by_failure(name)
        note("sign_in_failed", request, name=name)

    def validation_error(self, code: str, *arguments: Any) -> ValidationError:
        """Answer too many attempts with 429, whether they were passwords or second factors."""
        if code == "too_many_login_attempts":
            request = context.request
            note("locked_out", request, name=str(request.POST.get("login", "")), path=request.path)
            raise ImmediateHttpResponse(too_many(request))
        return super().validation_error(code, *arguments)

    # ── who comes from the directory ──────────────────────────────────────────────────────────────────────────────────
    def pre_login(self, request: HttpRequest, user: Any, **more: Any) -> Any:
        """Open no session by a password, a passkey or a reset for whoever comes from the directory."""
        if "sociallogin" not in (more.get("signal_kwargs") or {}) and from_directory(user):
            note("local_means_refused", request, user=user)
            return render(request, "people/no_local_means.html", status=403)
        return super().pre_login(request, user, **more)

    def set_password(self, user: Any, password: str) -> None:
        if from_directory(user):
            raise PermissionDenied(NO_LOCAL_MEANS)
        super().set_password(user, password)

    def send_password_reset_mail(self, user: Any, email: str, context: Any) -> None:
        """Send nothing to whoever comes from the directory."""
        if not from_directory(user):
            super().send_password_reset_mail(user, email, context)

    def send_mail(self, template_prefix: str, email: str, values: dict[str, Any]) -> None:
        """Name ourselves as PUBLIC_BASE_URL does: anybody chooses the Host of a request. Sent outside of it."""
        us = urlsplit(settings.PUBLIC_BASE_URL).netloc
        shown = {"email": email, **values, "current_site": SimpleNamespace(name=us, domain=us)}
        send_aside(self.render_mail(template_prefix, email, {"request": context.request, **shown}))

    def get_reset_password_from_key_url(self, key: str) -> str:
        """Return the link under our own address, whatever Host the request named."""
        path = reverse("account_reset_password_from_key", kwargs={"uidb36": "UID", "key": "KEY"})
        return f"{settings.PUBLIC_BASE_URL}{path.replace('UID-KEY', quote(key))}"


class SocialAccountAdapter(DefaultSocialAccountAdapter):
    """Whoever the company's directory vouches for is let in, with what their groups there mean here each time."""

    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:  # noqa: ARG002 - as above
        return bool(mapped(groups_of(sociallogin)))

    def is_auto_signup_allowed(self, request: HttpRequest, sociallogin: Any) -> bool:  # noqa: ARG002 - as above
        return True

    def pre_social_login(self, request: HttpRequest, sociallogin: Any) -> None:
        """Turn away whoever has no group here, also those who had one; set the groups of those whom we know."""
        roles = mapped(groups_of(sociallogin))
        if not roles:
            if sociallogin.is_existing:
                forsake(sociallogin.user, request)
            raise ImmediateHttpResponse(render(request, "people/no_group.html", status=403))
        if sociallogin.is_existing:
            set_groups(sociallogin.user, roles)

    def validate_disconnect(self, account: Any, accounts: Any) -> None:  # noqa: ARG002 - the library's signature
        """Nobody cuts their own tie to the directory, and keeps what it gave them."""
        raise ValidationError(NO_LOCAL_MEANS)

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
    profile = sociallogin.account.extra_data or {}
    claims = [profile, profile.get("userinfo") or {}, profile.get("id_token") or {}]
    names: Any = next(
        (source[settings.SSO_GROUPS_CLAIM] for source in claims if settings.SSO_GROUPS_CLAIM in source), []
    )
    return [names] if isinstance(names, str) else [str(group) for group in names]


def mapped(groups: Iterable[str]) -> list[str]:
    """Return the groups of Parley to which SSO_GROUPS maps the directory's groups."""
    return sorted({settings.SSO_GROUPS[group] for group in groups if group in settings.SSO_GROUPS})


def _name_in(credentials: dict[str, Any]) -> str:
    """Return the name that somebody typed to sign in, as it counts."""
    return str(credentials.get("email") or credentials.get("username") or "").strip().casefold()
