"""`python -m bench webhooks|sockets|relay|…`: each prints what it measured, beside a floor of the same run."""

from __future__ import annotations

import argparse
import importlib
import json
import platform
from pathlib import Path

BENCHES = ("webhooks", "sockets", "relay", "suggestions", "customer_page")
#: Longer ones, that run only when they are asked for.
LONG = ("takeover",)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "bench", nargs="*", choices=[*BENCHES, *LONG, []], help=f"which ones (default: {' '.join(BENCHES)})"
    )
    parser.add_argument("--json", type=Path, help="also write the medians to this file")
    parser.add_argument("--quick", action="store_true", help="one short round each: does it work at all?")
    options = parser.parse_args()
    results: dict[str, object] = {}
    for name in options.bench or BENCHES:
        print(f"── {name} on {platform.machine()}, Python {platform.python_version()} ──", flush=True)
        module = importlib.import_module(f"bench.{name}")
        results[name] = module.run(**(module.QUICK if options.quick else {}))
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
