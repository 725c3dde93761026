"""Texts in batches of one language: a call costs the same time with one document as with a full batch of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from analytics.sentiment.engine import BATCH
from analytics.sentiment.texts import Text, documents_of


def full_batches(texts: Sequence[Text], seconds: float) -> tuple[list[list[Text]], list[Text]]:
    """Return batches of one language each, and the texts that should wait for others to fill a batch.

    The same text twice is one document. A text that has waited for so many seconds goes with a batch that is not full.
    """
    now, linger = datetime.now(UTC), timedelta(seconds=seconds)
    batches: list[list[Text]] = []
    left: list[Text] = []
    by_language: dict[str, list[Text]] = defaultdict(list)
    for text in texts:
        by_language[text.language].append(text)
    for of_language in by_language.values():
        for batch in _packed(of_language):
            waited = any(now - text.pending.due_at >= linger for text in batch)
            if waited or len(documents_of(batch)) >= BATCH:
                batches.append(batch)
            else:
                left.extend(batch)
    return batches, left


def _packed(texts: Sequence[Text]) -> Iterator[list[Text]]:
    batch: list[Text] = []
    for text in texts:
        if batch and len(documents_of([*batch, text])) > BATCH:
            yield batch
            batch = []
        batch.append(text)
    if batch:
        yield batch
