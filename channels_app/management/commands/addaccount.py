from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import OperationalError, ProgrammingError

from channels_app.account import webhook_url
from channels_app.accounts.service import (
    VERIFY_TOKEN,
    NotSaved,
    channel_class,
    credential_fields,
    save_account,
)
from channels_app.infrastructure.migrate import migrate_if_new
from channels_app.models import ChannelAccount
from channels_app.registry import channels


class Command(BaseCommand):
    help = (
        "Store an account of ours at a messenger and print the address to give to the provider. Run again with the "
        "same Page, user or number, it changes that account and keeps its id."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("kind", help=f"one of: {', '.join(sorted(channels()))}")
        parser.add_argument("name", help="how your team calls it")
        parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="one credential; repeat")
        parser.add_argument("--instance", default="", help="Connect instance id, instead of CONNECT_INSTANCE_ID")
        parser.add_argument("--flow", default="", help="contact flow id, instead of CONNECT_CONTACT_FLOW_ID")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, **options: Any) -> None:
        kind: str = options["kind"]
        credentials = dict(map(_pair, options["set"]))
        try:
            migrate_if_new()
            account = save_account(
                kind, options["name"], credentials, instance=options["instance"], flow=options["flow"]
            )
        except NotSaved as refusal:
            raise CommandError(_explained(kind, credentials, refusal)) from None
        except (OperationalError, ProgrammingError) as problem:
            raise CommandError(
                f"The database did not take it: {str(problem).splitlines()[0]}. Run manage.py migrate if it is of "
                "an older Parley; else look at DATABASE_URL with manage.py doctor."
            ) from None
        self._print(account, as_json=options["json"])

    def _print(self, account: ChannelAccount, *, as_json: bool) -> None:
        shown = {"id": str(account.id), "webhook_url": webhook_url(account.kind, account.pk)}
        if token := account.credentials.get(VERIFY_TOKEN):
            shown[VERIFY_TOKEN] = token
        text = json.dumps(shown) if as_json else "\n".join(f"{key:13}{value}" for key, value in shown.items())
        self.stdout.write(text)


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise CommandError("--set takes KEY=VALUE, for example --set page_id=1234567890")
    return key, value


def _explained(kind: str, credentials: dict[str, str], refusal: NotSaved) -> str:
    """Return the refusal and, for each other credential that is missing too, what it is and where to find it."""
    try:
        fields = credential_fields(channel_class(kind))
    except NotSaved:
        return str(refusal)
    missing = [field for field in fields if field.required and not credentials.get(field.key, "").strip()]
    also = [f"  --set {field.key}=…  {field.help}".rstrip() for field in missing if field.key != refusal.key]
    return "\n".join([str(refusal), *(["Also missing:"] if also else []), *also])
