"""Middleware: second factors, sessions of the company's directory, encrypted requests, content security policies."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import reverse

from people.directory import from_directory, is_over

GetResponse = Callable[[HttpRequest], HttpResponse]

#: Where somebody without a second factor may go: to set one up, or to sign out.
OPEN_PATHS = ("/accounts/", "/admin/logout/", "/static/", "/-/", "/webhooks/")
#: Pages of Parley's own ways to sign in. People of the company's directory get none.
LOCAL_MEANS = ("/accounts/password/", "/accounts/2fa/webauthn/add/")
#: Where each request carries a credential: unencrypted it is refused, not redirected, for the credential was readable.
NEVER_PLAIN = ("/api/", "/connect/")
#: Unfold evaluates expressions in its markup and sets styles there. Nothing else is let through, and nothing from
#: elsewhere. The API's documentation sets styles, too.
POLICIES = {
    "/admin/": (
        "default-src 'none'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; object-src 'none'; "
        "frame-ancestors 'none'"
    ),
    "/api/docs/": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "font-src 'self'; connect-src 'self'; form-action 'none'; base-uri 'none'; object-src 'none'; "
        "frame-ancestors 'none'"
    ),
}
_HEADER = "Content-Security-Policy"
#: Set in a session once its user was seen to have a second factor.
HAS_FACTOR = "has_second_factor"


class SecondFactor:
    """With REQUIRE_MFA, sends users who signed in with a password and have no second factor to set one up.

    Users of the company's directory have met its rules there.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if settings.REQUIRE_MFA and request.user.is_authenticated and not self._may_pass(request):
            messages.warning(request, "A second factor is required here. Set one up to go on.")
            return HttpResponseRedirect(reverse("mfa_activate_totp"))
        return self._get_response(request)

    def _may_pass(self, request: HttpRequest) -> bool:
        if request.path.startswith(OPEN_PATHS) or request.session.get(HAS_FACTOR):
            return True
        methods = request.session.get("account_authentication_methods", [])
        if any(method.get("method") == "socialaccount" for method in methods):
            return True
        has_factor = Authenticator.objects.filter(user=request.user.pk).exclude(type="recovery_codes").exists()
        if has_factor:
            request.session[HAS_FACTOR] = True
        return bool(has_factor)


class Directory:
    """Ends sessions of the company's directory once they have lasted long enough; refuses local passwords."""

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if settings.SESSION_COOKIE_NAME in request.COOKIES and request.user.is_authenticated:
            if is_over(request):
                logout(request)
            elif request.path.startswith(LOCAL_MEANS) and from_directory(request.user):
                return render(request, "people/no_local_means.html", status=HTTPStatus.FORBIDDEN)
        return self._get_response(request)


class Encrypted:
    """Refuses unencrypted requests with a credential, where Parley is reached over HTTPS.

    The machine itself may still call without a proxy in between.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path.startswith(NEVER_PLAIN) and self._is_unencrypted(request):
            return JsonResponse(
                {
                    "error": "https_required",
                    "detail": "Use https://. Replace the credential that was sent: it was readable.",
                },
                status=HTTPStatus.FORBIDDEN,
            )
        return self._get_response(request)

    def _is_unencrypted(self, request: HttpRequest) -> bool:
        if not settings.PUBLIC_BASE_URL.startswith("https://") or request.is_secure():
            return False
        forwarded = settings.SECURE_PROXY_SSL_HEADER and request.META.get(settings.SECURE_PROXY_SSL_HEADER[0])
        return bool(forwarded) or request.META.get("REMOTE_ADDR", "") not in ("127.0.0.1", "::1", "")


class Policy:
    """Sends the policies of the pages that django-csp's own, which is strict, would break."""

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._get_response(request)
        if _HEADER not in response.headers:
            for prefix, policy in POLICIES.items():
                if request.path.startswith(prefix):
                    response.headers[_HEADER] = policy
        return response
