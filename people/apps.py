from __future__ import annotations

from django.apps import AppConfig
from django.db.models.signals import m2m_changed, post_migrate


class PeopleConfig(AppConfig):
    name = "people"
    verbose_name = "People"

    def ready(self) -> None:
        from django.contrib.auth.models import Group, User

        from people import checks, onetime, receivers, roles, token_revocation  # noqa: F401 - the checks say themselves that they are there

        onetime.install()
        receivers.connect()
        token_revocation.watch()
        post_migrate.connect(roles.grant_after_the_last_app)
        m2m_changed.connect(roles.note_groups, sender=User.groups.through)
        m2m_changed.connect(roles.note_rights, sender=Group.permissions.through)
