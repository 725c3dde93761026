from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, TypeVar

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from tqdm import tqdm

from channels_app.models import WebhookDelivery
from channels_app.recovery import reprocess
from connect_bridge.event_log.replay_log import on_record, relay_counts, reprocess_counts, retry_counts
from connect_bridge.management.arguments import time_argument, uuid_argument
from connect_bridge.models import OutboxEntry, Replay
from connect_bridge.outbox import relay_again, retry_plan
from people.history import runs_this_process

T = TypeVar("T")
#: Exit code: some of the chosen rows were left out, or still cannot be read.
NOT_ALL = 3


class Command(BaseCommand):
    help = (
        "Give what failed another try. Says what it would do; --yes does it. Exit code: 0 all of it, 1 an error, "
        "2 wrong usage, 3 some was left out."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="retry|reprocess|relay")
        again = verbs.add_parser("retry", help="send to customers again what did not reach them")
        again.add_argument("--state", action="append", choices=["dead", "uncertain"], help="default: dead; repeat")
        again.add_argument(
            "--may-arrive-twice", action="store_true", help="also what may have arrived: the customer may get it twice"
        )
        again.add_argument("--closed-windows", action="store_true", help="also where the reply window seems closed")
        read = verbs.add_parser("reprocess", help="read stored webhooks again with today's code")
        states = [WebhookDelivery.State.QUARANTINED, WebhookDelivery.State.IGNORED, WebhookDelivery.State.ACCEPTED]
        read.add_argument("--state", action="append", choices=states, help="default: quarantined; repeat")
        anew = verbs.add_parser("relay", help="let customers' messages go to Amazon Connect again, or at once")
        anew.add_argument("--state", action="append", choices=list(relay_again.State), help="default: both; repeat")
        for verb in (again, read, anew):
            verb.add_argument("--since", type=time_argument, help="what failed or came since: 90m, 2h, 3d, or a date")
            verb.add_argument("--until", type=time_argument, help="and before")
            verb.add_argument("--account", type=uuid_argument, metavar="ID", help="only of this account")
            verb.add_argument("--id", action="append", type=uuid_argument, default=[], help="only this row; repeat")
            verb.add_argument("--by", default="", help="who does it, for the record; default: user@host")
            verb.add_argument("--yes", action="store_true", help="do it; without, only say what would be done")
            verb.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, **options: Any) -> None:
        if not options["since"] and not options["id"]:
            raise CommandError(
                "Say what is meant: --since 2h (or a date), or --id with the id of a row. Nothing was done."
            )
        try:
            act = {"retry": self._retry, "reprocess": self._reprocess, "relay": self._relay}[options["verb"]]
            counts, complete = act(options)
        except DatabaseError as problem:
            said = str(problem).strip().partition("\n")[0]
            raise CommandError(f"The database failed: {said}. What was done stays done; run it again.") from None
        if options["json"]:
            self.stdout.write(json.dumps(counts))
        sys.exit(0 if complete else NOT_ALL)

    def _retry(self, options: dict[str, Any]) -> tuple[dict[str, Any], bool]:
        retry_request = retry_plan.RetryRequest(
            states=options["state"] or [OutboxEntry.State.DEAD],
            since=options["since"],
            until=options["until"],
            account=options["account"],
            ids=options["id"],
            may_arrive_twice=options["may_arrive_twice"],
            closed_windows=options["closed_windows"],
        )
        plan = retry_plan.plan(retry_request)
        counts = {"verb": "retry", "dry_run": not options["yes"], **retry_counts(plan)}
        if options["yes"] and plan.going:
            with on_record(Replay.Verb.RETRY, _by(options), _choice(options)) as entry:
                for batch in _progress(retry_plan.carry_out(plan), "batches"):
                    entry.rows += map(str, batch)
                counts |= {"entries": len(entry.rows), "replay": str(entry.pk)}
                entry.counts = counts
        if not options["json"]:
            self._print_retry(counts, plan)
        return counts, not plan.left_out

    def _print_retry(self, counts: dict[str, Any], plan: retry_plan.Plan) -> None:
        self._print_by(counts)
        will = "would reach" if counts["dry_run"] else "are on their way to"
        self.stdout.write(f"{counts['messages']} {_plural(counts['messages'], 'message')} {will} customers.")
        for reason, count in plan.left_out.most_common():
            self.stdout.write(f"{count} left out: {reason.value}")
        self._print_end(counts, bool(plan.going))

    def _reprocess(self, options: dict[str, Any]) -> tuple[dict[str, Any], bool]:
        states = options["state"] or [WebhookDelivery.State.QUARANTINED]
        chosen = reprocess.choose(
            states, since=options["since"], until=options["until"], account=options["account"], ids=options["id"]
        )
        counts: dict[str, Any] = {"verb": "reprocess", "dry_run": not options["yes"]}
        readings = _progress(reprocess.read_again(chosen, act=options["yes"]), "deliveries")
        if options["yes"] and chosen.exists():
            with on_record(Replay.Verb.REPROCESS, _by(options), _choice(options)) as entry:
                counts |= {**reprocess_counts(_recorded(readings, entry)), "replay": str(entry.pk)}
                entry.counts = counts
        else:
            counts |= reprocess_counts(readings)
        if not options["json"]:
            self._print_reprocess(counts)
        return counts, not counts["problems"]

    def _print_reprocess(self, counts: dict[str, Any]) -> None:
        would = "would reach" if counts["dry_run"] else "are on their way to"
        what = _plural(counts["deliveries"], "delivery", "deliveries")
        self.stdout.write(
            f"{counts['deliveries']} {what}, {counts['readable']} readable: {counts['fresh']} new events, "
            f"{counts['revived']} that had been set aside, {counts['known']} here already."
        )
        self.stdout.write(f"{counts['messages']} {_plural(counts['messages'], 'message')} {would} agents.")
        for problem, count in counts["problems"].items():
            self.stdout.write(f"{count} cannot be read: {problem}")
        self._print_end(counts, bool(counts["fresh"] or counts["revived"]))

    def _relay(self, options: dict[str, Any]) -> tuple[dict[str, Any], bool]:
        criteria = {name: options[name] for name in ("since", "until", "account")}
        plan = relay_again.plan(options["state"] or list(relay_again.State), ids=options["id"], **criteria)
        counts = {"verb": "relay", "dry_run": not options["yes"], **relay_counts(plan)}
        if options["yes"] and plan.going:
            with on_record(Replay.Verb.RELAY, _by(options), _choice(options)) as entry:
                for batch in _progress(relay_again.carry_out(plan), "batches"):
                    entry.rows += map(str, batch)
                counts |= {"messages": len(entry.rows), "replay": str(entry.pk)}
                entry.counts = counts
        if not options["json"]:
            self._print_by(counts)
            will = "would go" if counts["dry_run"] else "are on their way"
            self.stdout.write(
                f"{counts['messages']} {_plural(counts['messages'], 'message')} {will} to Amazon Connect."
            )
            self._print_end(counts, bool(plan.going))
        return counts, True

    def _print_by(self, counts: dict[str, Any]) -> None:
        for row in counts["by"]:
            self.stdout.write(f"  {row['name']:32} {row['error'] or '-':20} {row['messages']:6}")

    def _print_end(self, counts: dict[str, Any], anything: bool) -> None:  # noqa: FBT001 - one caller each
        if not anything:
            self.stdout.write("Nothing to do.")
        elif counts["dry_run"]:
            self.stdout.write("This was a dry run: --yes does it.")
        else:
            self.stdout.write(f"On record as replay {counts['replay']}.")


def _progress(steps: Iterable[T], what: str) -> Iterable[T]:
    """Return the steps; they are counted on standard error while they are taken, if that is a terminal."""
    return tqdm(steps, unit=f" {what}", leave=False, disable=None)


def _plural(count: int, singular: str, plural: str = "") -> str:
    return singular if count == 1 else plural or f"{singular}s"


def _recorded(readings: Iterable[reprocess.Reading], entry: Replay) -> Iterator[reprocess.Reading]:
    """Yield the readings; note in the record which deliveries they help."""
    for reading in readings:
        if reading.helps:
            entry.rows.append(str(reading.delivery))
        yield reading


def _by(options: dict[str, Any]) -> str:
    return options["by"] or runs_this_process()


def _choice(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that choose rows, for the record."""
    names = ("state", "since", "until", "account", "id", "may_arrive_twice", "closed_windows")
    choice = {name: options[name] for name in names if options.get(name)}
    as_json: dict[str, Any] = json.loads(json.dumps(choice, default=_as_text))
    return as_json


def _as_text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
