"""What a sentiment engine is asked and what it answers. Comprehend is one; so is whatever speaks its protocol."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from typing import Protocol

import msgspec

from analytics.thresholds import SCALE
from people.privacy import BETWEEN_DIGITS

#: Amazon Comprehend, BatchDetectSentiment: documents of one call, bytes of one document.
BATCH = 25
DOCUMENT_BYTES = 5_000
#: A unit of price is 100 characters; each document costs at least three (Amazon Comprehend pricing).
UNIT_CHARACTERS = 100
LEAST_UNITS = 3
#: Languages of BatchDetectSentiment and DetectKeyPhrases (Amazon Comprehend developer guide).
LANGUAGES = frozenset({"en", "es", "fr", "de", "it", "pt", "ar", "hi", "ja", "ko", "zh", "zh-TW"})

_IDENTIFYING = (
    # Each begins where its kind of characters does and gives nothing back, so that no place is read twice.
    re.compile(r"(?<![\w.+-])[\w.+-]++@[\w-]++(?:\.[\w-]++)+"),
    re.compile(rf"\+?\d(?:{BETWEEN_DIGITS}{{0,3}}+\d){{5,}}+"),
)
_ENDS = re.compile(r"(?<=[.!?…。！？])\s++|\n++")  # noqa: RUF001 - full-width ends of sentences


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """Four probabilities that add up to 1."""

    positive: float
    negative: float
    neutral: float
    mixed: float

    @property
    def label(self) -> str:
        return max(("negative", "neutral", "mixed", "positive"), key=lambda name: float(getattr(self, name)))

    @property
    def value(self) -> int:
        """Return P(positive) - P(negative) in 1/SCALE."""
        return round((self.positive - self.negative) * SCALE)


class ItemFailed(msgspec.Struct, frozen=True):
    """The engine did not score one document. `final`: asking again would not help."""

    code: str
    final: bool


class KeyPhrase(msgspec.Struct, frozen=True):
    """A phrase at [begin, end) of the document, in characters."""

    text: str
    begin: int
    end: int
    score: float


class EngineError(Exception):
    """The engine did not answer a call. The next one may succeed."""

    code = "unavailable"


class Throttled(EngineError):
    code = "throttled"


class Refused(EngineError):
    """It will not answer such a call before somebody changes something: credentials, permissions, the region."""

    code = "refused"


class Analyser(Protocol):
    """What scoring needs. Every method is one call over the network and raises EngineError."""

    model: str

    def sentiment(self, texts: Sequence[str], language: str) -> list[Score | ItemFailed]:
        """Return one answer for each of at most BATCH texts, in order."""

    def language(self, text: str) -> str:
        """Return the code of the language that dominates."""

    def key_phrases(self, text: str, language: str) -> list[KeyPhrase]:
        """Return the noun phrases of a text of up to 100 KB."""


def units(text: str) -> int:
    """Return what one document costs."""
    return max(LEAST_UNITS, math.ceil(len(text) / UNIT_CHARACTERS))


def masked(text: str) -> str:
    """Return the text without addresses and long numbers, which say nothing about sentiment."""
    for pattern in _IDENTIFYING:
        text = pattern.sub("#", text)
    return text


def split(text: str, characters: int) -> list[str]:
    """Return the text in parts of at most so many characters and DOCUMENT_BYTES, cut between sentences or words."""
    parts: list[str] = []
    for piece in _pieces(text, characters):
        joined = f"{parts[-1]} {piece}" if parts else ""
        if parts and _fits(joined, characters):
            parts[-1] = joined
        else:
            parts.append(piece)
    return parts


def _pieces(text: str, characters: int) -> Iterator[str]:
    for sentence in filter(None, (part.strip() for part in _ENDS.split(text))):
        rest = sentence
        while not _fits(rest, characters):
            cut = _cut(rest, characters)
            yield rest[:cut].strip()
            rest = rest[cut:].strip()
        if rest:
            yield rest


def _cut(text: str, characters: int) -> int:
    most = min(characters, len(text))
    while len(text[:most].encode()) > DOCUMENT_BYTES:
        most -= max(1, most // 8)
    space = text.rfind(" ", 1, most)
    return space if space > most // 2 else max(1, most)


def _fits(text: str, characters: int) -> bool:
    return len(text) <= characters and len(text.encode()) <= DOCUMENT_BYTES


def combined(parts: Sequence[tuple[str, Score]]) -> Score:
    """Return one score of a text that was split: the parts count by their length."""
    if len(parts) == 1:
        return parts[0][1]
    whole = sum(len(text) for text, _ in parts)
    shares = {
        name: sum(len(text) * getattr(score, name) for text, score in parts) / whole
        for name in ("positive", "negative", "neutral", "mixed")
    }
    return Score(**shares)
