from __future__ import annotations

import sys
import uuid
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from connect_bridge.privacy.erasure import CannotErase, erase
from connect_bridge.privacy.export import export, note_export
from customers.models import Customer
from people.history import runs_this_process


class Command(BaseCommand):
    help = "Export or erase all that is known of a customer, merges considered."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("verb", choices=["export", "erase"])
        parser.add_argument("customer", type=uuid.UUID, help="the customer's id")
        parser.add_argument("--reason", default="", help="why; it goes on record")
        parser.add_argument("--yes", action="store_true", help="erase without asking")

    def handle(self, **options: Any) -> None:
        named = Customer.objects.filter(pk=options["customer"]).first()
        if named is None:
            raise CommandError("There is no such customer.")
        customer = named.merged_into or named
        by = runs_this_process()
        if options["verb"] == "export":
            note_export(customer, by=by, reason=options["reason"])
            sys.stdout.writelines(export(customer))
            return
        if not options["yes"] and input(f"Erase customer {customer.pk} for ever? Type yes: ") != "yes":
            raise CommandError("Nothing was erased.")
        try:
            done = erase(customer.pk, by=by, reason=options["reason"])
        except CannotErase as refusal:
            raise CommandError(str(refusal)) from None
        print("Erased: " + ", ".join(f"{number} {what}" for what, number in done.counts.items() if number) + ".")
