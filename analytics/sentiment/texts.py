"""A text on its way from pending to scored, and what one pass of scoring did."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import msgspec
from django.conf import settings

from analytics.sentiment.engine import Analyser, ItemFailed, Score
from analytics.sentiment.store import Outcome, Pending


class Text(msgspec.Struct, kw_only=True):
    """A pending text: its language and who told it, what it is known by, and the parts that the engine gets."""

    pending: Pending
    language: str
    language_from: str
    key: uuid.UUID
    parts: list[str]

    def scored(self, score: Score, analyser: Analyser) -> Outcome:
        return self._outcome("scored", model=analyser.model, score=score)

    def unscored(self, state: str, why: str) -> Outcome:
        """Return that it gets no score; `state` is refused or unsupported."""
        return self._outcome(state, error=why[:100])

    def _outcome(self, state: str, *, model: str = "", score: Score | None = None, error: str = "") -> Outcome:
        return Outcome(
            message=self.pending.message,
            state=state,
            language=self.language,
            language_from=self.language_from,
            key=self.key,
            engine=settings.SENTIMENT_ENGINE,
            model=model,
            score=score,
            error=error,
        )


class Tally(msgspec.Struct, kw_only=True):
    """What one pass did. `stopped` says why it asked for no more, "" if nothing stopped it."""

    scored: int = 0
    reused: int = 0
    unsupported: int = 0
    waiting: int = 0
    calls: int = 0
    stopped: str = ""

    @property
    def settled(self) -> int:
        return self.scored + self.reused + self.unsupported


#: One document's answer.
Answer = Score | ItemFailed


def documents_of(texts: Sequence[Text]) -> list[str]:
    """Return what the engine is asked about: every part once, however many texts have it."""
    return list(dict.fromkeys(part for text in texts for part in text.parts))
