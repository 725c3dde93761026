"""People who come from the company's directory have no other way in, and lose everything here with their place there.

Whoever has a social account comes from the directory: made by it, or tied to it since. For them no password is set, no
link to reset one is sent, and neither a password nor a passkey alone opens a session. The directory is asked at each
sign-in; it never tells by itself that somebody has left. So their sessions end SESSION_SECONDS after the sign-in,
however busy they are.
"""

from __future__ import annotations

import time
from typing import Any

from allauth.socialaccount.models import SocialAccount
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.auth.models import Group
from django.http import HttpRequest

from people.history import because
from people.models import ApiToken
from people.security import note
from people.token_revocation import end_tokens

NO_LOCAL_MEANS = "You come from your company's directory: sign in through it. There is no password for you here."


def from_directory(user: Any) -> bool:
    """Say whether the company's directory vouches, or vouched, for somebody."""
    return bool(SocialAccount.objects.filter(user_id=user.pk).exists())


def set_groups(user: Any, names: list[str]) -> None:
    """Give somebody these groups, of those that SSO_GROUPS hands out; groups given by hand stay."""
    handed_out = set(settings.SSO_GROUPS.values())
    kept = user.groups.exclude(name__in=handed_out)
    because(user, "groups of the company's directory")
    user.groups.set([*kept, *Group.objects.filter(name__in=names)])


def forsake(user: Any, request: HttpRequest | None = None) -> None:
    """End what somebody has here for whom the directory no longer vouches: groups, a password, sessions, API tokens."""
    set_groups(user, [])
    end_tokens(ApiToken.objects.filter(owner=user), "the directory no longer vouches for its owner")
    if user.has_usable_password():
        user.set_unusable_password()
        user.save(update_fields=["password"])
    ended = end_sessions(user)
    note("directory_refused", request, user=user, sessions=ended)


def end_sessions(user: Any, *, but: str | None = None) -> int:
    """End all sessions of somebody, but the one with this key; return how many there were."""
    sessions = list(UserSession.objects.filter(user_id=user.pk).exclude(session_key=but or ""))
    for session in sessions:
        session.end()
    return len(sessions)


def is_over(request: HttpRequest) -> bool:
    """Say whether a session that began at the directory has lasted as long as one may."""
    ways = request.session.get("account_authentication_methods", [])
    begun = [step.get("at", 0) for step in ways if step.get("method") == "socialaccount"]
    return bool(begun) and time.time() - max(begun) > settings.SESSION_COOKIE_AGE
