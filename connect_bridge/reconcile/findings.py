"""What reconciling finds, and how each kind of gap is explained: what it is, its likely cause, what to do. No texts."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Kind(StrEnum):
    """What can be missing; the values are those of the command's JSON."""

    NOT_HERE = "not_here"
    NOT_IN_CONNECT = "not_in_connect"
    NOT_SAID = "not_said"
    NOT_OURS = "not_ours"
    REWRITTEN = "rewritten"
    ORDER = "order"
    ENDED_UNHEARD = "ended_unheard"
    NOT_TAKEN_IN = "not_taken_in"
    SENT_UNKNOWN = "sent_unknown"
    NOT_LISTED = "not_listed"
    HOLE = "hole"
    NO_SEND = "no_send"
    NO_ID = "no_id"
    STUCK = "stuck"


@dataclass(frozen=True, slots=True)
class Explanation:
    """How a kind of gap is explained. `noun` is what the gap's id is an id of."""

    noun: str
    what: str
    cause: str
    fix: str


EXPLANATIONS: dict[Kind, Explanation] = {
    Kind.NOT_HERE: Explanation(
        "item",
        "Connect's side said it, Parley does not have it: the customer did not get it",
        "a frame of the websocket was lost, or the store refused it (the bridge's log names the item)",
        "it comes in when its bridge next reads the transcript: a minute after the chat's next line, or within the "
        "hour. At once: stop that bridge with SIGTERM, its heir reads all of its chats",
    ),
    Kind.NOT_IN_CONNECT: Explanation(
        "message",
        "the customer wrote it, it counts as relayed, and Connect's transcript lacks all or part of it",
        "Connect lost it, or it went to a chat that nobody connected to",
        "tell the agent, or ask the customer: it is not sent again by itself",
    ),
    Kind.NOT_SAID: Explanation(
        "message",
        "it counts as said by Connect's side, and Connect's transcript does not have it",
        "Connect removed or redacted it later",
        "nothing if the agent's desktop does not show it either; else ask Amazon",
    ),
    Kind.NOT_OURS: Explanation(
        "item",
        "the chat has it under the customer's name, and no message here is it",
        "it was relayed twice, or the database went back to an older state after it was relayed",
        "tell the agent; after a failover see what else is missing since then",
    ),
    Kind.REWRITTEN: Explanation(
        "message",
        "Connect's transcript has it with another text than the customer's",
        "redaction or a message processor in the contact flow rewrote it in flight",
        "nothing if that is wanted; else look at the flow's blocks of redaction and message processing",
    ),
    Kind.ORDER: Explanation(
        "message",
        "it comes later here than in Connect's transcript",
        "a frame of the websocket was late or lost, and its line was stored when the transcript was read",
        "nothing: what was sent keeps its order",
    ),
    Kind.ENDED_UNHEARD: Explanation(
        "Connect's contact",
        "the chat ended while nobody listened: its last lines may be missing, and Connect gives them to nobody now",
        "no bridge ran, or one had just died",
        "look at the contact in Connect's contact search, or at its transcript in S3 if the instance keeps them",
    ),
    Kind.NOT_TAKEN_IN: Explanation(
        "message",
        "the messenger lists it as written to us, and no webhook brought it",
        "our address did not answer, or the database went back to an older state",
        "manage.py missed --account ACCOUNT takes it in (beat does so every five minutes)",
    ),
    Kind.SENT_UNKNOWN: Explanation(
        "message",
        "the messenger lists it as sent by us, and no send here has this id",
        "somebody wrote past Parley; or the answer to a send was lost, or its row, after a failover",
        "compare with the uncertain entries under Outbox entries; nothing if it was written past Parley",
    ),
    Kind.NOT_LISTED: Explanation(
        "outbox entry",
        "the messenger took it, and does not list it",
        "the messenger lost or removed it",
        "ask the customer, or the provider by the entry's provider id; Outbox entries, Send again repeats it",
    ),
    Kind.HOLE: Explanation(
        "conversation",
        "its numbering has a hole: a message that was stored is gone",
        "rows were deleted by hand, or the database is damaged",
        "compare with a backup: Parley never deletes from the middle of a conversation",
    ),
    Kind.NO_SEND: Explanation(
        "message",
        "Connect's side said it, and nothing was ever to be sent for it",
        "its outbox entries were deleted by hand, or the database is damaged",
        "tell the customer otherwise: nothing sends it",
    ),
    Kind.NO_ID: Explanation(
        "outbox entry",
        "the messenger took it, and the id that it gave is missing: no receipt can find it",
        "the row was changed by hand",
        "nothing: the customer has it; its receipts stay parked",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Something is missing, may be, or is not as it was. `id` names it; `detail` and `fix` say more than its kind."""

    kind: Kind
    id: str
    account: uuid.UUID | None = None
    conversation: uuid.UUID | None = None
    chat: str = ""
    at: datetime | None = None
    detail: str = ""
    words: Explanation | None = None

    @property
    def missing(self) -> bool:
        """Whether something is missing, or may be. What Connect has with another text is there."""
        return self.kind is not Kind.REWRITTEN

    @property
    def explanation(self) -> Explanation:
        return self.words or EXPLANATIONS[self.kind]


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something could not be compared, and why."""

    where: str
    why: str


@dataclass(frozen=True, slots=True)
class Remark:
    """Something that is no gap and worth knowing: `count` of what the text says."""

    text: str
    count: int = 1


Finding = Gap | Trouble | Remark
