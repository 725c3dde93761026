from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from django.utils import timezone
from tqdm import tqdm

from channels_app.models import ChannelAccount
from connect_bridge.management.arguments import time_argument, uuid_argument
from connect_bridge.models import Conversation
from connect_bridge.reconcile import Span, Tally, reconcile
from connect_bridge.reconcile.findings import Finding, Gap, Kind, Remark, Trouble

#: Exit codes: something could not be compared; something is missing, or may be.
NOT_ALL, MISSING = 1, 3


class Command(BaseCommand):
    help = (
        "Compare Connect's transcripts, the database and what messengers list, and name every gap. Changes nothing. "
        "Exit code: 0 nothing is missing, 1 an error or something could not be compared, 3 something is missing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--since", type=time_argument, default="24h", help="how far back: 90m, 24h (the default), 3d, or a date"
        )
        parser.add_argument("--account", type=uuid_argument, metavar="ID", help="only of this account")
        parser.add_argument(
            "--conversation", type=uuid_argument, metavar="ID", help="only of this one; messengers are not asked then"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, **options: Any) -> None:
        _refuse_unknown(options)
        span = Span(since=options["since"], account=options["account"], conversation=options["conversation"])
        tally = Tally()
        findings: list[Finding] = []
        try:
            for finding in _progress(reconcile(span, tally), tally):
                findings.append(finding)
                if not options["json"]:
                    self.stdout.write(_line(finding, tally))
        except DatabaseError as problem:
            said = str(problem).strip().partition("\n")[0]
            raise CommandError(f"The database failed: {said}. Run it again when it answers.") from None
        gaps = [finding for finding in findings if isinstance(finding, Gap) and finding.missing]
        if options["json"]:
            self.stdout.write(json.dumps(_json(span, tally, findings)))
        else:
            self._sum_up(span, tally, gaps, rewritten=sum(isinstance(finding, Gap) for finding in findings) - len(gaps))
        sys.exit(MISSING if gaps else NOT_ALL if any(isinstance(finding, Trouble) for finding in findings) else 0)

    def _sum_up(self, span: Span, tally: Tally, gaps: list[Gap], *, rewritten: int) -> None:
        compared = (
            f"{tally.conversations} conversations, {tally.open_chats} open chats and {tally.lists} accounts compared, "
            f"since {timezone.localtime(span.since):%Y-%m-%d %H:%M}."
        )
        counts = Counter(gap.kind for gap in gaps)
        said = ", ".join(f"{count} {kind}" for kind, count in counts.items())
        also = f", and {rewritten} {Kind.REWRITTEN}" if rewritten else ""
        self.stdout.write(f"{compared} {_count(gaps)}{f': {said}' if said else ''}{also}.")


def _progress(findings: Iterator[Finding], tally: Tally) -> Iterator[Finding]:
    """Yield the findings; say on standard error how far it is, if that is a terminal: chats are read four a second."""
    with tqdm(bar_format="{desc}", leave=False, disable=None) as bar:
        for finding in findings:
            bar.clear()
            yield finding
            bar.set_description_str(f"{tally.conversations} conversations, {tally.open_chats} open chats")


def _count(gaps: list[Gap]) -> str:
    return f"{len(gaps)} gap{'' if len(gaps) == 1 else 's'}" if gaps else "No gap was found"


def _refuse_unknown(options: dict[str, Any]) -> None:
    for name, model in (("account", ChannelAccount), ("conversation", Conversation)):
        if options[name] is not None and not model._default_manager.filter(pk=options[name]).exists():
            raise CommandError(f"There is no {name} with the id {options[name]}: copy it from the admin.")


def _line(finding: Finding, tally: Tally) -> str:
    """Return a finding as one line: what, where, the likely cause, what to do."""
    match finding:
        case Gap():
            words = finding.explanation
            where = ", ".join(
                filter(None, (*_where(finding), tally.names.get(finding.account) if finding.account else ""))
            )
            what = f"{words.what} ({finding.detail})" if finding.detail else words.what
            return f"{finding.kind}: {where}: {what}. Likely {words.cause}. To do: {_fix(finding)}."
        case Trouble(where, why):
            return f"not compared: {where}: {why}"
        case Remark(text, count):
            return f"note: {f'{count} {text}' if count > 1 else text}"


def _where(gap: Gap) -> Iterator[str]:
    yield f"{gap.explanation.noun} {gap.id}"
    if gap.chat:
        yield f"chat {gap.chat}"
    if gap.conversation is not None and str(gap.conversation) != gap.id:
        yield f"conversation {gap.conversation}"
    if gap.at is not None:
        yield f"{timezone.localtime(gap.at):%Y-%m-%d %H:%M:%S}"


def _fix(gap: Gap) -> str:
    return gap.explanation.fix.replace("ACCOUNT", str(gap.account))


def _json(span: Span, tally: Tally, findings: list[Finding]) -> dict[str, Any]:
    return {
        "since": span.since.isoformat(),
        "compared": {"conversations": tally.conversations, "open_chats": tally.open_chats, "accounts": tally.lists},
        "gaps": [_gap(finding, tally) for finding in findings if isinstance(finding, Gap) and finding.missing],
        "rewritten": [_gap(finding, tally) for finding in findings if isinstance(finding, Gap) and not finding.missing],
        "not_compared": [{"where": item.where, "why": item.why} for item in findings if isinstance(item, Trouble)],
        "notes": [{"text": item.text, "count": item.count} for item in findings if isinstance(item, Remark)],
    }


def _gap(gap: Gap, tally: Tally) -> dict[str, Any]:
    words = gap.explanation
    return {
        "kind": gap.kind,
        "id": gap.id,
        "id_of": words.noun,
        "account": _text(gap.account),
        "account_name": tally.names.get(gap.account, "") if gap.account else "",
        "conversation": _text(gap.conversation),
        "chat": gap.chat,
        "at": _text(gap.at),
        "what": words.what,
        "detail": gap.detail,
        "cause": words.cause,
        "fix": _fix(gap),
    }


def _text(value: object) -> str | None:
    return value.isoformat() if isinstance(value, datetime) else None if value is None else str(value)
