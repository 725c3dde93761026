"""A run's evidence, turned over once for all the checker's rules."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tests.chaos.evidence import NOTICE, Evidence, Line, Word, words

#: Who speaks to the customer. A custom participant is Parley itself, which tells the agent what did not arrive.
SPEAKERS = ("AGENT", "SYSTEM", "SUPERVISOR")
#: What the rig does to the product that may cut a send in two.
AMBIGUOUS = ("fault.kill", "fault.pause", "fault.failpoint", "fault.database", "fault.deploy", "fault.network")
#: What Parley says of a chat that ended while no bridge listened. Connect shows nobody its transcript afterwards.
MISSING = "may be missing"
#: Seconds that a bridge may take from reading a transcript to having stored it.
TO_STORE = 2.0
#: Seconds by which a shuffled frame may still come after the fault is off.
SHUFFLED_FOR = 0.2
#: The world's faults that lose frames on a socket that goes on afterwards, or let them overtake each other.
LOSING = ("fault.world.frame_drop", "fault.world.frame_shuffle", "fault.world.socket_silent")
#: Seconds after which a chat has surely been compared with its transcript, busy or not.
COMPARED_WITHIN = 150.0
OK = 200
Key = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Item:
    """One message in Connect's transcript, as the ledger has it."""

    n: int
    at: float
    id: str
    contact: str
    role: str
    text: str
    words: tuple[Word, ...]
    #: Whether every frame of it to our side was swallowed on a line that looked alive.
    swallowed: bool = False


@dataclass(eq=False)
class Trial:
    """The evidence, turned over once for all rules."""

    evidence: Evidence

    @cached_property
    def items(self) -> list[Item]:
        return [
            Item(
                line.n,
                line.at,
                f["item_id"],
                f["initial_contact_id"],
                f["role"] or "",
                f["text"],
                tuple(words(f["text"])),
                "CUSTOMER" in f.get("deaf", ()),
            )
            for line in self.evidence.all("ws.frame")
            if (f := line.fields)["type"] == "MESSAGE" and f["text"]
        ]

    @cached_property
    def inbound(self) -> list[Item]:
        return [item for item in self.items if item.role == "CUSTOMER" and not item.text.startswith(NOTICE)]

    @cached_property
    def notices(self) -> list[Item]:
        return [item for item in self.items if item.role == "CUSTOM_BOT" or item.text.startswith(NOTICE)]

    @cached_property
    def outbound(self) -> list[Item]:
        return [item for item in self.items if item.role in SPEAKERS]

    @cached_property
    def sent(self) -> dict[Word, Line]:
        """Every word that a customer wrote."""
        return {word: line for line in self.evidence.all("phone.message") for word in words(line.fields["text"])}

    @cached_property
    def deliveries(self) -> dict[str, list[Line]]:
        """Every attempt to deliver a customer's message, by its id at the messenger."""
        by_message = defaultdict(list)
        for line in self.evidence.ledger:
            if line.what.startswith("webhook.") and line.fields.get("event") == "message" and "status" in line.fields:
                by_message[line.fields["message_id"]].append(line)
        return by_message

    @cached_property
    def acknowledged(self) -> dict[Word, float]:
        """Every word that we said we had, and when we first said so."""
        first: dict[Word, float] = {}
        for attempts in self.deliveries.values():
            accepted = [line.at for line in attempts if line.fields["status"] // 100 == 2 and not line.fields["forged"]]
            if accepted:
                first |= dict.fromkeys(words(attempts[0].fields["text"]), min(accepted))
        return first

    @cached_property
    def seen(self) -> Counter[Word]:
        return Counter(word for item in self.inbound for word in item.words)

    @cached_property
    def owner(self) -> dict[str, Key]:
        """Whose chat a contact is: the customer of its first words."""
        owners: dict[str, Key] = {}
        for item in self.inbound:
            for word in item.words[:1]:
                owners.setdefault(item.contact, word[:2])
        return owners

    @cached_property
    def received(self) -> dict[Key, list[Line]]:
        """What is on each customer's phone, in order. A customer's id ends in the customer's number."""
        by_customer = defaultdict(list)
        accounts = {address: number for number, address in self.evidence.addresses.items()}
        for line in self.evidence.all("phone.received"):
            account = accounts.get(line.fields["address"].removeprefix("whatsapp:"), -1)
            by_customer[account, int(line.fields["customer_id"][-4:])].append(line)
        return by_customer

    @cached_property
    def sends(self) -> dict[str, list[Mapping[str, Any]]]:
        """Our own word on each of Connect's items."""
        by_item = defaultdict(list)
        for row in self.evidence.stored.sends:
            by_item[row["item"]].append(row)
        return by_item

    @cached_property
    def status(self) -> dict[str, str]:
        return {row["item"]: row["status"] for row in self.evidence.stored.messages if row["item"]}

    @cached_property
    def ended_unheard(self) -> set[str]:
        """The chats of which Parley says that their last lines may be missing."""
        return {row["initial_contact_id"] for row in self.evidence.stored.contacts if MISSING in row["reason"]}

    @cached_property
    def read_at(self) -> dict[str, float]:
        """When each chat's transcript was last read by a bridge that lived to store it."""
        last_read: dict[str, float] = {}
        for line in self.evidence.all("participant.GetTranscript"):
            answered = line.fields["status"] == OK and not line.fields.get("reset")
            if answered and not any(line.at <= at <= line.at + TO_STORE for at in self._deaths):
                last_read[line.fields.get("initial_contact_id", "")] = line.at
        return last_read

    @cached_property
    def _deaths(self) -> list[float]:
        return [line.at for line in self.evidence.journal if line.what in AMBIGUOUS]

    def unheard(self, item: Item) -> bool:
        """Whether nobody could read this any more, and Parley says so: its chat ended before a bridge came back."""
        return item.contact in self.ended_unheard and self.read_at.get(item.contact, 0.0) < item.at

    @cached_property
    def ended_at(self) -> dict[str, float]:
        return {line.fields["initial_contact_id"]: line.at for line in self.evidence.all("connect.ended")}

    def untold(self, item: Item) -> bool:
        """Whether no frame of this came on a line that looked alive, and the chat ended before a comparison was due.

        Parley has no means to know of it: who ends a chat takes its transcript away.
        """
        ended = self.ended_at.get(item.contact, float("inf"))
        return item.swallowed and ended - item.at < COMPARED_WITHIN and self.read_at.get(item.contact, 0.0) < item.at

    def circumstances(self, item: Item) -> str:
        """What was being done to the product when this was said, and what Parley says of its chat."""
        before = [line for line in self.evidence.journal if line.at <= item.at]
        acts = [f"{line.fields['name']} for {item.at - line.at:.1f} s" for line in before if line.what == "nemesis"]
        faults = [
            f"{line.what.removeprefix('fault.')} {line.fields.get('process', '')} {item.at - line.at:.1f} s before"
            for line in before[-20:]
            if line.what.startswith("fault.")
        ]
        chats = [
            f"{row['state']} ({row['reason']})"
            for row in self.evidence.stored.contacts
            if row["initial_contact_id"] == item.contact
        ]
        return f"{'; '.join([*acts[-1:], *faults[-3:]])}; its chat: {'; '.join(chats) or 'unknown'}"

    @cached_property
    def chats(self) -> dict[Word, list[str]]:
        """In which chats each word appeared, in order."""
        by_word = defaultdict(list)
        for item in self.inbound:
            for word in item.words:
                by_word[word].append(item.contact)
        return by_word

    def repeated_for_nobody(self, word: Word) -> bool:
        """Whether each copy is in a chat of its own, and all but the last are in chats that ended unheard.

        A bridge died with the message in its hands, and its chat ended before another could ask Connect about it.
        """
        chats = self.chats[word]
        return len(set(chats)) == len(chats) and self.ended_unheard.issuperset(chats[:-1])

    @cached_property
    def _frames_lost(self) -> list[tuple[float, float]]:
        """When the world lost frames, or let them overtake each other, on sockets that stayed open."""
        spells, began, silent = [], 0.0, 0.0
        for line in self.evidence.journal:
            if line.what in LOSING:
                began, silent = began or line.at, max(silent, line.fields.get("seconds", 0.0))
            elif line.what in ("healed", "drained") and began:
                spells.append((began, line.at + silent + SHUFFLED_FOR))
                began = silent = 0.0
        return spells

    def late(self, item: Item) -> bool:
        """Whether this item's frame may have been lost: then it was found in the transcript, after later ones."""
        return any(began <= item.at <= ended for began, ended in self._frames_lost)

    def flagged(self, item: str) -> bool:
        """Whether Parley shows that this one failed, or may have arrived or not, or may have arrived twice."""
        return self.status.get(item) in ("failed", "uncertain") or any(_doubtful(row) for row in self.sends[item])


def _doubtful(row: Mapping[str, Any]) -> bool:
    return (
        row["state"] in ("dead", "uncertain")
        or row.get("error_code") == "unknown_outcome"
        or bool(row.get("possible_duplicate"))
    )
