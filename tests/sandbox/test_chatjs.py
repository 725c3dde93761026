"""Amazon's own chat client, amazon-connect-chatjs, must be able to talk to the simulated Amazon Connect."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import RunningWorld

HERE = Path(__file__).parent / "chatjs"
STEPS = (
    "connect",
    "send and echo",
    "receive",
    "typing",
    "receipts",
    "transcript",
    "attachment",
    "drop and reconnect",
    "transfer",
    "end",
)


@pytest.fixture(scope="module")
def node(request: pytest.FixtureRequest) -> str:
    """The path of Node.js, with the client's packages installed."""
    node_path, npm = shutil.which("node"), shutil.which("npm")
    if node_path is None or npm is None:
        message = "Node.js and npm are not there: amazon-connect-chatjs was NOT tried against the simulated Connect"
        if os.environ.get("CI"):
            pytest.fail(message)
        with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
            sys.stderr.write(f"\n{'!' * 10} {message} {'!' * 10}\n")
        pytest.skip(message)
    if not (HERE / "node_modules" / "amazon-connect-chatjs").is_dir():
        done = subprocess.run([npm, "ci"], cwd=HERE, capture_output=True, text=True, timeout=100, check=False)
        assert done.returncode == 0, done.stderr
    return node_path


@pytest.mark.node
def test_amazons_client_holds_a_whole_conversation(aws: RunningWorld, node: str) -> None:
    done = subprocess.run([node, "chat.js", aws.url], cwd=HERE, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    steps = [line.removeprefix("ok ") for line in done.stdout.splitlines() if line.startswith("ok ")]
    assert tuple(steps) == STEPS


def test_the_lock_file_names_no_download_addresses() -> None:
    assert '"resolved"' not in (HERE / "package-lock.json").read_text()
