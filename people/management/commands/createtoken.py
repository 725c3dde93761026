from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from people.history import runs_this_process
from people.tokens import make_token


class Command(BaseCommand):
    help = "Make a token of the API for somebody and print it: it is told this once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--name", default="", help="what it is for")
        parser.add_argument("--days", type=int, help=f"until it ends, {settings.API_TOKEN_DAYS} at most")

    def handle(self, **options: Any) -> None:
        owner = User.objects.filter(username=options["username"]).first()
        if owner is None:
            raise CommandError(f"There is nobody called {options['username']}. See People in the admin.")
        days = options["days"] if options["days"] is not None else settings.API_TOKEN_DAYS
        if not 1 <= days <= settings.API_TOKEN_DAYS:
            raise CommandError(f"--days {days}: give 1 to {settings.API_TOKEN_DAYS} (API_TOKEN_DAYS)")
        ends = timezone.now() + timedelta(days=days)
        name = options["name"] or "made on the command line"
        key = make_token(owner, name, by=runs_this_process(), proven=True, ends=ends)
        self.stdout.write(f"Generated token {key} for user {owner.username}, good until {ends:%Y-%m-%d}")
