from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.utils.crypto import salted_hmac

from channels_app.account import webhook_url
from channels_app.accounts.service import save_account
from people.history import runs_this_process
from people.models import ApiToken
from people.tokens import digest_of, make_token
from sandbox import demo


class Command(BaseCommand):
    help = "Part of `sandbox`: migrate its database, make the demo accounts and a login, and print them as JSON."

    def handle(self, **_options: Any) -> None:
        if not settings.SANDBOX_WORLD_URL:
            raise CommandError("Demo accounts belong into the sandbox alone. Run manage.py sandbox, which calls this.")
        call_command("migrate", interactive=False, verbosity=0)
        webhooks = {}
        for kind, (name, credentials) in demo.ACCOUNTS.items():
            webhooks[kind] = webhook_url(kind, save_account(kind, name, credentials).pk)
        password = self._login()
        token = self._token()
        self.stdout.write(json.dumps({"webhooks": webhooks, "password": password, "token": token}))

    def _token(self) -> str:
        """Make the API token, the same every time on this machine, with a life of its own from each start."""
        key = salted_hmac("sandbox", "the demo token").hexdigest()[:40]
        ApiToken.objects.filter(digest=digest_of(key)).delete()
        owner = User.objects.get(username=demo.LOGIN)
        return make_token(owner, "the demo's", by=runs_this_process(), proven=True, key=key)

    def _login(self) -> str:
        """Make the login, with the same password every time on this machine, and another one on every other."""
        password = salted_hmac("sandbox", "the demo login").hexdigest()[:12]
        user, _ = get_user_model().objects.get_or_create(username=demo.LOGIN)
        user.is_staff = user.is_superuser = True
        if not user.check_password(password):
            user.set_password(password)
        user.save()
        return password
