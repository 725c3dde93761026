"""A standby that lags takes over: what was committed last is gone. Is every loss that can be found named?

Nothing brings it back here (the pollers are off), so `reconcile` must name it: from the messenger's list, or because
Connect has what the database has not. The world's ledger says what was lost.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.chaos.compositions import ROOT
from tests.chaos.evidence import Evidence, Line, Word, words

if TYPE_CHECKING:
    from tests.chaos.nemeses import Stage

#: Seconds of commits that the standby does not hear of, and until everything that is missing counts as missing.
LAG, SETTLED = 6.0, 110.0
#: Messengers that list what was written to us.
LISTING = frozenset({"twitter", "whatsapp"})


async def lossy_promotion(stage: Stage) -> None:
    """Cut the standby off, let people talk, kill the primary, promote; at the end ask `reconcile` what is missing."""
    pair = stage.ground.pair
    if pair is None:
        stage.journal.note("skipped", nemesis="lossy_promotion", why="no standby")
        print("  lossy_promotion DID NOT RUN: the database has no standby: --composition lagging", flush=True)
        return
    await asyncio.to_thread(pair.cut)
    await asyncio.sleep(LAG)
    stage.journal.note("fault.database", how="primary killed, standby promoted that lags", seconds=LAG)
    await asyncio.to_thread(pair.fail_over)
    await asyncio.sleep(SETTLED)
    child = await asyncio.create_subprocess_exec(
        sys.executable, str(ROOT / "manage.py"), "reconcile", "--json", stdout=asyncio.subprocess.PIPE
    )
    output, _ = await child.communicate()
    stage.journal.note("reconcile", code=child.returncode, told=json.loads(output))


@dataclass(slots=True)
class Loss:
    """What the failover cost, by how it can be found: names of what is lost, and what is named of it."""

    lost: dict[str, set[str]] = field(default_factory=dict)
    named: Mapping[str, set[str]] = field(default_factory=dict)

    def missed(self, where: str) -> set[str]:
        return self.lost[where] - self.named.get(where, set())


def find(evidence: Evidence) -> Loss:
    """Compare the ledger with the database at the end, and what is missing there with what `reconcile` named."""
    promoted = next(line.at for line in evidence.journal if line.fields.get("how", "").endswith("that lags"))
    asked = next(line for line in evidence.journal if line.what == "reconcile")
    kept_in = {word for row in evidence.stored.messages if row["direction"] == "in" for word in words(row["text"])}
    kept_out = {row["item"] for row in evidence.stored.messages if row["direction"] == "out"}
    loss = Loss({"listed": set(), "in connect": set(), "said": set(), "nowhere": set()})
    relayed, accepted = _relayed(evidence), _taken(evidence)
    for line in evidence.all("phone.message"):
        missing = set(words(line.fields["text"])) - kept_in
        if line.at > promoted or not missing or line.fields["message_id"] not in accepted:
            continue
        if line.fields["kind"] in LISTING:
            loss.lost["listed"].add(line.fields["message_id"])
        elif items := {item for word in missing for item in relayed.get(word, ())}:
            loss.lost["in connect"] |= items
        else:
            loss.lost["nowhere"].add(line.fields["message_id"])
    loss.lost["said"] = {item for item, at in _said(evidence) if at < promoted and item not in kept_out}
    gaps = asked.fields["told"]["gaps"]
    kinds = {"listed": "not_taken_in", "in connect": "not_ours", "said": "not_here"}
    loss.named = {where: {gap["id"] for gap in gaps if gap["kind"] == kind} for where, kind in kinds.items()}
    return loss


def account_of_losses(evidence: Evidence) -> tuple[str, bool]:
    """Return the account of it in a few lines, and whether something was lost and all that can be was named."""
    loss = find(evidence)
    rows = [
        ("messages of customers that their messenger lists", "listed"),
        ("messages of customers that Connect has, by item", "in connect"),
        ("lines of Connect's side", "said"),
    ]
    lines = [f"  {what:50} {len(loss.lost[where])} lost, {len(loss.missed(where))} not named" for what, where in rows]
    lines.append(f"  {'messages of customers that nobody has any more':50} {len(loss.lost['nowhere'])} lost")
    again = f"{_twice(evidence)} lines of Connect's side: nobody knows any more that they had been sent"
    lines.append(f"  {'twice on a phone':50} {again}")
    total = sum(len(loss.lost[where]) for _, where in rows)
    return "\n".join(lines), total > 0 and not any(loss.missed(where) for _, where in rows)


def _twice(evidence: Evidence) -> int:
    """Return how many lines went to a phone more than once. Customers get what is captured anew."""
    sends = Counter(
        (line.what, line.fields.get("customer_id"), line.fields["text"])
        for line in evidence.ledger
        if line.what.endswith(".send") and line.fields.get("status") in (200, 201) and words(line.fields["text"])
    )
    return sum(count > 1 for count in sends.values())


def _taken(evidence: Evidence) -> set[str]:
    """Return the messages whose webhook was answered 2xx."""
    return {
        line.fields["message_id"]
        for line in evidence.ledger
        if line.what.startswith("webhook.") and line.fields.get("status") == 200 and "message_id" in line.fields
    }


def _relayed(evidence: Evidence) -> Mapping[Word, set[str]]:
    """Return under which items the open chats have each word of a customer."""
    items: dict[Word, set[str]] = {}
    for line in _frames(evidence):
        if line.fields["role"] == "CUSTOMER":
            for word in words(line.fields["text"]):
                items.setdefault(word, set()).add(line.fields["item_id"])
    return items


def _said(evidence: Evidence) -> Iterator[tuple[str, float]]:
    """Yield what Connect's side said in open chats."""
    for line in _frames(evidence):
        if line.fields["role"] != "CUSTOMER":
            yield line.fields["item_id"], line.at


def _frames(evidence: Evidence) -> Iterator[Line]:
    """Yield the messages of chats that were open to the end: Connect gives nobody the transcripts of others."""
    ended = {line.fields["initial_contact_id"] for line in evidence.all("connect.ended")}
    for line in evidence.all("ws.frame"):
        if line.fields["type"] == "MESSAGE" and line.fields["initial_contact_id"] not in ended:
            yield line
