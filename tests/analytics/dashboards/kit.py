"""Who looks at the dashboards."""

from __future__ import annotations

from django.contrib.auth.models import Permission, User
from django.test import Client

#: All that somebody needs to see and change everything.
RIGHTS = ("use_dashboards", "read_transcripts", "see_agents", "export", "manage_alerts")


def login(*rights: str, name: str = "ana") -> Client:
    """Return the browser of somebody of the staff who has these permissions."""
    user = User.objects.create_user(name, is_staff=True)
    user.user_permissions.set(
        Permission.objects.filter(codename__in=rights, content_type__app_label__in=("analytics", "people"))
    )
    client = Client()
    client.force_login(user)
    return client
