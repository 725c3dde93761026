"""What negative messages speak about: their key phrases. Many short texts travel as one document, so a call is rare."""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Iterator, Sequence
from itertools import groupby

import msgspec
from django.conf import settings
from django.db import connection, transaction

from analytics.sentiment import cost_ledger
from analytics.sentiment.engine import LANGUAGES, Analyser, EngineError, KeyPhrase, Throttled, masked

log = logging.getLogger(__name__)

#: Messages of one pass, and bytes of one document: DetectKeyPhrases takes 100 KB.
MOST = 400
DOCUMENT_BYTES = 90_000
#: Between two messages of a document: no phrase runs across it.
BREAK = "\n\n"
#: Under this score a phrase is a guess.
LEAST_SCORE = 0.6
MOST_CHARACTERS = 100
_ARTICLES = re.compile(
    r"^(?:the|a|an|my|your|our|this|that|these|those|el|la|los|las|un|una|mi|le|les|une|mon|ma|der|die|das|ein|eine|"
    r"mein|meine|il|lo|gli|un|o|os|as|um|uma|meu|minha)\s+",
    re.IGNORECASE,
)

#: The lease keeps others away while the engine is asked.
CLAIM = """
UPDATE analytics_sentiment s SET due_at = now() + interval '2 minutes'
  FROM (SELECT message_id FROM analytics_sentiment WHERE phrases_due AND due_at <= now()
         ORDER BY due_at LIMIT %s FOR UPDATE SKIP LOCKED) d, connect_bridge_message m
 WHERE s.message_id = d.message_id AND m.id = s.message_id
RETURNING s.message_id, s.language, COALESCE(m.original ->> 'text', ''), s.key
"""
#: The same words were asked about before, whoever wrote them: their phrases are taken over.
TAKE_OVER = """
WITH known AS (
    SELECT DISTINCT ON (s.message_id) s.message_id, k.message_id AS other
      FROM analytics_sentiment s
      JOIN analytics_sentiment k ON k.key = s.key AND k.state = 'scored' AND k.label = 'negative' AND NOT k.phrases_due
       AND k.engine = s.engine AND k.model = s.model AND k.message_id <> s.message_id
     WHERE s.message_id = ANY(%s) ORDER BY s.message_id, k.scored_at DESC
), copied AS (
    INSERT INTO analytics_phrase (message_id, text)
    SELECT k.message_id, p.text FROM known k JOIN analytics_phrase p ON p.message_id = k.other
    ON CONFLICT (message_id, text) DO NOTHING
)
UPDATE analytics_sentiment SET phrases_due = false WHERE message_id IN (SELECT message_id FROM known)
RETURNING message_id
"""
STORE = """
INSERT INTO analytics_phrase (message_id, text) SELECT * FROM unnest(%s::uuid[], %s::text[])
ON CONFLICT (message_id, text) DO NOTHING
"""
DONE = "UPDATE analytics_sentiment SET phrases_due = false WHERE message_id = ANY(%s)"


class Negative(msgspec.Struct, frozen=True):
    message: uuid.UUID
    language: str
    text: str
    key: uuid.UUID | None = None


def run(analyser: Analyser) -> int:
    """Ask for the phrases of negative messages; return how many calls that took. What fails is tried again later."""
    if not settings.SENTIMENT_PHRASES:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(CLAIM, [MOST])
        claimed = sorted((Negative(*row) for row in cursor.fetchall()), key=lambda one: one.language)
    known = _take_over(claimed)
    new = [one for one in claimed if one.message not in known]
    firsts = {one.key or one.message: one for one in reversed(new)}
    calls = 0
    for language, several in groupby(reversed(firsts.values()), lambda one: one.language):
        for document in _documents(list(several)):
            calls += _ask(document, language, analyser)
    _take_over([one for one in new if firsts[one.key or one.message] is not one])
    return calls


def _take_over(texts: Sequence[Negative]) -> set[uuid.UUID]:
    """Give these messages the phrases of others with the same words; return those that are settled so."""
    if not texts:
        return set()
    with connection.cursor() as cursor:
        cursor.execute(TAKE_OVER, [[one.message for one in texts]])
        return {message for (message,) in cursor.fetchall()}


def _documents(texts: Sequence[Negative]) -> Iterator[list[Negative]]:
    document: list[Negative] = []
    size = 0
    for text in texts:
        more = len(text.text.encode()) + len(BREAK)
        if document and size + more > DOCUMENT_BYTES:
            yield document
            document, size = [], 0
        document.append(text)
        size += more
    if document:
        yield document


def _ask(document: Sequence[Negative], language: str, analyser: Analyser) -> int:
    words = [masked(one.text) if settings.SENTIMENT_MASK else one.text for one in document]
    whole = BREAK.join(words)
    if language not in LANGUAGES or not cost_ledger.allows(len(whole) // 100 + 3):
        return 0
    try:
        cost_ledger.spend("DetectKeyPhrases", [whole])
        found = analyser.key_phrases(whole, language)
    except EngineError as failure:
        if isinstance(failure, Throttled):
            cost_ledger.take_back("DetectKeyPhrases", [whole])
        log.info("key phrases of %d messages wait: %s", len(document), failure.code)
        return 1
    with transaction.atomic(), connection.cursor() as cursor:
        rows = [(one.message, phrase) for one, phrase in _assigned(document, words, found)]
        cursor.execute(STORE, [[message for message, _ in rows], [phrase for _, phrase in rows]])
        cursor.execute(DONE, [[one.message for one in document]])
    return 1


def _assigned(
    document: Sequence[Negative], words: Sequence[str], found: Sequence[KeyPhrase]
) -> Iterator[tuple[Negative, str]]:
    """Yield each phrase with the message in whose stretch of the document it lies."""
    begin = 0
    for one, text in zip(document, words, strict=True):
        end = begin + len(text)
        for phrase in found:
            inside = begin <= phrase.begin and phrase.end <= end
            if inside and phrase.score >= LEAST_SCORE and (plain := normal(phrase.text)):
                yield one, plain
        begin = end + len(BREAK)


def normal(phrase: str) -> str:
    """Return a phrase as it is counted: small letters, no article, one space between words; "" if nothing is left."""
    plain = _ARTICLES.sub("", " ".join(phrase.lower().split()))[:MOST_CHARACTERS].strip(" .,;:!?\"'#")
    return plain if len(re.sub(r"[\W\d_]", "", plain)) >= 3 else ""  # noqa: PLR2004 - letters
