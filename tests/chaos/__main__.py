"""`python -m tests.chaos`: break everything on purpose, and hold what is left against the promises."""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from collections.abc import Sequence

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
from tests.chaos import failover
from tests.chaos.bugs import BUGS
from tests.chaos.checker import judge
from tests.chaos.compositions import COMPOSITIONS
from tests.chaos.evidence import Evidence
from tests.chaos.nemeses import NEMESES, QUICK, SHORT
from tests.chaos.report import summary
from tests.chaos.rig import Plan, execute, recall

#: What stays wrong to the end of a run, and so comes last in the long one.
LATE = ("clocks", "calm")
#: Customers, messages a second and seconds of patience at the end of a run that is to catch a planted bug.
BUG_CUSTOMERS, BUG_RATE, BUG_DRAIN = 10, 4.0, 30.0


def main() -> int:
    options = asked(sys.argv[1:])
    if options.judge:
        return _report(recall(options.judge))
    if options.bug:
        return _catch(options, list(BUGS) if "all" in options.bug else options.bug)
    long = {"customers": 200, "rate": 12.0, "scale": 8.0} if options.long else {}
    choices = {"customers": options.customers, "rate": options.rate, "scale": options.scale}
    chosen = long | {name: value for name, value in choices.items() if value is not None}
    composition, seed, nemeses = (
        options.composition,
        options.seed,
        options.nemesis or (QUICK if options.quick else (*SHORT, *LATE) if options.long else SHORT),
    )
    print(
        f"── chaos on {composition}, seed {seed}: replay with --composition {composition} --seed {seed} ──", flush=True
    )
    return _report(execute(Plan(seed=seed, nemeses=nemeses, composition=composition, **chosen)))


def _report(evidence: Evidence) -> int:
    if any(line.what == "reconcile" for line in evidence.journal):
        account, complete = failover.account_of_losses(evidence)
        print(account, flush=True)
        return 0 if complete else 1
    judgement = judge(evidence)
    print(summary(evidence, judgement), flush=True)
    return 1 if judgement.violations else 0


def _catch(options: argparse.Namespace, names: list[str]) -> int:
    """Plant each bug and see whether the checker names the promise that it breaks; return 1 if one escapes."""
    escaped = []
    for name in names:
        bug, began = BUGS[name], time.monotonic()
        print(f"── planted: {name}, which {bug.does} ──", flush=True)
        plan = Plan(
            seed=options.seed, nemeses=bug.nemeses, composition=options.composition, bug=name,
            customers=BUG_CUSTOMERS, rate=BUG_RATE, drain=BUG_DRAIN,
        )  # fmt: skip
        judgement = judge(execute(plan))
        caught = sorted(judgement.rules & set(bug.rules))
        if not caught:
            escaped.append(name)
        broken = judgement.violations
        example = next((one.text for one in broken if one.rule in bug.rules or not caught), "nothing")
        verdict = f"caught by {', '.join(caught)}" if caught else f"NOT CAUGHT, {len(broken)} other violations"
        print(f"  {verdict} ({time.monotonic() - began:.0f} s): {example}", flush=True)
    print(
        f"── {len(names) - len(escaped)} of {len(names)} planted bugs caught" + "".join(f"; {one}" for one in escaped)
    )
    return 1 if escaped else 0


def asked(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--composition", choices=COMPOSITIONS, default="embedded")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--long", action="store_true", help="more of everything: more than an hour")
    parser.add_argument("--judge", metavar="NAME", help="judge a former run again, by its folder in var/chaos")
    parser.add_argument("--quick", action="store_true", help="four minutes: what touches the database or the broker")
    parser.add_argument("--nemesis", action="append", choices=list(NEMESES), help="only this one; may be repeated")
    parser.add_argument("--bug", action="append", choices=["all", *BUGS], help="plant this one, expect it to be caught")
    parser.add_argument("--customers", type=int)
    parser.add_argument("--rate", type=float, help="messages a second")
    parser.add_argument("--scale", type=float, help="how often the nemeses strike; 1 is the short run")
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main())
