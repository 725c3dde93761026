"""Sentiment and language by word lists: VADER's lexicon for English, stop words and scripts for languages.

This is what stands behind the simulated Comprehend. It is no neural network: it reads English only, word by word.
"""

from __future__ import annotations

import re
from functools import lru_cache

from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

#: Real-time sentiment reads only so many characters (Amazon Comprehend developer guide of 2022).
READ_CHARACTERS = 500
#: How far VADER's compound score is stretched, so that a plain "thanks" is positive as it is with Amazon.
STRENGTH = 1.5
#: How much praise and blame in one text count as mixed.
MIXTURE = 5.0

_STOP_WORDS = {
    "en": "the and is are you to of it in that my for not have i",
    "es": "el la los que de y en un una es por con para no mi",
    "fr": "le la les et est je vous de un une pas pour dans que mon",
    "de": "der die das und ist ich nicht ein eine mit wie zu mein auf",
    "it": "il lo la che di e un una per non sono mio con gli",
    "pt": "o a os que de e um uma para com não meu eu está é",
}
_STOP_WORD_SETS = {language: frozenset(words.split()) for language, words in _STOP_WORDS.items()}
_SCRIPTS = {
    "ja": re.compile("[\u3040-\u30ff]"),
    "zh": re.compile("[\u4e00-\u9fff]"),
    "ko": re.compile("[\uac00-\ud7af]"),
    "ar": re.compile("[\u0600-\u06ff]"),
    "hi": re.compile("[\u0900-\u097f]"),
}


@lru_cache
def _analyzer() -> SentimentIntensityAnalyzer:
    return SentimentIntensityAnalyzer()


def sentiment(text: str, language: str) -> tuple[str, dict[str, float]]:
    """Return the label and the four scores, which add up to 1. Anything but English is neutral to this lexicon."""
    if not language.startswith("en"):
        return "NEUTRAL", {"Positive": 0.02, "Negative": 0.02, "Neutral": 0.95, "Mixed": 0.01}
    found = _analyzer().polarity_scores(text[:READ_CHARACTERS])
    compound = max(-1.0, min(1.0, found["compound"] * STRENGTH))
    weights = {
        "Positive": max(compound, 0.0) + 0.01,
        "Negative": max(-compound, 0.0) + 0.01,
        "Neutral": 1.0 - abs(compound) + 0.01,
        "Mixed": min(found["pos"], found["neg"]) * MIXTURE + 0.001,
    }
    whole = sum(weights.values())
    label = max(weights, key=lambda name: weights[name])
    return label.upper(), {name: weight / whole for name, weight in weights.items()}


def languages(text: str) -> list[tuple[str, float]]:
    """Return likely languages, the best first, with scores between 0 and 1."""
    for language, script in _SCRIPTS.items():
        if script.search(text):
            return [(language, 0.99)]
    words = re.findall(r"\w+", text.lower())
    hits = {language: sum(word in known for word in words) for language, known in _STOP_WORD_SETS.items()}
    whole = sum(hits.values())
    if not whole:
        return [("en", 0.5)]
    ranked = sorted(hits.items(), key=lambda pair: -pair[1])
    return [(language, round(count / whole, 4)) for language, count in ranked if count]
