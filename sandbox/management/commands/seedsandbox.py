from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.utils.crypto import salted_hmac
from rest_framework.authtoken.models import Token

from channels_app.setup import save_account, webhook_url
from sandbox import demo


class Command(BaseCommand):
    help = "Part of `sandbox`: migrate its database, make the demo accounts and a login, and print them as JSON."

    def handle(self, **_options: Any) -> None:
        if not settings.SANDBOX_WORLD_URL:
            raise CommandError("Demo accounts belong into the sandbox alone. Run manage.py sandbox, which calls this.")
        call_command("migrate", interactive=False, verbosity=0)
        webhooks = {}
        for kind, (name, credentials) in demo.ACCOUNTS.items():
            webhooks[kind] = webhook_url(save_account(kind, name, credentials))
        password = self._login()
        token, _ = Token.objects.get_or_create(user=get_user_model().objects.get(username=demo.LOGIN))
        self.stdout.write(json.dumps({"webhooks": webhooks, "password": password, "token": token.key}))

    def _login(self) -> str:
        """Make the login, with the same password every time on this machine, and another one on every other."""
        password = salted_hmac("sandbox", "the demo login").hexdigest()[:12]
        user, _ = get_user_model().objects.get_or_create(username=demo.LOGIN)
        user.is_staff = user.is_superuser = True
        if not user.check_password(password):
            user.set_password(password)
        user.save()
        return password
