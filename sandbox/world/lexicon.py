"""Sentiment, key phrases and language by word lists: VADER's lexicon with words of customer service for English.

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
#: Words of a key phrase.
LONGEST_PHRASE = 3

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


#: What VADER, made for social media, does not know of customer service: -4 … +4, on its own scale.
_SERVICE_WORDS = {
    "broken": -2.2, "crashed": -2.4, "crashing": -2.4, "crashes": -2.2, "damaged": -2.1, "defective": -2.4,
    "delayed": -1.8, "delay": -1.6, "late": -1.5, "missing": -1.8, "lost": -1.8, "stuck": -1.7, "cancelled": -1.5,
    "overcharged": -2.6, "charged": -0.8, "refund": -0.9, "refunded": 0.4, "unacceptable": -3.0, "useless": -2.6,
    "ignored": -2.2, "ignoring": -2.2, "nobody": -1.0, "unanswered": -1.8, "waiting": -1.4, "waited": -1.4,
    "weeks": -0.7, "ombudsman": -2.2, "lawyer": -2.0, "complaint": -2.0, "complain": -1.9, "ridiculous": -2.5,
    "scam": -3.0, "rude": -2.6, "slow": -1.5, "error": -1.6, "fails": -1.9, "failed": -2.0, "wrong": -1.9,
    "twice": -0.6, "again": -0.5, "worst": -3.2, "unusable": -2.5, "disconnected": -1.6, "chargeback": -2.0,
    "resolved": 2.0, "sorted": 1.8, "fixed": 1.9, "works": 1.4, "working": 1.0, "quick": 1.6, "fast": 1.4,
    "prompt": 1.5, "arrived": 1.2, "brilliant": 3.0, "lifesaver": 3.0, "legend": 2.4, "cheers": 1.8, "sorts": 1.0,
}  # fmt: skip
#: What VADER finds pleasant and customer service does not mean so.
_NEUTRAL_WORDS = ("like", "please", "number", "yes", "ok", "okay", "want")
#: Words of which no key phrase consists.
_PHRASE_STOPS = """
i me my we our you your he she it its they them this that these those am is are was were be been being have has had
do does did will would can could should may might must shall not no nor and or but if then so because as of at by
for with about to from in on up down out off over under again very just too than more most some any all there here
when where why how what which who whom please thanks thank hello hi hey yes ok okay still never ever even only get
got getting keep keeps kept want wanted need needed like really also now today yesterday tomorrow into after before
since until while one two three four five an a the nobody somebody anybody everyone anything something
tells tell answers answer sent send day days week weeks month months time times put
"""
_SMALL_WORDS = frozenset(_PHRASE_STOPS.split())


@lru_cache
def _analyzer() -> SentimentIntensityAnalyzer:
    analyzer = SentimentIntensityAnalyzer()
    analyzer.lexicon.update(_SERVICE_WORDS)
    for word in _NEUTRAL_WORDS:
        analyzer.lexicon.pop(word, None)
    return analyzer


def phrases(text: str, language: str) -> list[tuple[str, int]]:
    """Return runs of one to three words that are no small words, with where they begin. English only."""
    if not language.startswith("en"):
        return []
    runs: list[tuple[str, int]] = []
    for clause in re.finditer(r"[^.,;:!?\n()]+", text):
        run: list[re.Match[str]] = []
        for word in [*re.finditer(r"[A-Za-z][A-Za-z'-]+", clause[0]), None]:
            if word is not None and word[0].lower() not in _SMALL_WORDS and len(run) < LONGEST_PHRASE:
                run.append(word)
                continue
            if any(word[0].lower() not in _analyzer().lexicon for word in run):  # "ridiculous" is a judgement, no topic
                begin = clause.start() + run[0].start()
                runs.append((text[begin : clause.start() + run[-1].end()], begin))
            run = [word] if word is not None and word[0].lower() not in _SMALL_WORDS else []
    return runs


def sentiment(text: str, language: str) -> tuple[str, dict[str, float]]:
    """Return the label and the four scores, which add up to 1. Anything but English is neutral to this lexicon."""
    if not language.startswith("en"):
        return "NEUTRAL", {"Positive": 0.02, "Negative": 0.02, "Neutral": 0.95, "Mixed": 0.01}
    polarity = _analyzer().polarity_scores(text[:READ_CHARACTERS])
    compound = max(-1.0, min(1.0, polarity["compound"] * STRENGTH))
    weights = {
        "Positive": max(compound, 0.0) + 0.01,
        "Negative": max(-compound, 0.0) + 0.01,
        "Neutral": 1.0 - abs(compound) + 0.01,
        "Mixed": min(polarity["pos"], polarity["neg"]) * MIXTURE + 0.001,
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
