"""The groups that come with Parley and what each may do. `manage.py migrate` makes them so.

A right is a permission, as "app.codename". Whoever is in one of these groups may enter the admin.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from django.apps import apps
from django.contrib.auth.models import Group, Permission, User

from people.history import note

#: Conversations without their words: who, when, on which channel, what became of it.
SEE = frozenset(
    {
        "connect_bridge.view_conversation",
        "connect_bridge.view_contact",
        "connect_bridge.view_message",
        "customers.view_customer",
        "customers.view_identity",
        "customers.view_identityalias",
        "customers.view_merge",
        "customers.view_apart",
        "customers.view_consent",
    }
)
VIEWER = SEE | {"people.use_dashboards", "people.read_redacted"}
MANAGER = VIEWER | {
    "people.read_transcripts",
    "people.manage_alerts",
    "people.export",
    "analytics.see_agents",
    "analytics.view_export",
    "analytics.view_spending",
}
#: What happened to each webhook and each send, and another try for those that failed.
EVENT_LOG = frozenset(
    {
        "channels_app.view_channelaccount",
        "channels_app.view_channellog",
        "channels_app.view_inboundcheck",
        "channels_app.view_inboundentry",
        "channels_app.view_webhookdelivery",
        "channels_app.change_webhookdelivery",
        "connect_bridge.view_outboxentry",
        "connect_bridge.change_outboxentry",
        "connect_bridge.view_notice",
        "connect_bridge.view_replay",
    }
)
CHANNELS = frozenset(
    {
        "channels_app.add_channelaccount",
        "channels_app.change_channelaccount",
        "channels_app.delete_channelaccount",
        *(
            f"channels_app.{verb}_{model}"
            for verb in ("view", "add", "change", "delete")
            for model in ("businesshours", "holiday", "autoreply", "routingrule")
        ),
    }
)
#: One customer or two, and how a second channel is proven.
IDENTITY = frozenset(
    {
        "customers.merge_customer",
        "customers.change_customer",
        "customers.view_linkcode",
        "customers.add_linkcode",
        "customers.add_consent",
    }
)
SUPERVISOR = MANAGER | EVENT_LOG | CHANNELS | IDENTITY
OPS = SEE | EVENT_LOG | {"connect_bridge.view_bridge", "people.use_dashboards"}
AUDITOR = frozenset({"people.view_audit"})
ADMIN = (
    SUPERVISOR
    | OPS
    | AUDITOR
    | {
        "people.rotate_secrets",
        "people.manage_retention",
        "customers.assert_customer",
        "customers.export_customer",
        "customers.erase_customer",
        "customers.view_privacyrequest",
        *(f"auth.{verb}_{model}" for verb in ("view", "add", "change", "delete") for model in ("user", "group")),
    }
)
ROLES: Mapping[str, Collection[str]] = {
    "Viewer": VIEWER,
    "Manager": MANAGER,
    "Supervisor": SUPERVISOR,
    "Ops": OPS,
    "Auditor": AUDITOR,
    "Admin": ADMIN,
}


def grant_rights(**_: Any) -> None:
    """Make the groups and give each its rights, no more and no less. Idempotent."""
    known = {f"{permission.content_type.app_label}.{permission.codename}": permission for permission in _permissions()}
    for name, rights in ROLES.items():
        group, _created = Group.objects.get_or_create(name=name)
        group.permissions.set([known[right] for right in sorted(rights) if right in known])


def _permissions() -> list[Permission]:
    labels = {right.partition(".")[0] for rights in ROLES.values() for right in rights}
    return list(Permission.objects.filter(content_type__app_label__in=labels).select_related("content_type"))


def grant_after_the_last_app(sender: Any, **_: Any) -> None:
    """Grant once all permissions are there: they come app by app, after each migrate and each flush.

    A flush that leaves the groups alone, because it is of some apps only, has nothing to grant.
    """
    if apps.is_installed("django.contrib.auth") and sender is list(apps.get_app_configs())[-1]:
        grant_rights()


def note_groups(sender: Any, instance: Any, action: str, pk_set: Any, reverse: bool, **_: Any) -> None:  # noqa: ARG001, FBT001 - a signal's arguments
    """Write each change of somebody's groups into their history; open the admin to whoever is in one of Parley's."""
    if action not in ("post_add", "post_remove", "post_clear"):
        return
    for user in User.objects.filter(pk__in=pk_set or ()) if reverse else [instance]:
        names = sorted(user.groups.values_list("name", flat=True))
        note(user, f"groups: {', '.join(names) or 'none'}")
        user.is_staff = user.is_staff or any(name in ROLES for name in names)
        user.save()


def note_rights(sender: Any, instance: Any, action: str, reverse: bool, **_: Any) -> None:  # noqa: ARG001, FBT001 - as above
    """Write each change of a group's rights into its history. Those of Parley's own groups are in this file."""
    if action in ("post_add", "post_remove", "post_clear") and not reverse and instance.name not in ROLES:
        note(
            instance, f"rights: {', '.join(sorted(instance.permissions.values_list('codename', flat=True))) or 'none'}"
        )
        instance.save()
