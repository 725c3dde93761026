from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from connect_bridge.projection import compare, copy
from connect_bridge.projection.dynamodb import Table, Unavailable


class Command(BaseCommand):
    help = "Look after the copy of all messages in DynamoDB. Workers keep it up to date by themselves."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        verbs.add_parser("create", help="make the table that DYNAMODB_TABLE names")
        verbs.add_parser("status", help="say how many messages wait to be copied")
        verbs.add_parser("catch-up", help="copy now what waits")
        verbs.add_parser("compare", help="compare all messages; ends with 1 if there is a difference")
        verbs.add_parser("rebuild", help="copy every message anew, and delete what the database does not have")

    def handle(self, **options: Any) -> None:
        if not settings.DYNAMODB_TABLE:
            raise CommandError("No table is named: set DYNAMODB_TABLE, and restart workers.")
        verb: Callable[[], None] = getattr(self, "_" + options["verb"].replace("-", "_"))
        try:
            verb()
        except Unavailable as trouble:
            raise CommandError(str(trouble)) from None
        except copy.Busy:
            raise CommandError("Another process is copying at the moment: try again in a few seconds.") from None

    def _create(self) -> None:
        made = Table().create()
        print(f"The table {settings.DYNAMODB_TABLE} {'is made' if made else 'was there'}.")

    def _status(self) -> None:
        with copy.switched_on() as connection:
            row = connection.execute(copy.WAITING).fetchone()
        number, since = row or (0, None)
        print(f"{number} messages wait" + (f", the oldest since {since:%Y-%m-%d %H:%M:%S} UTC." if since else "."))

    def _catch_up(self) -> None:
        with copy.switched_on() as connection:
            print(f"{copy.catch_up(connection, Table())} messages copied.")

    def _compare(self) -> None:
        with copy.switched_on() as connection:
            result = compare.compare(connection, Table())
        for what in ("different", "missing", "surplus"):
            places = getattr(result, what)
            for conversation, sequence in places[: compare.MOST_NAMED]:
                print(f"{what}: conversation {conversation}, message {sequence}")
        print(f"{result.differences} differences; {result.same} messages are the same.")
        sys.exit(1 if result.differences else 0)

    def _rebuild(self) -> None:
        with copy.switched_on() as connection:
            written, deleted = compare.rebuild(connection, Table())
        print(f"{written} messages copied, {deleted} deleted that the database does not have.")
