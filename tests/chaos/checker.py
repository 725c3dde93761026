"""Holds the evidence of a run against the promises. The outside world's ledger is asked first, the database last."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise

from tests.chaos.evidence import FORGED, Evidence, Line, Word, words
from tests.chaos.trial import AMBIGUOUS, OK, Item, Key, Trial

#: Seconds before a second copy within which something must have happened that made the first one's fate unknown.
AMBIGUOUS_WITHIN = 120.0


@dataclass(frozen=True, slots=True, order=True)
class Violation:
    """A broken promise. `rule` is a letter of the plan with a name."""

    rule: str
    text: str


Rule = Callable[[Trial], Iterator[str]]


def acknowledged_is_never_lost(trial: Trial) -> Iterator[str]:
    for word in sorted(trial.acknowledged.keys() - trial.seen.keys()):
        yield f"{_name(word)} was answered 2xx, and no agent ever saw it"


def nothing_unexpected(trial: Trial) -> Iterator[str]:
    for item in trial.inbound:
        if FORGED in item.text:
            yield f"a forged message reached an agent in contact {item.contact}"
        elif not item.words:
            yield f"an agent saw something that nobody wrote, in contact {item.contact}"
        elif unknown := [word for word in item.words if word not in trial.sent]:
            yield f"an agent saw {_name(unknown[0])}, which nobody wrote"
    yield from _forgeries_taken(trial)


def _forgeries_taken(trial: Trial) -> Iterator[str]:
    for line in trial.evidence.ledger:
        if line.fields.get("forged") and line.what.startswith("webhook.") and line.fields["status"] == OK:
            yield "a forged webhook was answered 200"
    for line in trial.evidence.journal:
        if line.what == "attack" and OK in line.fields["answers"]:
            yield f"a webhook with a wrong secret was answered 200: {line.fields['answers']}"


def once_for_the_agent(trial: Trial) -> Iterator[str]:
    for word, count in sorted(trial.seen.items()):
        if count > 1 and not trial.repeated_for_nobody(word):
            yield f"{_name(word)} appeared {count} times to the agent"


def in_order_for_the_agent(trial: Trial) -> Iterator[str]:
    """Connect's order is our commit order; parts stand together, and what was sent after an answer comes after it."""
    sequence = _sequences(trial)
    for key, words_seen in _by_customer(trial.inbound).items():
        runs = [number for number, _ in groupby(word[2] for word in words_seen)]
        if len(runs) != len(set(runs)):
            yield f"the parts of a message of {_customer(key)} do not stand together: {runs}"
        for one, two in pairwise(words_seen):
            if one[2] == two[2] and two[3] != one[3] + 1:
                yield f"the parts of {_name(two)} are out of order"
            elif sequence.get((*key, one[2]), -1) > sequence.get((*key, two[2]), 10**9):
                yield f"{_name(one)} came before {_name(two)} to the agent, against our own sequence"
        yield from _against_time(trial, key, runs)


def _against_time(trial: Trial, key: Key, runs: Sequence[int]) -> Iterator[str]:
    for one, two in pairwise(runs):
        began = trial.sent.get((*key, one, 0))
        if began is not None and trial.acknowledged.get((*key, two, 0), float("inf")) < began.at:
            yield f"message {one} of {_customer(key)} came before {two}, which was taken before {one} was written"


def nothing_lost_on_the_way_out(trial: Trial) -> Iterator[str]:
    """Every item of Connect's side is captured once, and is on the phone unless Parley shows that it may not be."""
    arrived = Counter(
        unit for key, lines in trial.received.items() for line in lines for unit in _units(line.fields["text"], key)
    )
    expected: Counter[object] = Counter()
    for item in trial.outbound:
        if item.contact not in trial.owner:
            continue
        if item.id not in trial.status and (trial.unheard(item) or trial.untold(item)):
            continue
        if item.id not in trial.status:
            yield f"what {item.role} said ({_short(item)}) was never captured: {trial.circumstances(item)}"
            continue
        if trial.flagged(item.id):
            continue  # and claims none of the copies of what says the same
        for unit in _units(item.text, trial.owner[item.contact]):
            expected[unit] += 1
            if expected[unit] > arrived[unit]:
                shown = trial.status[item.id]
                yield f"what {item.role} said ({_short(item)}) never arrived, and Parley shows it as {shown}"
                break


def doubled_only_after_doubt(trial: Trial) -> Iterator[str]:
    """A customer gets a message twice only if its first copy's fate was unknown, and then Parley says so."""
    for copies, items in doubled(trial):
        what = f"what {items[0].role} said ({_short(items[0])}) arrived {len(copies)} times"
        if not any(trial.flagged(item.id) for item in items):
            yield f"{what}, and Parley shows no doubt"
        elif not _ambiguous(trial, copies):
            yield f"{what}, though nothing made it unsure"


def doubled(trial: Trial) -> Iterator[tuple[list[Line], list[Item]]]:
    """Yield what arrived more often than it was said: its copies, and the items that say it."""
    said: dict[object, list[Item]] = defaultdict(list)
    for item in trial.outbound:
        for unit in _units(item.text, trial.owner.get(item.contact)):
            said[unit].append(item)
    copies: dict[object, list[Line]] = defaultdict(list)
    for key, lines in trial.received.items():
        for line in lines:
            for unit in _units(line.fields["text"], key):
                copies[unit].append(line)
    reported = set()
    for unit, lines in copies.items():
        items = said.get(unit, [])
        if items and len(lines) > len(items) and items[0].id not in reported:
            reported.add(items[0].id)
            yield lines, items


def nothing_out_of_the_blue(trial: Trial) -> Iterator[str]:
    said = {unit for item in trial.outbound for unit in _units(item.text, trial.owner.get(item.contact))}
    for key, lines in trial.received.items():
        for line in lines:
            if any(unit not in said for unit in _units(line.fields["text"], key)):
                yield f"{_customer(key)} received something that nobody said"


def in_order_for_the_customer(trial: Trial) -> Iterator[str]:
    """First copies arrive in the order in which they were said.

    What is shown as doubtful may come late, and so may what Connect's socket did not bring.
    """
    places: dict[Word, Item] = {}
    for item in trial.outbound:
        for word in item.words:
            places.setdefault(word, item)
    for key, lines in trial.received.items():
        latest: Item | None = None
        reported: set[str] = set()
        for word in dict.fromkeys(word for line in lines for word in words(line.fields["text"])):
            item = places.get(word)
            if item is None or trial.flagged(item.id) or trial.late(item):
                continue
            if latest is not None and item.n < latest.n and item.id not in reported:
                reported.add(item.id)
                yield f"{_customer(key)} received {_short(item)} after {_short(latest)}, which was said later"
            latest = item if latest is None or item.n > latest.n else latest


def nobody_crosses_tenants(trial: Trial) -> Iterator[str]:
    addresses = trial.evidence.addresses
    for line in trial.evidence.all("connect.StartChatContact"):
        contact, attributes = line.fields.get("contact_id"), line.fields.get("attributes") or {}
        address = attributes.get("channel_address", "")
        for item in trial.inbound:
            if item.contact == contact and any(addresses.get(word[0]) != address for word in item.words):
                yield f"{_name(item.words[0])} is in a chat of the account {address}"
    for (account, customer), lines in trial.received.items():
        for line in lines:
            if any(word[:2] != (account, customer) for word in words(line.fields["text"])):
                meant = words(line.fields["text"])[0][:2]
                yield f"{_customer((account, customer))} received what was meant for {_customer(meant)}"


def fences_only_grow(trial: Trial) -> Iterator[str]:
    """Every change of owner raises the fence, and it never falls."""
    last: dict[str, tuple[str, int]] = {}
    for line in trial.evidence.journal:
        if line.what != "owner":
            continue
        conversation, owner, fence = (line.fields[name] for name in ("conversation", "owner", "fence"))
        before, fence_before = last.get(conversation, ("", 0))
        if fence < fence_before or (owner and before and owner != before and fence == fence_before):
            yield f"conversation {conversation} went from fence {fence_before} to {fence} with a new owner"
        last[conversation] = (owner, fence)


def nothing_waits(trial: Trial) -> Iterator[str]:
    for queue in ("intake", "relay", "outbox"):
        count = trial.evidence.stored.waiting.get(queue, 0)
        if count:
            yield f"{count} rows still wait in the {queue} after the drain"


def transcripts_agree(trial: Trial) -> Iterator[str]:
    """The database's transcript is Connect's: the same items, the same words, each once."""
    ours = Counter(row["item"] for row in trial.evidence.stored.messages if row["direction"] == "out")
    theirs = {item.id: item for item in trial.outbound}
    for item, count in ours.items():
        if item not in theirs:
            yield f"the database has an item {item} that Connect does not know"
        elif count > 1:
            yield f"the database has {_short(theirs[item])} {count} times"
    for row in trial.evidence.stored.messages:
        if row["direction"] == "out" and row["item"] in theirs and row["text"] != theirs[row["item"]].text:
            yield f"the database has other words than Connect for {_short(theirs[row['item']])}"
        if (
            row["direction"] == "in"
            and any(word not in trial.seen for word in words(row["text"]))
            and row["status"] != "failed"
        ):
            yield f"the database says {row['status']} of {_name(words(row['text'])[0])}, which Connect does not have"


RULES: Mapping[str, Rule] = {
    "a acknowledged is never lost": acknowledged_is_never_lost,
    "b nothing unexpected": nothing_unexpected,
    "b nothing out of the blue": nothing_out_of_the_blue,
    "c once for the agent": once_for_the_agent,
    "d in order for the agent": in_order_for_the_agent,
    "d in order for the customer": in_order_for_the_customer,
    "e nothing lost on the way out": nothing_lost_on_the_way_out,
    "f doubled only after doubt": doubled_only_after_doubt,
    "g nobody crosses tenants": nobody_crosses_tenants,
    "h fences only grow": fences_only_grow,
    "i nothing waits": nothing_waits,
    "j transcripts agree": transcripts_agree,
}


@dataclass(frozen=True, slots=True)
class Judgement:
    violations: Sequence[Violation] = field(default_factory=list)

    @property
    def rules(self) -> set[str]:
        return {violation.rule for violation in self.violations}


def judge(evidence: Evidence) -> Judgement:
    """Return every broken promise."""
    trial = Trial(evidence)
    return Judgement([Violation(name, text) for name, rule in RULES.items() for text in rule(trial)])


def _units(text: str, customer: Key | None) -> Iterable[object]:
    """Return what of a text to this customer can be counted: its words, or all of it where it has none of ours."""
    return words(text) or [(customer, text)]


def _by_customer(items: Iterable[Item]) -> dict[Key, list[Word]]:
    """Return first appearances alone: doubles are another rule's business."""
    by_customer: dict[Key, dict[Word, None]] = defaultdict(dict)
    for item in items:
        for word in item.words:
            by_customer[word[:2]].setdefault(word)
    return {key: list(seen) for key, seen in by_customer.items()}


def _sequences(trial: Trial) -> dict[tuple[int, int, int], int]:
    sequences = {}
    for row in trial.evidence.stored.messages:
        if row["direction"] == "in":
            for word in words(row["text"])[:1]:
                sequences[word[:3]] = row["sequence"]
    return sequences


def _ambiguous(trial: Trial, copies: Sequence[Line]) -> bool:
    first, last = min(line.at for line in copies) - AMBIGUOUS_WITHIN, max(line.at for line in copies)
    texts = {line.fields["text"] for line in copies}
    cut = any(line.fields.get("cut") and line.fields.get("text") in texts for line in trial.evidence.ledger)
    return cut or any(line.what in AMBIGUOUS and first <= line.at <= last for line in trial.evidence.journal)


def _name(word: Word) -> str:
    return f"message {word[2]} (word {word[3]}) of {_customer(word[:2])}"


def _customer(key: Key) -> str:
    return f"customer {key[1]} of account {key[0]}"


def _short(item: Item) -> str:
    return _name(item.words[0]) if item.words else f"{item.text[:30]!r} in contact {item.contact[:8]}"
