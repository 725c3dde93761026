"""Whether, and when, a send that failed is tried again; the same for an answer and for a receipt that comes later."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from channels_app.errors import SendFailed, Throttled, UnknownOutcome
from channels_app.infrastructure.backoff import full_jitter
from connect_bridge.models import OutboxEntry
from connect_bridge.outbox.queries import Verdict

State = OutboxEntry.State

#: Seconds before the second attempt, at most; each further wait may be twice as long, up to the longest.
FIRST_WAIT = 1.0
LONGEST_WAIT = 60.0
#: Seconds after which a message that the provider keeps putting off is given up: nothing blocks a conversation longer.
PATIENCE = 15 * 60.0
#: … but each gets this many attempts, also one that was old when sending resumed after an outage.
LEAST_ATTEMPTS = 5


def judge(failure: SendFailed, attempts: int, age: float) -> Verdict:
    """Return what to do after a failed attempt; `attempts` counts it, `age` is the message's in seconds.

    Refused credentials or a restricted account are no reason to wait: the agent must hear at once that nothing goes
    out, and a person can send dead letters again when it is mended.
    """
    verdict = Verdict(
        state=State.DEAD, code=failure.code, provider_code=failure.provider_code, detail=failure.detail or failure.code
    )
    if isinstance(failure, UnknownOutcome):
        return _but(verdict, state=State.UNCERTAIN)
    if not failure.retryable:
        return verdict
    asked = 0.0 if failure.retry_at is None else (failure.retry_at - datetime.now(UTC)).total_seconds()
    wait = max(asked, full_jitter(attempts - 1, FIRST_WAIT, LONGEST_WAIT))
    if isinstance(failure, Throttled):  # the others of this account need not hear the same
        verdict = msgspec.structs.replace(verdict, pause=wait)
    if asked > PATIENCE:
        return _but(verdict, detail=f"Gave up: the messenger takes nothing for {asked / 60:.0f} min. {verdict.detail}")
    if attempts >= LEAST_ATTEMPTS and age + wait > PATIENCE:
        return _but(verdict, detail=f"Gave up after {attempts} attempts in {age / 60:.0f} min. {verdict.detail}")
    return _but(verdict, state=State.PENDING, delay=wait)


def _but(verdict: Verdict, *, state: str = State.DEAD, detail: str = "", delay: float = 0.0) -> Verdict:
    return msgspec.structs.replace(verdict, state=state, detail=detail or verdict.detail, delay=delay)
