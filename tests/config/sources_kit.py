"""Where the project's own files are, for tests that read them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("analytics", "channels_app", "config", "connect_bridge", "customers", "people")
#: What is not delivered, or only to try Parley: the simulator, the tests, the measurements.
TESTS = ("bench", "sandbox", "tests")
APPS = (*PRODUCT, "sandbox")


def python_files(folders: tuple[str, ...]) -> Iterator[Path]:
    """Yield Python files, migrations apart: these are as Django wrote them."""
    for folder in folders:
        yield from (path for path in sorted((ROOT / folder).rglob("*.py")) if "migrations" not in path.parts)
