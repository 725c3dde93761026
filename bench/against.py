"""The same benches on another commit and on this one, by turns, and how the figures compare.

By turns, because a shared machine is slower now and faster then: what lies between two figures of the same turn is the
code. The other commit runs in a worktree of its own under a temporary folder, on this environment's packages.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
#: Seconds for all benches of one turn on one side.
LONGEST = 1_800


def compare(revision: str, benches: Sequence[str], turns: int, *, quick: bool) -> None:
    """Print the medians of both and the ratio of this commit's figure to the other's, for every figure that both have.

    Raises CalledProcessError when git knows no such revision, or a bench fails.
    """
    with tempfile.TemporaryDirectory(prefix="parley-bench-") as folder:
        other = Path(folder) / "other"
        _git("worktree", "add", "--quiet", "--detach", str(other), revision)
        try:
            before, now = _measured({"other": other, "this": ROOT}, benches, turns, quick=quick)
        finally:
            _git("worktree", "remove", "--force", str(other))
    print(f"── this commit against {revision}, medians of {turns} turns ──")
    for name in (name for name in before if name in now):
        _print_figures(name, before[name], now[name])


def _measured(
    sides: Mapping[str, Path], benches: Sequence[str], turns: int, *, quick: bool
) -> tuple[dict[str, list[float]], ...]:
    figures: dict[str, dict[str, list[float]]] = {side: {} for side in sides}
    for turn in range(turns):
        order = list(sides) if turn % 2 == 0 else list(sides)[::-1]  # neither is always the second
        for side in order:
            print(f"── turn {turn + 1} of {turns}: {side} ──", flush=True)
            for name, value in _run(sides[side], benches, quick=quick):
                figures[side].setdefault(name, []).append(value)
    return tuple(figures.values())


def _run(tree: Path, benches: Sequence[str], *, quick: bool) -> Iterator[tuple[str, float]]:
    result = tree / "var" / "bench.json"
    result.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "bench", *benches, "--json", str(result), *(["--quick"] if quick else [])]
    subprocess.run(command, cwd=tree, env={**os.environ, "PARLEY_VAR": str(tree / "var")}, check=True, timeout=LONGEST)
    yield from _numbers("", json.loads(result.read_text()))


def _numbers(name: str, value: object) -> Iterator[tuple[str, float]]:
    """Yield every number of a result by its path, e.g. relay.out.p99."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _numbers(f"{name}.{key}".lstrip("."), inner)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield name, float(value)


def _print_figures(name: str, before: Sequence[float], now: Sequence[float]) -> None:
    other, this = median(before), median(now)
    ratio = f"{this / other:.2f}" if other else "-"
    print(f"{name:<48} {other:>12.4g} {this:>12.4g}   x {ratio}")


def _git(*arguments: str) -> None:
    subprocess.run(["git", "-C", str(ROOT), *arguments], check=True, timeout=60)
