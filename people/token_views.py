"""The page on which everybody makes and ends tokens of the API for themselves."""

from __future__ import annotations

from typing import Any

from allauth.account.decorators import reauthentication_required
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from people.history import note
from people.models import ApiToken
from people.token_revocation import end_tokens, in_force
from people.tokens import make_token
from people.typed import posted_text

#: Tokens that one person may have at once.
MOST = 20
#: Ways of signing in that stand for two.
_STRONG = ("mfa", "socialaccount")


@require_safe
@login_required
def tokens_page(request: HttpRequest) -> HttpResponse:
    """List the tokens of whoever asks, those in force first."""
    own = ApiToken.objects.filter(owner=request.user.pk).order_by("ended_at", "-made_at")
    context = {"tokens": own[:100], "now": timezone.now(), "made": request.session.pop("api token", "")}
    return render(request, "people/tokens.html", context)


@require_POST
@login_required
@reauthentication_required  # type: ignore[untyped-decorator, unused-ignore] # allauth is not typed
def make_page(request: HttpRequest) -> HttpResponse:
    """Make a token for whoever asks, who has just proven who they are; it is shown on the next page, once."""
    proven = _is_proven(request)
    if settings.REQUIRE_MFA and not proven:
        messages.warning(request, "A second factor is required here. Set one up, then make a token.")
        return redirect("mfa_activate_totp")
    owner = get_object_or_404(User, username=request.user.get_username())
    if in_force(owner.api_tokens.all()).count() >= MOST:
        messages.error(request, f"Nothing was made: you have {MOST} tokens. End one first.")
        return redirect("api-tokens")
    name = posted_text(request, "name")
    request.session["api token"] = make_token(owner, name, by=owner.username, proven=proven)
    return redirect("api-tokens")


@require_POST
@login_required
def end_page(request: HttpRequest, pk: int) -> HttpResponse:
    """End a token: one's own, or anybody's whom one may change."""
    may_all = request.user.has_perm("auth.change_user")
    tokens = ApiToken.objects.all() if may_all else ApiToken.objects.filter(owner=request.user.pk)
    token = get_object_or_404(tokens.select_related("owner"), pk=pk)
    if token.owner_id != request.user.pk and token.owner.is_superuser and not request.user.is_superuser:
        return HttpResponse(status=403)
    by = request.user.get_username()
    if end_tokens(ApiToken.objects.filter(pk=pk), f"by {by}"):
        note(token.owner, f"API token “{token.name}” ({token.shown}…) ended by {by}")
        token.owner.save()
        messages.success(request, f"“{token.name}” opens nothing any more.")
    if token.owner_id != request.user.pk:
        return redirect("admin:auth_user_change", token.owner_id)
    return redirect("api-tokens")


def _is_proven(request: HttpRequest) -> bool:
    ways: list[dict[str, Any]] = request.session.get("account_authentication_methods", [])
    if any(step.get("method") in _STRONG for step in ways):
        return True
    return bool(Authenticator.objects.filter(user=request.user.pk).exclude(type="recovery_codes").exists())
