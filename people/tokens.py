"""Tokens of the API: kept as digests, each with a name, an owner and an end. Who they belong to may lose them.

A token is 256 bits of chance, so a plain SHA-256 of it cannot be turned back; a slow hash has nothing to add.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Any

from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import Max, Q
from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from people import security
from people.history import note
from people.models import ApiToken

KEYWORD = "Token"
#: How a token begins, so that who finds one in a file knows what it opens.
BEGINS = "parley_"
#: Characters of it that lists show.
SHOWN = 12
#: How long after their last sign-in there the company's directory counts as vouching for the owner of a token. It never
#: tells by itself that somebody has left.
VOUCHED_FOR = timedelta(days=30)
#: `last_used_at` is no older than this while a token is used.
NOTED_EVERY = timedelta(minutes=1)


def digest_of(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def make_token(owner: User, name: str, *, by: str, proven: bool, ends: datetime | None = None, key: str = "") -> str:
    """Make a token and return it: this is the only time that it is shown.

    `proven`: its maker had a second factor, or runs the machine. `ends`: after API_TOKEN_DAYS by default.
    """
    key = key or BEGINS + secrets.token_urlsafe(32)
    ends = ends or timezone.now() + timedelta(days=settings.API_TOKEN_DAYS)
    values = {"name": name[:100] or "without a name", "made_by": by[:150], "proven": proven, "expires_at": ends}
    ApiToken.objects.create(owner=owner, digest=digest_of(key), shown=key[:SHOWN], **values)
    note(owner, f"API token “{values['name']}” ({key[:SHOWN]}…) made by {by}, good until {ends:%Y-%m-%d}")
    owner.save()
    security.note("token_made", user=owner, token=key[:SHOWN], made_by=by)
    return key


class TokenAuthentication(BaseAuthentication):
    """`Authorization: Token …`, as Django REST Framework's own has it."""

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002 - the library's signature
        return KEYWORD

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        words = get_authorization_header(request).split()
        if not words or words[0].lower() != KEYWORD.lower().encode():
            return None
        try:
            (key,) = (word.decode("ascii") for word in words[1:])
        except ValueError:
            raise AuthenticationFailed("Give the header as Authorization: Token, a space, and one token.") from None
        token = ApiToken.objects.select_related("owner").filter(digest=digest_of(key)).first()
        if token is None:
            # Without a digest of it: who guesses would fill the table.
            security.note("token_refused", request._request, why="unknown")  # noqa: SLF001 - see _note_use
            raise AuthenticationFailed("This is no token of ours. Make one under Accounts → API tokens.")
        if refusal := _refusal(token):
            why, explanation = refusal
            asking = request._request  # noqa: SLF001 - as above
            security.note("token_refused", asking, user=token.owner, token=token.shown, why=why)
            raise AuthenticationFailed(explanation)
        _note_use(token, request)
        return token.owner, token


def _refusal(token: ApiToken) -> tuple[str, str] | None:
    """Return why what was a token opens nothing, in a word and in words for people; None if it does open."""
    if token.ended_at is not None:
        return "ended", f"This token was ended: {token.ended_because}. Make a new one."
    if token.expires_at <= timezone.now():
        return "over", f"This token ended on {token.expires_at:%Y-%m-%d}. Make a new one."
    if not token.owner.is_active:
        return "inactive", "Whoever this token belongs to is not active any more."
    if settings.REQUIRE_MFA and not (token.proven or _has_factor(token.owner_id)):
        return (
            "no_factor",
            "A second factor is required here, and this token was made without one. Set one up and make a new token.",
        )
    if _is_forgotten(token.owner_id):
        days = VOUCHED_FOR.days
        return "not_vouched_for", f"Its owner has not signed in through the company's directory for {days} days."
    return None


def _is_forgotten(user: int) -> bool:
    """Say whether somebody of the company's directory has not come through it for too long."""
    latest = SocialAccount.objects.filter(user_id=user).aggregate(latest=Max("last_login"))["latest"]
    return latest is not None and latest < timezone.now() - VOUCHED_FOR


def _has_factor(user: int) -> bool:
    return bool(Authenticator.objects.filter(user=user).exclude(type="recovery_codes").exists())


def _note_use(token: ApiToken, request: Request) -> None:
    now = timezone.now()
    if token.last_used_at is None:
        # The request itself: DRF's would ask us who its user is.
        security.note("token_used_first", request._request, user=token.owner, token=token.shown)  # noqa: SLF001 - as above
    stale = Q(last_used_at=None) | Q(last_used_at__lt=now - NOTED_EVERY)
    if token.last_used_at is None or token.last_used_at < now - NOTED_EVERY:
        ApiToken.objects.filter(stale, pk=token.pk).update(last_used_at=now)


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call] # the library is not typed
    target_class = "people.tokens.TokenAuthentication"
    name = "tokenAuth"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:  # noqa: ARG002 - the library's signature
        return {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": 'The word "Token", a space, and a token made under Accounts → API tokens.',
        }
