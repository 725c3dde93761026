from __future__ import annotations

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from channels_app.channel import ChecksSubscription
from channels_app.models import ChannelAccount
from channels_app.recovery import missed_messages, schedule
from channels_app.registry import channels


class Command(BaseCommand):
    help = (
        "Ask messengers now for what they did not deliver, and take it in. Exit code: 0 all well, 1 an error, "
        "3 a provider lacks something or refused."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--account", metavar="ID", help="ask for this account alone; else for every enabled one")
        where = ", ".join(channel.label for channel in channels().values() if issubclass(channel, ChecksSubscription))
        parser.add_argument(
            "--subscribe", action="store_true", help=f"also subscribe our app again where it no longer is ({where})"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, **options: Any) -> None:
        rows = ChannelAccount.objects.filter(enabled=True, kind__in=schedule.able_kinds()).order_by("kind", "name")
        if options["account"]:
            rows = rows.filter(pk=_id(options["account"]))
            if not rows.exists():
                raise CommandError("No enabled account with this id can be asked. manage.py doctor lists the accounts.")
        looks = (
            missed_messages.ask_provider(pk, now=True, subscribe=options["subscribe"])
            for pk in rows.values_list("pk", flat=True)
        )
        results = [look for look in looks if look is not None]
        if options["json"]:
            self.stdout.write(json.dumps({"accounts": [_json(look) for look in results]}))
        else:
            for look in results:
                self._print(look)
        sys.exit(3 if any(look.trouble for look in results) else 0)

    def _print(self, look: missed_messages.CheckResult) -> None:
        self.stdout.write(
            f"{look.account.kind:10} {look.account.name:24} {look.messages} found  {look.trouble}".rstrip()
        )


def _id(text: str) -> str:
    try:
        return str(ChannelAccount._meta.pk.to_python(text))
    except Exception:  # noqa: BLE001 - Django's ValidationError, whose words are for forms
        raise CommandError("--account takes the id of an account, as `addaccount` printed it.") from None


def _json(look: missed_messages.CheckResult) -> dict[str, Any]:
    account = look.account
    shown = {"id": str(account.pk), "kind": account.kind, "name": account.name}
    return {**shown, "found": look.messages, "trouble": look.trouble}
