"""How the sentiment of one message is shown: a mark with its score, and what the pointer or a reader learns of it."""

from __future__ import annotations

import msgspec

from analytics import formatting
from analytics.models import Sentiment


class MessageMark(msgspec.Struct, frozen=True, kw_only=True):
    """`css` are the classes that choose colour and glyph; `detail` names probabilities, model and language."""

    css: str
    text: str
    detail: str


def mark_of(sentiment: Sentiment | None) -> MessageMark | None:
    """Return how a message's sentiment is shown; None where there is nothing to score."""
    if sentiment is None:
        return None
    if sentiment.state != Sentiment.State.SCORED:
        return MessageMark(css="unscored", text="not scored", detail=_why_not(sentiment))
    unsure = " unsure" if sentiment.unsure else ""
    shares = {name: getattr(sentiment, name) or 0 for name in ("negative", "neutral", "mixed", "positive")}
    probabilities = ", ".join(f"{name} {share:.2f}" for name, share in shares.items())
    source = f"{sentiment.engine}, {sentiment.model}, {sentiment.language}"
    return MessageMark(
        css=f"{sentiment.label}{unsure}",
        text=formatting.points(formatting.rating(sentiment.score)),
        detail=f"{sentiment.get_label_display()}{unsure}: {probabilities}. {source}",
    )


def _why_not(sentiment: Sentiment) -> str:
    match sentiment.state:
        case Sentiment.State.UNSUPPORTED:
            return f"The engine does not know the language ({sentiment.language or 'unknown'})."
        case Sentiment.State.REFUSED:
            return f"The engine refused the text ({sentiment.error})."
        case _:
            return f"It waits for its score{f': {sentiment.error}' if sentiment.error else ''}."
