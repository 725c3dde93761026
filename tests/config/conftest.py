"""Fixtures for tests of the private PostgreSQL."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.config.embedded_kit import remove


@pytest.fixture
def var(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "var"
    remove(tmp_path / "var")


@pytest.fixture
def base() -> Iterator[Path]:
    """Give a folder of ours that others may enter, and not write into."""
    made = Path(tempfile.mkdtemp(prefix="parley-odd-", dir="/tmp"))
    made.chmod(0o755)
    yield made
    made.chmod(0o755)
    shutil.rmtree(made)
