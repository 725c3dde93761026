"""Whoever loses what let them in loses their API tokens too: a password, being active, a role, the directory."""

from __future__ import annotations

from typing import Any

from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.models import Group, User
from django.db.models import QuerySet
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_save
from django.utils import timezone

from people.models import ApiToken
from people.security import note

_NEW_PASSWORD = "_parley_new_password"  # noqa: S105 - the name of an attribute


def in_force(tokens: QuerySet[ApiToken]) -> QuerySet[ApiToken]:
    return tokens.filter(ended_at=None, expires_at__gt=timezone.now())


def end_tokens(tokens: QuerySet[ApiToken], because: str) -> int:
    """End those that are in force, for good; the rows stay, and say why."""
    ending = list(in_force(tokens).select_related("owner"))
    for token in ending:
        note("token_ended", user=token.owner, token=token.shown)
    pks = [token.pk for token in ending]
    return ApiToken.objects.filter(pk__in=pks).update(ended_at=timezone.now(), ended_because=because[:100])


def watch() -> None:
    """Connect the signals; once, at start-up."""
    pre_save.connect(_note_password, sender=User, dispatch_uid="tokens password noted")
    post_save.connect(_saved, sender=User, dispatch_uid="tokens of who is saved")
    m2m_changed.connect(_groups_changed, sender=User.groups.through, dispatch_uid="tokens of who lost a role")
    post_delete.connect(_left_the_directory, sender=SocialAccount, dispatch_uid="tokens of who left the directory")


def _note_password(instance: Any, **_: Any) -> None:
    """See a password that a person set; that an old hash was made anew with the same password is no change."""
    setattr(instance, _NEW_PASSWORD, bool(instance.pk and instance._password is not None))  # noqa: SLF001 - Django's


def _saved(instance: Any, created: bool, update_fields: Any = None, **_: Any) -> None:  # noqa: FBT001 - a signal's arguments
    if created or (update_fields and not {"password", "is_active", "is_staff"} & set(update_fields)):
        return
    if getattr(instance, _NEW_PASSWORD, False):
        _end(instance.pk, "the password was changed")
    elif not instance.is_active:
        _end(instance.pk, "its owner was deactivated")
    elif not instance.is_staff:
        _end(instance.pk, "its owner is no member of staff any more")


def _groups_changed(instance: Any, action: str, reverse: bool, pk_set: Any, **_: Any) -> None:  # noqa: FBT001 - as above
    if action == "post_remove" and pk_set:
        for user in pk_set if reverse else [instance.pk]:
            _end(user, "its owner lost a role")
    elif action == "pre_clear":
        users = instance.user_set.values_list("pk", flat=True) if isinstance(instance, Group) else [instance.pk]
        for user in users:
            _end(user, "its owner lost a role")


def _left_the_directory(instance: Any, **_: Any) -> None:
    _end(instance.user_id, "its owner left the directory")


def _end(user: int, because: str) -> None:
    end_tokens(ApiToken.objects.filter(owner=user), because)
