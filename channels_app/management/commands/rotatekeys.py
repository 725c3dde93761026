from __future__ import annotations

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from channels_app.accounts.key_rotation import sealed


class Command(BaseCommand):
    help = (
        "Encrypt stored credentials anew with the first of FIELD_ENCRYPTION_KEYS. Exit code: 0 done, 2 some cannot be."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only count")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, **options: Any) -> None:
        values = list(sealed(act=not options["dry_run"]))
        lost = [value for value in values if value.lost]
        older = sum(not value.current and not value.lost for value in values)
        counts = {"stored": len(values), "older": older, "lost": len(lost), "dry_run": options["dry_run"]}
        if options["json"]:
            self.stdout.write(json.dumps({**counts, "lost_rows": [f"{value.table} {value.row}" for value in lost]}))
        else:
            self._say(counts, [f"{value.table} {value.row} ({value.column})" for value in lost])
        sys.exit(2 if lost else 0)

    def _say(self, counts: dict[str, Any], lost: list[str]) -> None:
        verb = "would be" if counts["dry_run"] else "were"
        self.stdout.write(f"{counts['stored']} stored values, {counts['older']} {verb} encrypted anew")
        for place in lost:
            self.stdout.write(f"✗ no key opens {place}")
            self.stdout.write("  fix: add the former key to FIELD_ENCRYPTION_KEYS, or enter the credentials again")
        if not lost and not counts["dry_run"]:
            self.stdout.write("The first key opens everything: the others can be taken out of FIELD_ENCRYPTION_KEYS.")
