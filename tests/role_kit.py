"""People of a role, signed in."""

from __future__ import annotations

from django.contrib.auth.models import Group, User
from django.test import Client


def client_of(role: str, username: str = "") -> Client:
    """Make a person of this role, called like it if nothing else, and sign them in."""
    user = User.objects.create_user(username or role)
    user.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(user)
    return client
