"""What negative messages are about: their key phrases. Many short texts are sent as one document, so calls are few."""

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
#: Phrases with a lower score are ignored.
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


class NegativeText(msgspec.Struct, frozen=True):
    """What a customer wrote in a negative message; `key` is that of its score."""

    message: uuid.UUID
    language: str
    text: str
    key: uuid.UUID | None = None


def run(analyser: Analyser) -> int:
    """Ask for the phrases of negative messages; return how many calls that took. What fails is tried again later.

    1. Claim the messages whose phrases are due, for two minutes.
    2. Give those their phrases whose words are known from an earlier message: that needs no call.
    3. Ask about the others, each wording once, in documents of one language that hold as many as fit.
    4. Give the phrases to the messages of this pass that have the same words.
    """
    if not settings.SENTIMENT_PHRASES:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(CLAIM, [MOST])
        claimed = sorted((NegativeText(*row) for row in cursor.fetchall()), key=lambda text: text.language)
    known = _take_over(claimed)
    new = [text for text in claimed if text.message not in known]
    firsts = {text.key or text.message: text for text in reversed(new)}
    calls = 0
    for language, of_language in groupby(reversed(firsts.values()), lambda text: text.language):
        for document in _documents(list(of_language)):
            calls += _ask(document, language, analyser)
    _take_over([text for text in new if firsts[text.key or text.message] is not text])
    return calls


def _take_over(texts: Sequence[NegativeText]) -> set[uuid.UUID]:
    """Give these messages the phrases of others with the same words; return those that are settled so."""
    if not texts:
        return set()
    with connection.cursor() as cursor:
        cursor.execute(TAKE_OVER, [[text.message for text in texts]])
        return {message for (message,) in cursor.fetchall()}


def _documents(texts: Sequence[NegativeText]) -> Iterator[list[NegativeText]]:
    document: list[NegativeText] = []
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


def _ask(document: Sequence[NegativeText], language: str, analyser: Analyser) -> int:
    words = [masked(text.text) if settings.SENTIMENT_MASK else text.text for text in document]
    whole = BREAK.join(words)
    if language not in LANGUAGES or not cost_ledger.allows(len(whole) // 100 + 3):
        return 0
    try:
        cost_ledger.spend("DetectKeyPhrases", [whole])
        phrases = analyser.key_phrases(whole, language)
    except EngineError as failure:
        if isinstance(failure, Throttled):
            cost_ledger.take_back("DetectKeyPhrases", [whole])
        log.info("key phrases of %d messages wait: %s", len(document), failure.code)
        return 1
    with transaction.atomic(), connection.cursor() as cursor:
        rows = [(text.message, phrase) for text, phrase in _assigned(document, words, phrases)]
        cursor.execute(STORE, [[message for message, _ in rows], [phrase for _, phrase in rows]])
        cursor.execute(DONE, [[text.message for text in document]])
    return 1


def _assigned(
    document: Sequence[NegativeText], words: Sequence[str], phrases: Sequence[KeyPhrase]
) -> Iterator[tuple[NegativeText, str]]:
    """Yield each phrase with the message in whose stretch of the document it lies."""
    begin = 0
    for text, stretch in zip(document, words, strict=True):
        end = begin + len(stretch)
        for phrase in phrases:
            inside = begin <= phrase.begin and phrase.end <= end
            if inside and phrase.score >= LEAST_SCORE and (plain := normal(phrase.text)):
                yield text, plain
        begin = end + len(BREAK)


def normal(phrase: str) -> str:
    """Return a phrase as it is counted: small letters, no article, one space between words; "" if nothing is left."""
    plain = _ARTICLES.sub("", " ".join(phrase.lower().split()))[:MOST_CHARACTERS].strip(" .,;:!?\"'#")
    return plain if len(re.sub(r"[\W\d_]", "", plain)) >= 3 else ""  # noqa: PLR2004 - letters
