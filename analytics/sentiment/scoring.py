"""From pending to scored: texts go to the engine in full batches, answers and costs are written down together.

A text that was scored before is not asked for again, whoever wrote it. What the engine does not take now waits; nothing
that it cannot read becomes neutral. No network call is made inside a transaction.
"""

from __future__ import annotations

from django.conf import settings

from analytics.sentiment import store
from analytics.sentiment.asking import ask
from analytics.sentiment.batches import full_batches
from analytics.sentiment.comprehend import Comprehend
from analytics.sentiment.engine import Analyser
from analytics.sentiment.preparation import prepare
from analytics.sentiment.texts import Tally

#: Texts of one pass. While there are more, what is left of a pass fills the next one's batches, for so many seconds.
MOST = 500
FILLS_WITHIN = 60.0


def run(analyser: Analyser, *, everything: bool = False) -> Tally:
    """Score what is pending, as far as one pass goes. `everything`: do not wait for batches to fill.

    1. Claim the oldest pending texts, so that no other worker asks about them.
    2. Prepare them, and settle what needs no call (see prepare).
    3. Put them into batches; what does not fill one goes back to its place in the queue, unless it has waited enough.
    4. Ask about the batches, and write down answers and costs (see ask).
    """
    tally = Tally()
    claimed = store.claim(MOST)
    if not claimed:
        return tally
    texts = prepare(claimed, analyser, tally)
    linger = 0.0 if everything else float(settings.SENTIMENT_LINGER)
    batches, left = full_batches(texts, max(linger, FILLS_WITHIN) if len(claimed) == MOST else linger)
    if not batches:
        batches, left = full_batches(texts, linger)
    store.put_back([text.pending for text in left])
    tally.waiting += len(left)
    ask(batches, analyser, tally)
    return tally


def engine() -> Analyser:
    """Return the process' analyser, made on first use."""
    global _engine  # noqa: PLW0603 - one for all threads of the worker
    if _engine is None:
        _engine = Comprehend()
    return _engine


_engine: Analyser | None = None
