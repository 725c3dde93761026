from __future__ import annotations

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from analytics.models import Change, RollupState
from analytics.rollups import rebuild, update


class Command(BaseCommand):
    help = "Count all numbers of the dashboards anew from the messages. An interrupted one goes on with --resume."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--resume", action="store_true", help="go on with what is marked, throw nothing away")
        parser.add_argument("--dry-run", action="store_true", help="say what there is to do, and do nothing")
        parser.add_argument("--forget", action="store_true", help="also lose hours whose messages were deleted")
        parser.add_argument("--no-progress", action="store_true", help="no bar")

    def handle(self, **options: Any) -> None:
        lost = rebuild.forgets()
        if options["dry_run"]:
            self.stdout.write(
                f"{Change.objects.count()} chats are marked; a rebuild would lose hours since: {lost or 'none'}"
            )
            return
        if lost is not None and not options["forget"] and not options["resume"]:
            raise CommandError(
                f"Numbers reach back to {lost:%Y-%m-%d}, their messages do not: they were deleted. A rebuild would "
                "lose those hours. If that is right, say --forget."
            )
        whole = Change.objects.count() if options["resume"] else rebuild.begin()
        began, counted = time.monotonic(), 0
        hidden = options["no_progress"] or None  # None: shown on a terminal alone
        with tqdm(total=whole, unit=" chats", disable=hidden) as bar:
            while (done := update.refresh()) is None or done.changes:
                if done is None:
                    time.sleep(0.2)  # a worker counts: both get there
                    continue
                counted += done.chats
                bar.update(done.changes)
        RollupState.objects.filter(pk=1).update(rebuild_of=0)
        seconds = time.monotonic() - began
        self.stdout.write(f"{counted} chats counted in {seconds:.1f} s")
