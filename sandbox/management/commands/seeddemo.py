from __future__ import annotations

import json
import os
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from tqdm import tqdm

from analytics.models import Change
from analytics.rollups import update
from channels_app.models import ChannelAccount
from connect_bridge.models import Contact
from sandbox.seed import Seeder, store


class Command(BaseCommand):
    help = "Fill the sandbox with a made-up contact centre's last weeks, so that dashboards can be seen full."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--days", type=int, default=28, help="how many days back (default: %(default)s)")
        parser.add_argument(
            "--seed", type=int, default=7, help="the same seed makes the same chats (default: %(default)s)"
        )
        parser.add_argument("--once", action="store_true", help="do nothing where there are chats already")
        parser.add_argument("--gently", action="store_true", help="leave the machine to others")
        parser.add_argument("--no-progress", action="store_true", help="no bar")
        parser.add_argument("--json", action="store_true", help="print the numbers of rows as JSON")

    def handle(self, **options: Any) -> None:
        if not settings.SANDBOX_WORLD_URL:
            raise CommandError(
                "Made-up chats belong into the sandbox alone: they would stand beside real ones. "
                "Run manage.py sandbox, which calls this; or set SANDBOX_WORLD_URL for a database of your own."
            )
        if options["gently"]:
            os.nice(15)
        if options["once"] and Contact.objects.exists():
            return
        accounts = list(ChannelAccount.objects.order_by("kind"))
        if not accounts:
            raise CommandError("There is no account yet. Run manage.py seedsandbox first.")
        seeder = Seeder(accounts, options["seed"], options["days"], timezone.now())
        hidden = options["no_progress"] or None  # None: shown on a terminal alone
        with tqdm(total=options["days"], unit=" days written", disable=hidden) as bar:
            for ago in range(options["days"] - 1, -1, -1):
                seeder.day(ago)
                bar.update()
        seeder.customers()
        rows = dict(store(seeder.rows))
        with tqdm(total=Change.objects.count(), unit=" chats counted", disable=hidden) as bar:
            while (done := update.refresh()) is None or done.changes:
                bar.update(done.changes if done else 0)
        self._tell(rows, as_json=options["json"])

    def _tell(self, rows: dict[str, int], *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps(rows))
            return
        for table, number in rows.items():
            self.stdout.write(f"{number:>8,}  {table}")
