from __future__ import annotations

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from connect_bridge.operations import stuck
from connect_bridge.operations.stuck import StuckRow
from people.durations import duration

#: Something is stuck.
STUCK = 3


class Command(BaseCommand):
    help = (
        "List what has not come to an end after a minute, why, and what happens next. Exit code: 0 nothing is stuck, "
        "1 an error, 3 something is."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--limit", type=int, default=5, help="rows of each kind, the oldest; default: 5")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, **options: Any) -> None:
        report = stuck.find_stuck(limit=max(1, min(options["limit"], stuck.MOST_SHOWN)))
        if options["json"]:
            self.stdout.write(json.dumps({"counts": report.counts, "rows": [_json(row) for row in report.rows]}))
        elif not report.total:
            self.stdout.write("Nothing is stuck.")
        else:
            self._print(report)
        sys.exit(STUCK if report.total else 0)

    def _print(self, report: stuck.Stuck) -> None:
        now = timezone.now()
        for kind, count in report.counts.items():
            if count:
                self.stdout.write(f"{kind}: {count}")
            for row in (row for row in report.rows if row.kind == kind):
                self.stdout.write(f"  {row.id}  {row.account_name}, for {duration(now - row.since)}")
                self.stdout.write(f"    why:  {row.why}")
                when = f" In {duration(row.next_at - now)}." if row.next_at and row.next_at > now else ""
                self.stdout.write(f"    next: {row.next}{when}")


def _json(row: StuckRow) -> dict[str, Any]:
    return {
        "kind": row.kind,
        "id": row.id,
        "account": str(row.account),
        "account_name": row.account_name,
        "conversation": row.conversation and str(row.conversation),
        "since": row.since.isoformat(),
        "why": row.why,
        "next": row.next,
        "next_at": row.next_at and row.next_at.isoformat(),
    }
