"""What every page of people's has: a second factor where it is required, a policy that the browser enforces."""

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

Next = Callable[[HttpRequest], HttpResponse]

#: Where somebody without a second factor may go, to get one or to leave.
OPEN_PATHS = ("/accounts/", "/admin/logout/", "/static/", "/-/", "/webhooks/")
#: Ways in of Parley's own. Whoever comes from the company's directory gets none.
LOCAL_MEANS = ("/accounts/password/", "/accounts/2fa/webauthn/add/")
#: Where a credential comes with each request: in the clear it is refused, not redirected, for it has been told by then.
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
#: In a session whose person has a second factor, as far as was seen.
HAS_FACTOR = "has_second_factor"


class SecondFactor:
    """With REQUIRE_MFA, whoever signed in with a password gets no further without a second factor.

    Who came through the company's directory has met its rules there.
    """

    def __init__(self, get_response: Next) -> None:
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
        if any(one.get("method") == "socialaccount" for one in methods):
            return True
        known = Authenticator.objects.filter(user=request.user.pk).exclude(type="recovery_codes").exists()
        if known:
            request.session[HAS_FACTOR] = True
        return bool(known)


class Directory:
    """Ends the sessions of people of the company's directory in time; gives them no local means."""

    def __init__(self, get_response: Next) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if settings.SESSION_COOKIE_NAME in request.COOKIES and request.user.is_authenticated:
            if is_over(request):
                logout(request)
            elif request.path.startswith(LOCAL_MEANS) and from_directory(request.user):
                return render(request, "people/no_local_means.html", status=HTTPStatus.FORBIDDEN)
        return self._get_response(request)


class Encrypted:
    """Refuses what carries a credential and came in the clear, where Parley is reached over HTTPS.

    The machine itself may still ask without a proxy between.
    """

    def __init__(self, get_response: Next) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path.startswith(NEVER_PLAIN) and self._came_in_the_clear(request):
            return JsonResponse(
                {
                    "error": "https_required",
                    "detail": "Use https://. Replace the credential that was sent: it was readable.",
                },
                status=HTTPStatus.FORBIDDEN,
            )
        return self._get_response(request)

    def _came_in_the_clear(self, request: HttpRequest) -> bool:
        if not settings.PUBLIC_BASE_URL.startswith("https://") or request.is_secure():
            return False
        forwarded = settings.SECURE_PROXY_SSL_HEADER and request.META.get(settings.SECURE_PROXY_SSL_HEADER[0])
        return bool(forwarded) or request.META.get("REMOTE_ADDR", "") not in ("127.0.0.1", "::1", "")


class Policy:
    """Sends the policies of the pages that django-csp's own, which is strict, would break."""

    def __init__(self, get_response: Next) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._get_response(request)
        if _HEADER not in response.headers:
            for prefix, policy in POLICIES.items():
                if request.path.startswith(prefix):
                    response.headers[_HEADER] = policy
        return response
