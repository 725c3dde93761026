from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from connect_bridge.operations.doctor import diagnose
from connect_bridge.operations.findings import Finding, Level

SIGNS = {Level.OK: "✓", Level.WARNING: "!", Level.FAILURE: "✗"}
EXIT = {Level.OK: 0, Level.WARNING: 1, Level.FAILURE: 2}


class Command(BaseCommand):
    help = "Check what usually goes wrong and say how to mend it. Exit code: 0 all well, 1 warnings, 2 failures."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object")
        parser.add_argument("--online", action="store_true", help="also ask Amazon and the messengers")

    def handle(self, **options: Any) -> None:
        findings = []
        for finding in diagnose(online=options["online"]):
            findings.append(finding)
            if not options["json"]:
                self._print(finding)
        worst = max((finding.level for finding in findings), key=lambda level: EXIT[level])
        if options["json"]:
            self.stdout.write(json.dumps({"status": worst, "findings": [asdict(finding) for finding in findings]}))
        else:
            self._sum_up(findings, EXIT[worst])
        sys.exit(EXIT[worst])

    def _print(self, finding: Finding) -> None:
        style = {Level.OK: self.style.SUCCESS, Level.WARNING: self.style.WARNING, Level.FAILURE: self.style.ERROR}
        self.stdout.write(f"{style[finding.level](SIGNS[finding.level])} {finding.check:22} {finding.said}")
        if finding.fix:
            self.stdout.write(f"{'':25}fix: {finding.fix}")

    def _sum_up(self, findings: list[Finding], code: int) -> None:
        counts = Counter(finding.level for finding in findings)
        bad = [(counts[level], level) for level in (Level.WARNING, Level.FAILURE) if counts[level]]
        parts = [f"{count} {level}{'s' if count > 1 else ''}" for count, level in bad]
        self.stdout.write(f"{' · '.join([f'{counts[Level.OK]} ok', *parts])} (exit {code})")
