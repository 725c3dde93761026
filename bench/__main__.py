"""`python -m bench NAME`: each prints what it measured, beside a floor of the same run where there is one."""

from __future__ import annotations

import argparse
import importlib
import inspect
import json
import platform
from collections.abc import Callable, Mapping
from pathlib import Path

from bench.against import compare

BENCHES = ("webhooks", "sockets", "relay", "suggestions", "customer_page", "admin")
#: Longer ones, that run only when they are asked for.
LONG = ("takeover", "soak", "dashboards", "sentiment", "failover")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "bench", nargs="*", choices=[*BENCHES, *LONG, []], help=f"which ones (default: {' '.join(BENCHES)})"
    )
    parser.add_argument("--json", type=Path, help="also write the medians to this file")
    parser.add_argument("--quick", action="store_true", help="one short round each: does it work at all?")
    parser.add_argument("--conversations", type=int, help="of takeover and soak: how many are open")
    parser.add_argument("--minutes", type=float, help="of soak: for how long")
    parser.add_argument("--messages", type=int, help="of dashboards: how many there are")
    parser.add_argument(
        "--keep", action="store_true", default=None, help="of dashboards: leave the rows for later runs"
    )
    parser.add_argument("--against", metavar="REVISION", help="run them by turns on that commit and on this one")
    parser.add_argument("--turns", type=int, default=3, help="of --against: how often each (default: %(default)s)")
    options = parser.parse_args()
    if options.against:
        compare(options.against, options.bench or BENCHES, options.turns, quick=options.quick)
        return
    options_given = {name: getattr(options, name) for name in ("conversations", "minutes", "messages", "keep")}
    results: dict[str, object] = {}
    for name in options.bench or BENCHES:
        print(f"── {name} on {platform.machine()}, Python {platform.python_version()} ──", flush=True)
        module = importlib.import_module(f"bench.{name}")
        results[name] = module.run(
            **{**(module.QUICK if options.quick else {}), **accepted_by(module.run, options_given)}
        )
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


def accepted_by(run: Callable[..., object], chosen: Mapping[str, object]) -> dict[str, object]:
    """Return of what was given what this bench takes."""
    asked = inspect.signature(run).parameters
    return {name: value for name, value in chosen.items() if value is not None and name in asked}


if __name__ == "__main__":
    main()
