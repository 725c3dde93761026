from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection
from django.utils import timezone
from django.utils.dateparse import parse_date
from tqdm import tqdm

from analytics.models import Sentiment
from analytics.rollups.time_buckets import midnight
from analytics.sentiment import cost_ledger, key_phrases, scoring
from analytics.sentiment.asking import FIRST_WAIT
from analytics.sentiment.engine import LEAST_UNITS, Throttled
from connect_bridge.models import Message

#: What is scored anew: by another engine than today's, or everything. Its old score stays until the new one is there.
AGAIN = """
UPDATE analytics_sentiment s
   SET state = 'pending', due_at = now() - interval '1 hour', attempts = 0, error = '', key = NULL
  FROM connect_bridge_message m
 WHERE m.id = s.message_id AND m.created_at >= %(since)s AND s.state <> 'pending'
   AND (%(all)s OR s.engine <> %(engine)s OR s.model <> %(model)s)
"""
#: What has no score and waits for none: it was older than two days when it was first seen.
MISSING = """
INSERT INTO analytics_sentiment
       (message_id, state, language, language_from, label, engine, model, phrases_due, attempts, due_at, error)
SELECT m.id, 'pending', '', '', '', '', '', false, 0, now() - interval '1 hour', '' FROM connect_bridge_message m
 WHERE m.direction = 'in' AND m.created_at >= %(since)s AND m.original ->> 'event' = 'message'
   AND m.original ->> 'text' ~ '\\S'
ON CONFLICT (message_id) DO NOTHING
"""


class Command(BaseCommand):
    help = "Score customers' messages that have no score, or another engine's. Resumable: run it again after a stop."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--since", default="", help="first day, e.g. 2026-11-01 (default: all)")
        parser.add_argument("--again", action="store_true", help="also what another engine or model has scored")
        parser.add_argument("--all", action="store_true", help="also what today's engine has scored: costs anew")
        parser.add_argument("--dry-run", action="store_true", help="say what would be asked for and what it costs")
        parser.add_argument("--no-progress", action="store_true", help="no bar")

    def handle(self, **options: Any) -> None:
        engine = scoring.engine()
        since = self._since(options["since"])
        if options["dry_run"]:
            self._estimate(since)
            return
        self._mark(since, engine.model, again=options["again"] or options["all"], everything=options["all"])
        waiting = Sentiment.objects.filter(state=Sentiment.State.PENDING)
        whole = waiting.count()
        spent, scored, calls, stopped = cost_ledger.spent_today(), 0, 0, ""
        hidden = options["no_progress"] or None  # None: shown on a terminal alone
        with tqdm(total=whole, unit=" messages", disable=hidden) as bar:
            while waiting.filter(due_at__lte=timezone.now()).exists() and not stopped:
                done = scoring.run(engine, everything=True)
                scored, calls, stopped = scored + done.settled, calls + done.calls, done.stopped
                bar.update(done.settled)
                if stopped == Throttled.code:
                    time.sleep(FIRST_WAIT)
                    stopped = ""
        while more := key_phrases.run(engine):
            calls += more
        cost = cost_ledger.cost(cost_ledger.spent_today() - spent)
        per = f", ${cost / scored * 1000:.2f} for 1,000 messages" if scored else ""
        self.stdout.write(f"{scored} of {whole} messages scored in {calls} calls, ${cost:.4f}{per}")
        if stopped:
            raise CommandError(f"Stopped: {stopped}. Run it again later; what is scored stays.")

    def _since(self, text: str) -> datetime:
        day = parse_date(text) if text else None
        if text and day is None:
            raise CommandError("--since: give a day as 2026-11-01.")
        return midnight(day) if day else timezone.now() - timedelta(days=36_500)

    def _mark(self, since: datetime, model: str, *, again: bool, everything: bool) -> None:
        params = {"since": since, "all": everything, "engine": settings.SENTIMENT_ENGINE, "model": model}
        with connection.cursor() as cursor:
            cursor.execute(MISSING, params)
            if again:
                cursor.execute(AGAIN, params)

    def _estimate(self, since: datetime) -> None:
        inbound = Message.objects.filter(direction="in", created_at__gte=since)
        missing = inbound.filter(sentiment=None, original__event="message").count()
        pending = inbound.filter(sentiment__state="pending").count()
        cost = cost_ledger.cost(LEAST_UNITS * (missing + pending))
        self.stdout.write(f"{missing} without a score, {pending} waiting: ${cost:.2f}, or more for long messages")
