"""What a run showed, in one screen: messages, faults, losses, doubles, order, takeovers."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from tests.chaos.checker import Judgement, doubled
from tests.chaos.evidence import Evidence, Line
from tests.chaos.trial import Trial

#: The nemeses under which takeovers are timed: in the others both bridges may be gone at once.
MEASURED = ("kill_bridge", "pause_bridge")
#: Violations shown of each rule.
SHOWN = 5


def takeovers(evidence: Evidence) -> list[float]:
    """Return, for each open chat of a bridge that was killed or held, the seconds until it was heard again.

    That is until another socket of the same chat has been opened and its transcript read, by the world's own clock.
    """
    return list(_takeovers(evidence))


def _takeovers(evidence: Evidence) -> Iterator[float]:
    opens, reads, ends = defaultdict(list), defaultdict(list), defaultdict(list)
    for line in evidence.ledger:
        contact = line.fields.get("initial_contact_id")
        if line.what == "ws.open" and line.fields["role"] == "CUSTOMER":
            opens[contact].append(line.at)
        elif line.what == "participant.GetTranscript" and line.fields.get("status") == 200:
            reads[contact].append(line.at)
        elif line.what == "connect.ended":
            ends[contact].append(line.at)
    for loss in _losses(evidence.journal):
        for contact in loss.fields["contacts"]:
            opened = next((at for at in opens[contact] if at > loss.at), None)
            if opened is None or any(loss.at < at < opened for at in ends[contact]):
                continue
            yield next((at for at in reads[contact] if at > opened), opened) - loss.at


def _losses(journal: Sequence[Line]) -> Iterator[Line]:
    """Yield the bridges' sudden ends while nothing else was wrong."""
    nemesis = ""
    for line in journal:
        if line.what == "nemesis":
            nemesis = line.fields["name"]
        elif line.what == "bridge.lost" and nemesis in MEASURED:
            yield line


def summary(evidence: Evidence, judgement: Judgement) -> str:
    """Return the ledger's summary and every violation, named."""
    trial = Trial(evidence)
    rules = Counter(violation.rule for violation in judgement.violations)
    twice = list(doubled(trial))
    flagged = sum(any(trial.flagged(item.id) for item in items) for _, items in twice)
    shown = Counter(row["status"] for row in evidence.stored.messages if row["direction"] == "out")
    rows = [
        ("customers wrote", f"{len(list(evidence.all('phone.message')))} messages, {_acknowledged(trial)} taken"),
        (
            "Connect's side said",
            f"{len(trial.outbound)}, of which {shown['failed']} shown failed, {shown['uncertain']} uncertain",
        ),
        ("faults injected", _faults(evidence)),
        ("lost", f"{rules['a acknowledged is never lost'] + rules['e nothing lost on the way out']}"),
        ("doubled agent-side", f"{rules['c once for the agent']}"),
        ("out of order", f"{rules['d in order for the agent'] + rules['d in order for the customer']}"),
        ("doubled customer-side", f"{len(twice)}, {flagged} of them flagged"),
        ("told to agents", f"{len(trial.notices)} times that a message did not arrive, or perhaps did not"),
        ("repeated in a new chat", f"{_repeated(trial)}"),
        ("ended unheard", f"{sum(trial.unheard(item) and item.id not in trial.status for item in trial.outbound)}"),
        ("ended untold", f"{sum(trial.untold(item) and item.id not in trial.status for item in trial.outbound)}"),
        ("takeovers", _histogram(takeovers(evidence))),
        ("failpoints", _failpoints(evidence.journal)),
        ("violations", f"{len(judgement.violations)}"),
    ]
    return "\n".join([f"  {name:22} {value}" for name, value in rows] + list(_violations(judgement)))


def _repeated(trial: Trial) -> int:
    """Return of how many messages, not words, there are copies in chats that ended unheard."""
    return len({word[:3] for word, times in trial.seen.items() if times > 1 and trial.repeated_for_nobody(word)})


def _acknowledged(trial: Trial) -> int:
    return len({word[:3] for word in trial.acknowledged})


def _violations(judgement: Judgement) -> Iterator[str]:
    for rule in sorted(judgement.rules):
        texts = [violation.text for violation in judgement.violations if violation.rule == rule]
        yield f"  BROKEN {rule} ({len(texts)}):"
        yield from (f"    {text}" for text in texts[:SHOWN])


def _faults(evidence: Evidence) -> str:
    counts = Counter(line.what.removeprefix("fault.") for line in evidence.journal if line.what.startswith("fault."))
    counts = Counter({name: count for name, count in counts.items() if not name.startswith("world.")})
    for line in evidence.ledger:
        fields = line.fields
        if fields.get("cut") or fields.get("reset"):
            counts["answer cut"] += 1
        elif fields.get("status") == 429:
            counts["429"] += 1
        elif isinstance(fields.get("status"), int) and fields["status"] >= 500 and not line.what.startswith("webhook."):
            counts["5xx"] += 1
    return f"{sum(counts.values())}: " + ", ".join(f"{count} {name}" for name, count in counts.most_common())


def _failpoints(journal: Sequence[Line]) -> str:
    reached = Counter(line.fields["failpoint"].split(":")[0] for line in journal if line.what == "fault.failpoint")
    missed = Counter(line.fields["failpoint"].split(":")[0] for line in journal if line.what == "failpoint.not_reached")
    text = f"{sum(reached.values())} deaths at {len(reached)} places"
    return text + (f"; not reached: {', '.join(sorted(missed))}" if missed else "")


def _histogram(seconds: Sequence[float]) -> str:
    if not seconds:
        return "none"
    ordered = sorted(seconds)
    p50, p99 = (ordered[min(len(ordered) - 1, int(len(ordered) * share))] for share in (0.5, 0.99))
    return f"{len(ordered)} chats: p50 {p50:.1f} s, p99 {p99:.1f} s, longest {ordered[-1]:.1f} s"
