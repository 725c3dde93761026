"""What every page of people's has: a second factor where it is required, a policy that the browser enforces."""

from __future__ import annotations

from collections.abc import Callable

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

Next = Callable[[HttpRequest], HttpResponse]

#: Where somebody without a second factor may go, to get one or to leave.
OPEN_PATHS = ("/accounts/", "/admin/logout/", "/static/", "/-/", "/webhooks/")
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
_KNOWN = "has_second_factor"


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
        if request.path.startswith(OPEN_PATHS) or request.session.get(_KNOWN):
            return True
        methods = request.session.get("account_authentication_methods", [])
        if any(one.get("method") == "socialaccount" for one in methods):
            return True
        known = Authenticator.objects.filter(user=request.user.pk).exclude(type="recovery_codes").exists()
        if known:
            request.session[_KNOWN] = True
        return bool(known)


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
