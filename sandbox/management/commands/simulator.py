"""`manage.py simulator`: the outside world alone, for load and chaos runs."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config.ports import port_or_any, refuse_taken_port
from sandbox.world.run import parse_faults, run
from sandbox.world.world import World

#: How many times AWS's documented quotas an account may have after it asked for more.
RAISED = 20.0


class Command(BaseCommand):
    """Serves the simulated Amazon and messengers until SIGTERM or SIGINT."""

    help = "Serve the simulated outside world: AWS, X, Graph and Twilio APIs, customers' phones, an agent desktop."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
        parser.add_argument("--port", type=port_or_any, default=8999, help="0 takes a free one (default: %(default)s)")
        parser.add_argument("--ledger", type=Path, help="append every call and delivery to this file as JSON lines")
        printed = (
            f"keep AWS's quotas, keep {RAISED} times as much as an account that had them raised, or none (default: on)"
        )
        parser.add_argument("--quotas", choices=("on", "raised", "off"), default="on", help=printed)
        parser.add_argument("--seed", type=int, default=7, help="seed of the faults' dice (default: %(default)s)")
        parser.add_argument(
            "--faults",
            default="",
            metavar="JSON",
            help='faults that are on from the start, e.g. \'[{"name": "throttle", "share": 0.1}]\'',
        )

    def handle(self, **options: Any) -> None:
        """Serve until told to stop."""
        world = World(base_url="")
        world.ledger.path = options["ledger"]
        world.settings.quotas = options["quotas"] != "off"
        world.settings.raised = RAISED if options["quotas"] == "raised" else 1.0
        world.faults.reseed(options["seed"])
        try:
            if options["port"]:
                refuse_taken_port(options["host"], options["port"])
            world.faults.on.extend(parse_faults(options["faults"]))
            run(world, options["host"], options["port"], self.announce)
        except (ValueError, OSError) as error:
            raise CommandError(str(error)) from error

    def announce(self, url: str) -> None:
        """Say where the world answers, once it does."""
        self.stdout.write(f"The simulated world answers at {url}")
        self.stdout.flush()
