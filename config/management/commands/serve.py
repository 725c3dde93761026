from __future__ import annotations

import asyncio
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import OperationalError, connection

from channels_app.infrastructure.migrate import migrate
from config.ports import port_number, refuse_taken_port
from config.processes import host, product, until_it_answers
from config.supervisor import Supervisor


class Command(BaseCommand):
    help = "Migrate, then run web, bridge, worker and beat on this machine until SIGTERM or Ctrl-C."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--port", type=port_number, default=settings.PORT, help="where the web listens (default: PORT)"
        )

    def handle(self, **options: Any) -> None:
        port: int = options["port"]
        try:
            refuse_taken_port(host(), port)
        except OSError as taken:
            raise CommandError(str(taken)) from None
        try:
            migrate()
        except OperationalError as problem:
            reason = str(problem).strip().splitlines()[0]
            raise CommandError(f"No database: {reason}. Start PostgreSQL, or correct DATABASE_URL.") from None
        connection.close_pool()  # type: ignore[attr-defined] # PostgreSQL's has one; only the children need it now

        async def announce() -> None:
            self.stdout.write(f"Parley is at {await until_it_answers(port)}")

        try:
            asyncio.run(Supervisor(product(port)).run(announce))
        except OSError as taken:
            raise CommandError(str(taken)) from None
