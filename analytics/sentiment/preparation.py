"""Before the engine is asked: language and parts of each text, and all that can be settled without asking."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence

from django.conf import settings
from django.db import transaction
from django.utils.crypto import salted_hmac

from analytics.sentiment import cost_ledger, store
from analytics.sentiment.engine import LANGUAGES, Analyser, EngineError, Throttled, masked, split, units
from analytics.sentiment.languages import from_locale, plain
from analytics.sentiment.store import Pending
from analytics.sentiment.texts import Tally, Text

log = logging.getLogger(__name__)

#: Characters that DetectDominantLanguage wants at least.
DETECTABLE = 20


def prepare(claimed: Sequence[Pending], analyser: Analyser, tally: Tally) -> list[Text]:
    """Return the texts that the engine is to be asked about; settle the others.

    1. Mask addresses and numbers (if SENTIMENT_MASK), find the language, cut long texts.
    2. Settle what has lost its words while it waited: they were erased.
    3. Settle what was scored before, whoever wrote it.
    4. Settle what is in a language that the engine does not know, as not scored.
    """
    texts = [_text(pending, analyser, tally) for pending in claimed]
    return _in_known_languages(_not_known_yet(_with_words(texts), analyser, tally), tally)


def key_of(text: str, locale: str) -> uuid.UUID:
    """Return the digest by which a text is found again. It is keyed: nobody else can try texts against it."""
    return uuid.UUID(bytes=salted_hmac("analytics.score", f"{locale}\n{text}", algorithm="sha256").digest()[:16])


def _text(pending: Pending, analyser: Analyser, tally: Tally) -> Text:
    words = masked(pending.text) if settings.SENTIMENT_MASK else pending.text
    language, source = _language(pending, words, analyser, tally)
    return Text(
        pending=pending,
        language=language,
        language_from=source,
        key=key_of(words, pending.locale),
        parts=split(words, settings.SENTIMENT_SPLIT_CHARACTERS),
    )


def _language(pending: Pending, words: str, analyser: Analyser, tally: Tally) -> tuple[str, str]:
    """Return the language and its source: channel, text, conversation, engine, or default."""
    if language := from_locale(pending.locale):
        return language, "channel"
    if language := plain(words):
        return language, "text"
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
    store.settle([text.unscored("refused", "no words") for text in texts if not text.parts])
    return [text for text in texts if text.parts]


def _not_known_yet(texts: Sequence[Text], analyser: Analyser, tally: Tally) -> list[Text]:
    known = store.known([text.key for text in texts], settings.SENTIMENT_ENGINE, analyser.model)
    again = [text for text in texts if text.key in known]
    with transaction.atomic():
        store.settle([text.scored(known[text.key], analyser) for text in again])
        cost_ledger.note_reused(len(again))
    tally.reused += len(again)
    return [text for text in texts if text.key not in known]


def _in_known_languages(texts: Sequence[Text], tally: Tally) -> list[Text]:
    foreign = [text for text in texts if text.language not in LANGUAGES]
    store.settle([text.unscored("unsupported", text.language) for text in foreign])
    tally.unsupported += len(foreign)
    return [text for text in texts if text.language in LANGUAGES]
