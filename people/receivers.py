"""Records security events: receivers of the signals of Django and the sign-in library."""

from __future__ import annotations

from typing import Any

from allauth.account import signals as account
from allauth.mfa import signals as mfa
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib.auth import signals as auth
from django.contrib.auth.models import User
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_save

from people import onetime
from people.directory import end_sessions
from people.middleware import HAS_FACTOR
from people.security import note

_WERE = "_rights_before"
_RIGHTS = ("is_active", "is_staff", "is_superuser")


def connect() -> None:
    """Listen from now on."""
    auth.user_logged_in.connect(signed_in)
    auth.user_logged_out.connect(signed_out)
    for signal, event in (
        (account.password_changed, "password_changed_by_self"),
        (account.password_reset, "password_reset"),
        (mfa.authenticator_added, "second_factor_added"),
        (mfa.authenticator_removed, "second_factor_removed"),
        (mfa.authenticator_reset, "second_factor_reset"),
        (mfa.authenticator_used, "second_factor_used"),
        (mfa.authentication_failed, "second_factor_failed"),
    ):
        signal.connect(_noting(event), weak=False, dispatch_uid=f"security {event}")
    mfa.authenticator_added.connect(first_code_is_used)
    mfa.authenticator_added.connect(sessions_without_it_end)
    mfa.authenticator_removed.connect(look_again)
    post_delete.connect(session_ended, sender=UserSession)
    post_delete.connect(factor_deleted, sender=Authenticator)
    pre_save.connect(remember_rights, sender=User)
    post_save.connect(user_saved, sender=User)
    m2m_changed.connect(groups_changed, sender=User.groups.through)


def signed_in(sender: Any, request: Any, user: Any, **_: Any) -> None:  # noqa: ARG001 - a signal's arguments
    ways = request.session.get("account_authentication_methods", []) if hasattr(request, "session") else []
    how = "+".join(str(step.get("method", "")) for step in ways) or "session"
    note("signed_in", request, user=user, how=how)


def signed_out(sender: Any, request: Any, user: Any, **_: Any) -> None:  # noqa: ARG001 - a signal's arguments
    if user is not None:
        note("signed_out", request, user=user)


def _noting(event: str) -> Any:
    def hear(sender: Any, request: Any = None, user: Any = None, **more: Any) -> None:  # noqa: ARG001 - as above
        factor = more.get("authenticator")
        note(event, request, user=user, **({"type": factor.type} if factor is not None else {}))

    return hear


def first_code_is_used(sender: Any, request: Any, authenticator: Any, **_: Any) -> None:  # noqa: ARG001 - as above
    """Take the code with which somebody set up an app as used: it lets nobody in once more."""
    if authenticator.type == Authenticator.Type.TOTP:
        onetime.use(authenticator.pk, request.POST.get("code", ""))


def sessions_without_it_end(sender: Any, request: Any, user: Any, authenticator: Any, **_: Any) -> None:  # noqa: ARG001 - as above
    """With somebody's first second factor, end their other sessions: by a password alone, they may be a thief's.

    REQUIRE_MFA lets a session on whose person has a factor; one that waited for it must not come in by it.
    """
    backup = Authenticator.Type.RECOVERY_CODES
    others = Authenticator.objects.filter(user=user).exclude(pk=authenticator.pk).exclude(type=backup)
    if authenticator.type != backup and not others.exists():
        end_sessions(user, but=request.session.session_key)


def look_again(sender: Any, request: Any, **_: Any) -> None:  # noqa: ARG001 - as above
    """Let no session go on by a factor that is gone: where one is required, its owner is led to a new one."""
    request.session.pop(HAS_FACTOR, None)


def session_ended(sender: Any, instance: Any, **_: Any) -> None:  # noqa: ARG001 - as above
    if user := User.objects.filter(pk=instance.user_id).first():
        note("session_ended", user=user)


def factor_deleted(sender: Any, instance: Any, **_: Any) -> None:  # noqa: ARG001 - as above
    if user := User.objects.filter(pk=instance.user_id).first():
        note("second_factor_deleted", user=user, type=instance.type)


def remember_rights(sender: Any, instance: Any, **_: Any) -> None:  # noqa: ARG001 - as above
    before = User.objects.filter(pk=instance.pk).values(*_RIGHTS).first() if instance.pk else None
    setattr(instance, _WERE, before)


def user_saved(sender: Any, instance: Any, created: bool, **_: Any) -> None:  # noqa: ARG001, FBT001 - as above
    """Note a new password and changed rights; whoever is disabled loses their sessions, so that none comes back."""
    if instance._password is not None and not created:  # noqa: SLF001 - set by set_password alone, not by a new hash
        note("password_changed", user=instance)
    before = getattr(instance, _WERE, None)
    if before is None:
        return
    for name in _RIGHTS:
        if before[name] != getattr(instance, name):
            note("rights_changed", user=instance, right=name, now=getattr(instance, name))
    if before["is_active"] and not instance.is_active:
        end_sessions(instance)


def groups_changed(sender: Any, instance: Any, action: str, pk_set: Any, reverse: bool, **_: Any) -> None:  # noqa: ARG001, FBT001 - as above
    if action not in ("post_add", "post_remove", "post_clear"):
        return
    for user in User.objects.filter(pk__in=pk_set or ()) if reverse else [instance]:
        names = sorted(user.groups.values_list("name", flat=True))
        note("role_changed", user=user, groups=",".join(names) or "none")
