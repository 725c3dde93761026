"""Asks the engine about batches, and stores answers, costs and failures. No transaction is open during a call."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from analytics.sentiment import cost_ledger, store
from analytics.sentiment.comprehend import THREADS
from analytics.sentiment.engine import (
    BATCH,
    Analyser,
    EngineError,
    ItemFailed,
    Refused,
    Score,
    Throttled,
    combined,
    units,
)
from analytics.sentiment.store import Outcome, Pending
from analytics.sentiment.texts import Answer, Tally, Text, documents_of

log = logging.getLogger(__name__)

#: Attempts after which a text that the engine keeps failing on is given up.
MOST_ATTEMPTS = 6
#: Seconds before the next attempt: doubled each time, up to the longest.
FIRST_WAIT, LONGEST_WAIT = 2.0, 300.0


def ask(batches: Sequence[list[Text]], analyser: Analyser, tally: Tally) -> None:
    """Ask for all batches, a few at a time; stop where the cap of the day is reached or the engine wants a pause."""
    with ThreadPoolExecutor(THREADS, "comprehend") as threads:
        for start in range(0, len(batches), THREADS):
            affordable = _affordable(batches[start : start + THREADS], tally)
            answers = list(threads.map(lambda batch: _answers_of(batch, analyser), affordable))
            for batch, answer in zip(affordable, answers, strict=True):
                tally.calls += 1
                if isinstance(answer, EngineError):
                    _put_off(batch, answer, tally)
                else:
                    _write_down(batch, answer, analyser, tally)
            if any(isinstance(answer, Throttled) for answer in answers):
                _pause([text for batch in batches[start + THREADS :] for text in batch], tally)
                return


def _affordable(batches: Sequence[list[Text]], tally: Tally) -> list[list[Text]]:
    """Spend what the batches cost; return those that the cap of the day allows, and put off the others."""
    affordable: list[list[Text]] = []
    for batch in batches:
        documents = documents_of(batch)
        if cost_ledger.allows(sum(units(document) for document in documents)):
            cost_ledger.spend("BatchDetectSentiment", documents)
            affordable.append(batch)
        else:
            tally.stopped = "the cap of the day is reached"
            store.put_off([text.pending for text in batch], cost_ledger.tomorrow(), tally.stopped)
            tally.waiting += len(batch)
    return affordable


def _answers_of(batch: Sequence[Text], analyser: Analyser) -> dict[str, Answer] | EngineError:
    """Return the engine's answer for each document, or why there is none. Runs in a thread; touches no database."""
    documents = documents_of(batch)
    answers: dict[str, Answer] = {}
    try:
        for start in range(0, len(documents), BATCH):  # a single long text may have more parts than a call takes
            asked = documents[start : start + BATCH]
            answers.update(zip(asked, analyser.sentiment(asked, batch[0].language), strict=True))
    except EngineError as failure:
        return failure
    return answers


def _pause(texts: Sequence[Text], tally: Tally) -> None:
    """Ask for no more for a moment. The texts wait, without an attempt being counted against them."""
    store.put_back([text.pending for text in texts])
    tally.waiting += len(texts)


def _put_off(batch: Sequence[Text], failure: EngineError, tally: Tally) -> None:
    """Let a batch wait that the engine did not answer."""
    attempts = max(text.pending.attempts for text in batch)
    wait = LONGEST_WAIT if isinstance(failure, Refused) else min(FIRST_WAIT * 2**attempts, LONGEST_WAIT)
    store.put_off([text.pending for text in batch], datetime.now(UTC) + timedelta(seconds=wait), failure.code)
    if isinstance(failure, Throttled) and len(documents_of(batch)) <= BATCH:
        cost_ledger.take_back("BatchDetectSentiment", documents_of(batch))
    log.warning("sentiment of %d messages waits %d s: %s", len(batch), wait, failure)
    tally.stopped = failure.code
    tally.waiting += len(batch)


def _write_down(batch: Sequence[Text], answers: Mapping[str, Answer], analyser: Analyser, tally: Tally) -> None:
    """Settle the texts of a batch that was answered. A text that the engine failed on waits, or is given up."""
    settled: list[Outcome] = []
    again: list[Pending] = []
    for text in batch:
        scores = [(part, answer) for part in text.parts if isinstance(answer := answers[part], Score)]
        failed = [answer for part in text.parts if isinstance(answer := answers[part], ItemFailed)]
        if not failed:
            settled.append(text.scored(combined(scores), analyser))
            tally.scored += 1
        elif any(item.final for item in failed) or text.pending.attempts >= MOST_ATTEMPTS:
            settled.append(text.unscored("refused", failed[0].code))
        else:
            again.append(text.pending)
    store.settle(settled)
    if again:
        wait = FIRST_WAIT * 2 ** max(pending.attempts for pending in again)
        store.put_off(again, datetime.now(UTC) + timedelta(seconds=min(wait, LONGEST_WAIT)), "item failed")
        tally.waiting += len(again)
