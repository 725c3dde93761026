"""Says in words why a row waits and what happens next: from the row, and from which processes are running."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from channels_app.accounts.explanations import explain
from connect_bridge.connect.gateway import NoWay, Refused, SetUp, Unclear
from connect_bridge.inbound.router import MOST_ATTEMPTS
from connect_bridge.operations.status import SILENT_AFTER, SystemStatus
from connect_bridge.outbox.uncertain import MOST_LOOKS

#: Error codes of customers' messages that wait until a person does something.
NEEDS_A_PERSON = frozenset({SetUp.code, Unclear.code, NoWay.code, Refused.code})
NO_BRIDGE = "No bridge is running."
NO_WORKER = "No worker is running, or beat is not."


@dataclass(frozen=True, slots=True)
class Case:
    """A row that waits, and the processes that should move it."""

    row: dict[str, Any]
    status: SystemStatus

    @property
    def attempts(self) -> int:
        return int(self.row.get("attempts") or 0)

    @property
    def last_error(self) -> str:
        """Return the code and the words of its last failure, "" if it has not failed."""
        return ": ".join(filter(None, (self.row.get("code"), self.row.get("detail"))))

    @property
    def bridge_is_silent(self) -> bool:
        return _is_silent(self.status.bridge_age)

    @property
    def worker_is_silent(self) -> bool:
        return _is_silent(self.status.worker_age)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a row waits, and what happens next."""

    why: str
    next: str


def _is_silent(age: float | None) -> bool:
    return age is None or age > SILENT_AFTER


def _intake(case: Case) -> Reason:
    if case.attempts:
        after = f"A bridge tries it again, {MOST_ATTEMPTS} times in all; then it is set aside for `replay reprocess`."
        return Reason(f"{case.last_error or 'failed'} (attempt {case.attempts} of {MOST_ATTEMPTS})", after)
    if case.bridge_is_silent:
        return Reason(NO_BRIDGE, "The first bridge that runs takes it: `manage.py bridge`.")
    return Reason("The bridges have older entries to see to.", "A bridge takes it in its turn.")


def _receipt(case: Case) -> Reason:  # noqa: ARG001 - all of them wait for the same
    return Reason(
        "A receipt, or an echo, for a message that Parley does not know yet.",
        "It is looked for again. Seven days after it came it is given up; nothing is lost with it.",
    )


def _message(case: Case) -> Reason:
    if case.bridge_is_silent:
        return Reason(NO_BRIDGE, "The first bridge that runs relays it: `manage.py bridge`.")
    if case.row["behind"]:
        return Reason("An earlier message of its conversation comes first.", "It follows that one, in order.")
    why = case.last_error or case.row["chat_says"] or "A bridge is at it: Amazon Connect has not taken it yet."
    return Reason(why, _fix_by_a_person(case) or "A bridge tries it again, with growing waits of up to a minute.")


def _fix_by_a_person(case: Case) -> str:
    """Return what a person has to do, "" if it goes on without one."""
    if case.row.get("code") not in NEEDS_A_PERSON:
        return ""
    return (
        f"{explain(case.row['code']).fix} It is tried again all the while, and goes on by itself once that is mended."
    )


def _refused(case: Case) -> Reason:
    after = (
        "Nothing by itself; later messages went on. `replay relay`, or Relay again in the list of messages, tries it."
    )
    return Reason(case.last_error or "Amazon Connect will not take it.", after)


def _contact(case: Case) -> Reason:
    if case.bridge_is_silent:
        return Reason(NO_BRIDGE, "The first bridge that runs goes on with it: `manage.py bridge`.")
    if case.row["state"] == "requested":
        why = case.last_error or "Amazon Connect has not answered the request for a chat."
        return Reason(why, "It is asked for again, as the same chat.")
    why = case.last_error or "The chat has begun, and its connection does not come about."
    return Reason(why, "It is connected again; five minutes after its start another chat is begun instead.")


def _outbox(case: Case) -> Reason:
    row = case.row
    if row["state"] == "claimed":
        return Reason("A worker is sending it.", "If the worker is gone, it becomes uncertain when its claim ends.")
    if not row["enabled"]:
        return Reason("Its account is disabled.", "Nothing by itself: enable the account, then it is sent.")
    if case.worker_is_silent:
        return Reason(NO_WORKER, "The first worker that runs sends it: `celery -A config worker`, and beat.")
    if row["behind"]:
        return Reason("An earlier message of its conversation goes first.", "It follows that one, in order.")
    if row["paused"]:
        return Reason("The messenger takes nothing from this account for now: too fast.", "It is sent after the pause.")
    if case.attempts:
        why = f"{case.last_error} ({case.attempts} attempts)"
        return Reason(why, "It is tried again; when 15 minutes are over it is given up, and the agent is told.")
    return Reason("The workers have other messages to send.", "A worker sends it in its turn.")


def _uncertain(case: Case) -> Reason:
    after = f"The messenger is asked whether it has it (look {case.attempts + 1} of {MOST_LOOKS}), or a receipt tells."
    return Reason(case.last_error, after if not case.worker_is_silent else f"{NO_WORKER} {after}")


def _undecided(case: Case) -> Reason:
    return Reason(case.last_error, "Nothing by itself, unless a receipt comes: a person sends it again, or leaves it.")


def _notice(case: Case) -> Reason:
    why = case.last_error or "The agent has not been told yet that a message did not arrive."
    return Reason(
        NO_BRIDGE if case.bridge_is_silent else why, "It is tried again while the chat is open and an agent is in it."
    )


#: By the values of stuck.Kind.
REASONS: dict[str, Callable[[Case], Reason]] = {
    "intake": _intake,
    "receipt": _receipt,
    "message": _message,
    "refused": _refused,
    "contact": _contact,
    "outbox": _outbox,
    "uncertain": _uncertain,
    "undecided": _undecided,
    "notice": _notice,
}
