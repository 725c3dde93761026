"""From pending to scored: texts go to the engine in full batches, answers and costs are written down together.

A text that was scored before is not asked for again, whoever wrote it. What the engine does not take now waits; nothing
that it cannot read becomes neutral. No network call is made inside a transaction.
"""

from __future__ import annotations

import logging
import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from django.conf import settings
from django.db import transaction
from django.utils.crypto import salted_hmac

from analytics.sentiment import cost_ledger, store
from analytics.sentiment.comprehend import THREADS
from analytics.sentiment.engine import (
    BATCH,
    LANGUAGES,
    Analyser,
    EngineError,
    ItemFailed,
    Refused,
    Score,
    Throttled,
    combined,
    masked,
    split,
    units,
)
from analytics.sentiment.languages import from_locale, plain
from analytics.sentiment.store import Outcome, Pending

log = logging.getLogger(__name__)

#: Texts of one pass. While there are more, what is left of a pass fills the next one's batches, for so many seconds.
MOST = 500
FILLS_WITHIN = 60.0
#: Attempts after which a text that the engine keeps failing on is given up.
MOST_ATTEMPTS = 6
#: Seconds before the next attempt: doubled each time, up to the longest.
FIRST_WAIT, LONGEST_WAIT = 2.0, 300.0
#: Characters that DetectDominantLanguage wants at least.
DETECTABLE = 20


class Text(msgspec.Struct, kw_only=True):
    """A pending text on its way to the engine: its parts, and what they scored."""

    pending: Pending
    language: str
    language_from: str
    key: uuid.UUID
    parts: list[str]
    found: dict[int, Score | ItemFailed] = {}


class Tally(msgspec.Struct, kw_only=True):
    """What one pass did."""

    scored: int = 0
    reused: int = 0
    unsupported: int = 0
    waiting: int = 0
    calls: int = 0
    stopped: str = ""

    @property
    def settled(self) -> int:
        return self.scored + self.reused + self.unsupported


def run(analyser: Analyser, *, everything: bool = False) -> Tally:
    """Score what is pending, as far as one pass goes. `everything`: do not wait for batches to fill."""
    tally = Tally()
    claimed = store.claim(MOST)
    if not claimed:
        return tally
    texts = _with_words([_text(pending, analyser, tally) for pending in claimed])
    texts = _reuse(texts, analyser, tally)
    texts = _in_known_languages(texts, tally)
    linger = 0.0 if everything else float(settings.SENTIMENT_LINGER)
    chosen, left = _full_batches(texts, max(linger, FILLS_WITHIN) if len(claimed) == MOST else linger)
    if not chosen:
        chosen, left = _full_batches(texts, linger)
    store.put_back([text.pending for text in left])
    tally.waiting += len(left)
    _ask(chosen, analyser, tally)
    return tally


# ── before the engine is asked ────────────────────────────────────────────────────────────────────────────────────────


def key_of(text: str, locale: str) -> uuid.UUID:
    """Return what a text is known by: nobody without our key can try texts against it."""
    return uuid.UUID(bytes=salted_hmac("analytics.score", f"{locale}\n{text}", algorithm="sha256").digest()[:16])


def _text(pending: Pending, analyser: Analyser, tally: Tally) -> Text:
    words = masked(pending.text) if settings.SENTIMENT_MASK else pending.text
    language, told_by = _language(pending, words, analyser, tally)
    return Text(
        pending=pending,
        language=language,
        language_from=told_by,
        key=key_of(words, pending.locale),
        parts=split(words, settings.SENTIMENT_SPLIT_CHARACTERS),
        found={},
    )


def _language(pending: Pending, words: str, analyser: Analyser, tally: Tally) -> tuple[str, str]:
    """Return the language and who told it: channel, text, conversation, engine, or nobody (the default)."""
    if told := from_locale(pending.locale):
        return told, "channel"
    if told := plain(words):
        return told, "text"
    if pending.known_language:
        return pending.known_language, "conversation"
    if len(words) >= DETECTABLE and cost_ledger.allows(units(words)):
        try:
            cost_ledger.spend("DetectDominantLanguage", [words])
            tally.calls += 1
            return analyser.language(words) or settings.SENTIMENT_LANGUAGE, "engine"
        except EngineError as failure:
            if isinstance(failure, Throttled):
                cost_ledger.take_back("DetectDominantLanguage", [words])
            log.info("the language was not detected: %s", failure.code)
    return settings.SENTIMENT_LANGUAGE, "default"


def _with_words(texts: Sequence[Text]) -> list[Text]:
    """Settle what has lost its words while it waited: they were erased; return the rest."""
    store.settle([_unscored(text, "refused", "no words") for text in texts if not text.parts])
    return [text for text in texts if text.parts]


def _reuse(texts: Sequence[Text], analyser: Analyser, tally: Tally) -> list[Text]:
    """Settle what was scored before, whoever wrote it; return the rest."""
    known = store.known([text.key for text in texts], settings.SENTIMENT_ENGINE, analyser.model)
    again = [text for text in texts if text.key in known]
    with transaction.atomic():
        store.settle([_outcome(text, known[text.key], analyser) for text in again])
        cost_ledger.note_reused(len(again))
    tally.reused += len(again)
    return [text for text in texts if text.key not in known]


def _in_known_languages(texts: Sequence[Text], tally: Tally) -> list[Text]:
    """Mark what the engine cannot read as not scored; return the rest."""
    foreign = [text for text in texts if text.language not in LANGUAGES]
    store.settle([_unscored(text, "unsupported", text.language) for text in foreign])
    tally.unsupported += len(foreign)
    return [text for text in texts if text.language in LANGUAGES]


def _full_batches(texts: Sequence[Text], seconds: float) -> tuple[list[list[Text]], list[Text]]:
    """Return batches of one language each, and what should wait for others to fill a batch.

    The same text twice is one document. Whoever has waited for so many seconds goes with a batch that is not full.
    """
    now, linger = datetime.now(UTC), timedelta(seconds=seconds)
    batches: list[list[Text]] = []
    left: list[Text] = []
    by_language: dict[str, list[Text]] = defaultdict(list)
    for text in texts:
        by_language[text.language].append(text)
    for several in by_language.values():
        for batch in _packed(several):
            waited = any(now - text.pending.due_at >= linger for text in batch)
            if waited or len(_documents(batch)) >= BATCH:
                batches.append(batch)
            else:
                left.extend(batch)
    return batches, left


def _packed(texts: Sequence[Text]) -> Iterator[list[Text]]:
    batch: list[Text] = []
    for text in texts:
        if batch and len(_documents([*batch, text])) > BATCH:
            yield batch
            batch = []
        batch.append(text)
    if batch:
        yield batch


def _documents(texts: Sequence[Text]) -> list[str]:
    return list(dict.fromkeys(part for text in texts for part in text.parts))


# ── the engine ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _ask(batches: Sequence[list[Text]], analyser: Analyser, tally: Tally) -> None:
    """Ask for all batches, a few at a time; stop where the cap of the day is reached or the engine wants a pause."""
    with ThreadPoolExecutor(THREADS, "comprehend") as threads:
        for start in range(0, len(batches), THREADS):
            affordable = _affordable(batches[start : start + THREADS], tally)
            answers = list(threads.map(lambda batch: _batch_answer(batch, analyser), affordable))
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
        if cost_ledger.allows(sum(units(document) for document in _documents(batch))):
            cost_ledger.spend("BatchDetectSentiment", _documents(batch))
            affordable.append(batch)
        else:
            tally.stopped = "the cap of the day is reached"
            store.put_off([text.pending for text in batch], cost_ledger.tomorrow(), tally.stopped)
            tally.waiting += len(batch)
    return affordable


def _pause(texts: Sequence[Text], tally: Tally) -> None:
    """Ask for no more for a moment. The texts wait, without an attempt being counted against them."""
    store.put_back([text.pending for text in texts])
    tally.waiting += len(texts)


def _batch_answer(batch: Sequence[Text], analyser: Analyser) -> dict[str, Score | ItemFailed] | EngineError:
    documents = _documents(batch)
    found: dict[str, Score | ItemFailed] = {}
    try:
        for start in range(0, len(documents), BATCH):  # a single long text may have more parts than a call takes
            asked = documents[start : start + BATCH]
            found.update(zip(asked, analyser.sentiment(asked, batch[0].language), strict=True))
    except EngineError as failure:
        return failure
    return found


def _put_off(batch: Sequence[Text], failure: EngineError, tally: Tally) -> None:
    attempts = max(text.pending.attempts for text in batch)
    wait = LONGEST_WAIT if isinstance(failure, Refused) else min(FIRST_WAIT * 2**attempts, LONGEST_WAIT)
    store.put_off([text.pending for text in batch], datetime.now(UTC) + timedelta(seconds=wait), failure.code)
    if isinstance(failure, Throttled) and len(_documents(batch)) <= BATCH:
        cost_ledger.take_back("BatchDetectSentiment", _documents(batch))
    log.warning("sentiment of %d messages waits %d s: %s", len(batch), wait, failure)
    tally.stopped = failure.code
    tally.waiting += len(batch)


def _write_down(batch: Sequence[Text], found: dict[str, Score | ItemFailed], analyser: Analyser, tally: Tally) -> None:
    settled: list[Outcome] = []
    again: list[Pending] = []
    for text in batch:
        answers = [(part, found[part]) for part in text.parts]
        failed = [answer for _, answer in answers if isinstance(answer, ItemFailed)]
        if not failed:
            score = combined([(part, answer) for part, answer in answers if isinstance(answer, Score)])
            settled.append(_outcome(text, score, analyser))
            tally.scored += 1
        elif any(one.final for one in failed) or text.pending.attempts >= MOST_ATTEMPTS:
            settled.append(_unscored(text, "refused", failed[0].code))
        else:
            again.append(text.pending)
    store.settle(settled)
    if again:
        wait = FIRST_WAIT * 2 ** max(one.attempts for one in again)
        store.put_off(again, datetime.now(UTC) + timedelta(seconds=min(wait, LONGEST_WAIT)), "item failed")
        tally.waiting += len(again)


def _outcome(text: Text, score: Score, analyser: Analyser) -> Outcome:
    return Outcome(
        message=text.pending.message,
        state="scored",
        language=text.language,
        language_from=text.language_from,
        key=text.key,
        engine=settings.SENTIMENT_ENGINE,
        model=analyser.model,
        score=score,
        error="",
    )


def _unscored(text: Text, state: str, why: str) -> Outcome:
    return Outcome(
        message=text.pending.message,
        state=state,
        language=text.language,
        language_from=text.language_from,
        key=text.key,
        engine=settings.SENTIMENT_ENGINE,
        model="",
        score=None,
        error=why[:100],
    )


def engine() -> Any:
    """Return the process' analyser, made on first use."""
    global _engine  # noqa: PLW0603 - one for all threads of the worker
    if _engine is None:
        from analytics.sentiment.comprehend import Comprehend

        _engine = Comprehend()
    return _engine


_engine: Analyser | None = None
