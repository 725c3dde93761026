"""`python -m tests.chaos`: break everything on purpose, and hold what is left against the promises."""

from __future__ import annotations

import argparse
import os
import random
import sys

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
from tests.chaos.checker import judge
from tests.chaos.compositions import COMPOSITIONS
from tests.chaos.nemeses import NEMESES, SHORT
from tests.chaos.report import summary
from tests.chaos.rig import Plan, execute


def main() -> int:
    options = _options()
    nemeses = options.nemesis or SHORT
    composition, seed = options.composition, options.seed
    long = {"customers": 200, "rate": 12.0, "scale": 8.0} if options.long else {}
    given = {"customers": options.customers, "rate": options.rate, "scale": options.scale}
    chosen = long | {name: value for name, value in given.items() if value is not None}
    plan = Plan(seed=seed, nemeses=nemeses, composition=composition, **chosen)
    print(
        f"── chaos on {composition}, seed {seed}: replay with --composition {composition} --seed {seed} ──", flush=True
    )
    evidence = execute(plan)
    judgement = judge(evidence)
    print(summary(evidence, judgement))
    return 1 if judgement.violations else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--composition", choices=COMPOSITIONS, default="embedded")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--long", action="store_true", help="more of everything: more than an hour")
    parser.add_argument("--nemesis", action="append", choices=list(NEMESES), help="only this one; may be repeated")
    parser.add_argument("--customers", type=int)
    parser.add_argument("--rate", type=float, help="messages a second")
    parser.add_argument("--scale", type=float, help="how often the nemeses strike; 1 is the short run")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
