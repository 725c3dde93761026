"""The world's own controls, and the command that serves it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

from sandbox.world.ledger import Ledger

if TYPE_CHECKING:
    from conftest import RunningWorld

ROOT = Path(__file__).parents[2]


def test_health_counts_what_goes_on(aws: RunningWorld) -> None:
    aws.start()

    health = aws.call("GET", "/world/health")
    assert (health["status"], health["chats"], health["sockets"]) == ("ok", 1, 0)
    assert health["base_url"] == aws.url


def test_the_ledger_is_read_in_pages(aws: RunningWorld) -> None:
    for _ in range(3):
        aws.start()

    lines = aws.call("GET", "/world/ledger")
    assert [line["what"] for line in lines] == ["connect.StartChatContact"] * 3
    assert [line["n"] for line in lines] == [1, 2, 3]
    assert {"ms", "status", "contact_id", "client_token"} <= set(lines[0]["fields"])
    assert aws.call("GET", "/world/ledger?after=1&limit=1") == lines[1:2]
    assert requests.get(f"{aws.url}/world/ledger?after=x", timeout=20).status_code == 400


def test_the_ledger_is_followed_live(aws: RunningWorld) -> None:
    aws.start()
    with requests.get(f"{aws.url}/world/ledger/stream?after=0", stream=True, timeout=20) as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        aws.start()
        data = (line for line in stream.iter_lines() if line.startswith(b"data: "))
        seen = [json.loads(next(data).removeprefix(b"data: ")) for _ in range(2)]

    assert [line["n"] for line in seen] == [1, 2]


def test_memory_forgets_the_oldest_lines_and_their_numbers_stay(tmp_path: Path) -> None:
    ledger = Ledger(path=tmp_path / "ledger.jsonl", keep=8)
    for _ in range(20):
        ledger.append("tick")

    ledger.close()
    kept = [line.n for line in ledger.lines]
    assert kept[-1] == ledger.last == 20
    assert 8 <= len(kept) <= 10
    assert [line.n for line in ledger.since(18)] == [19, 20]
    assert [line.n for line in ledger.since(0)] == kept
    assert len((tmp_path / "ledger.jsonl").read_text().splitlines()) == 20


def test_reset_forgets_all_but_the_ledger(aws: RunningWorld) -> None:
    chat = aws.start(ClientToken="once")
    aws.call("PUT", "/world/flows/flow", {"greeting": "Hi"})
    aws.call("POST", "/world/faults", {"name": "throttle"})

    aws.call("POST", "/world/reset")

    assert aws.call("GET", "/world/flows/flow")["greeting"] == ""
    assert aws.call("GET", "/world/faults") == []
    assert aws.call("GET", "/world/health")["chats"] == 0
    assert aws.start(ClientToken="once").contact_id != chat.contact_id
    assert "world.reset" in [line["what"] for line in aws.call("GET", "/world/ledger")]


def test_settings_are_checked_before_they_count(aws: RunningWorld) -> None:
    response = requests.put(f"{aws.url}/world/settings", json={"concurrent_chats": "many"}, timeout=20)

    assert response.status_code == 400
    assert aws.call("GET", "/world/settings")["concurrent_chats"] == 500


def test_browsers_may_call_from_anywhere(aws: RunningWorld) -> None:
    asked = "x-amz-bearer,content-type,amz-sdk-request"
    headers = {
        "Origin": "http://localhost:8000",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": asked,
    }
    preflight = requests.options(f"{aws.url}/participant/message", headers=headers, timeout=20)
    refused = requests.post(f"{aws.url}/participant/message", json={}, timeout=20)

    assert preflight.status_code == 204
    assert preflight.headers["Access-Control-Allow-Headers"] == asked
    assert "PUT" in preflight.headers["Access-Control-Allow-Methods"]
    assert refused.status_code == 403
    assert refused.headers["Access-Control-Allow-Origin"] == "*"
    assert "x-amzn-errortype" in refused.headers["Access-Control-Expose-Headers"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_says_where_it_answers_and_stops_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    ledger = tmp_path / "ledger.jsonl"
    faults = '[{"name": "throttle", "target": "StartChatContact", "times": 1}]'
    command = [sys.executable, "manage.py", "simulator", "--port", "0", "--ledger", str(ledger), "--faults", faults]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        started = {"InstanceId": "i", "ContactFlowId": "f", "ParticipantDetails": {"DisplayName": "Jane"}}
        first, second = (requests.put(f"{url}/contact/chat", json=started, timeout=20) for _ in range(2))
        process.send_signal(number)
        assert process.wait(10) == 0
    assert (first.status_code, second.status_code) == (429, 200)
    assert '"what":"connect.StartChatContact"' in ledger.read_text()


def test_what_this_world_does_not_have_is_said_and_noted(aws: RunningWorld) -> None:
    response = requests.post(f"{aws.url}/chat-integration-event", json={}, timeout=20)

    assert (response.status_code, response.json()["__type"]) == (404, "UnknownOperationException")
    assert aws.lines("world.unknown")[0]["path"] == "/chat-integration-event"
