"""Webhooks accepted durably: signed, deduplicated, committed, answered 200; beside pgbench and a bare DRF view.

Rounds of all servers are interleaved. After each round the rows stored must be the ids answered 200, or it fails.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import itertools
import json
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import psutil
import psycopg

from bench import lab
from bench.load import Outcome, at_rate, saturate
from config import embedded

SECRET = "bench-app-secret"
PAGE = "100200300"
QUICK = {"rounds": 1, "seconds": 1.0}
#: Every fiftieth webhook is a redelivery.
REDELIVERED = 50


@dataclass(slots=True)
class Server:
    """One contestant and what its rounds gave."""

    name: str
    port: int
    path: str
    process: psutil.Process
    rows: str
    cpu: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    p99_paced: list[float] = field(default_factory=list)


def run(rounds: int = 3, seconds: float = 5.0, connections: int = 32) -> dict[str, object]:
    """Measure and print the table; return the medians."""
    with lab.database("bench_webhooks") as url, ExitStack() as stack:
        env = {"DATABASE_URL": url, "LOG_LEVEL": "WARNING", "PUBLIC_BASE_URL": "http://127.0.0.1:8000"}
        lab.manage("migrate", "-v", "0", env=env)
        account = lab.add_account(
            "messenger", env, app_secret=SECRET, page_id=PAGE, page_access_token="t", verify_token="v"
        )
        path = f"/webhooks/messenger/{account['id']}/"
        servers = [
            _serve(stack, "ASGI endpoint", "config.asgi:application", path, env),
            _serve(stack, "ASGI endpoint, plain daphne", "config.asgi:application", path, env),
            _serve(stack, "DRF endpoint", "config.asgi:application", path, {**env, "WEBHOOK_FAST_LANE": "0"}),
            _serve(stack, "bare DRF view, plain daphne", "bench.bare_drf:application", "/bare/", env),
        ]
        for number in range(rounds):
            for server in servers:
                _round(server, url, seconds, connections)
                print(f"  round {number + 1}: {server.name}: {server.rate[-1]:.0f}/s", flush=True)
        commits = _pgbench(url, connections, seconds)
        return _report(servers, commits)


def _serve(stack: ExitStack, name: str, application: str, path: str, env: dict[str, str]) -> Server:
    port = lab.free_port()
    server = "daphne" if name.endswith("plain daphne") else "config.web"
    command = lab.python("-m", server, "-v", "0", "-b", "127.0.0.1", "-p", str(port), application)
    process = stack.enter_context(lab.process(command, env, name.replace(",", "").replace(" ", "-")))
    lab.until_answers(f"http://127.0.0.1:{port}{path}")
    rows = "bench_bare" if "bare" in name else "channels_app_inboundentry"
    return Server(name, port, path, process, rows)


def _round(server: Server, url: str, seconds: float, connections: int) -> None:
    before = _count(url, server.rows)
    began = lab.spent(server.process)
    full = asyncio.run(saturate(server.port, _requests(server), connections, seconds))
    used = lab.spent(server.process) - began
    paced = asyncio.run(at_rate(server.port, _requests(server), 200, seconds))
    _check(server, url, before, full, paced)
    server.cpu.append(used / len(full.latencies) * 1e6)
    server.rate.append(full.rate)
    server.p99.append(lab.percentile(full.latencies, 0.99) * 1e3)
    server.p99_paced.append(lab.percentile(paced.latencies, 0.99) * 1e3)


def _check(server: Server, url: str, before: int, *outcomes: Outcome) -> None:
    stored = _count(url, server.rows) - before
    accepted = set().union(*(outcome.accepted for outcome in outcomes))
    refused = sum(count for outcome in outcomes for status, count in outcome.statuses.items() if status != 200)
    if stored != len(accepted) or refused:
        raise SystemExit(f"{server.name}: {stored} rows for {len(accepted)} ids answered 200, {refused} refused")


def _count(url: str, table: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
        assert row is not None
        return int(row[0])


def _requests(server: Server) -> Iterator[tuple[str, bytes]]:
    run_id = uuid.uuid4().hex[:8]
    last: tuple[str, bytes] | None = None
    for number in itertools.count():
        if last is None or number % REDELIVERED:
            mid = f"m_{run_id}_{number}"
            last = (mid, _request(server, _body(mid)))
        yield last


def _body(mid: str) -> bytes:
    message = {"mid": mid, "text": "Where is my order? It was to come yesterday, and nobody rang."}
    event = {"sender": {"id": "5551234567890123"}, "recipient": {"id": PAGE}, "timestamp": 1795000000000}
    entry = {"id": PAGE, "time": 1795000000000, "messaging": [{**event, "message": message}]}
    return json.dumps({"object": "page", "entry": [entry]}).encode()


def _request(server: Server, body: bytes) -> bytes:
    signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    head = (
        f"POST {server.path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Type: application/json\r\n"
        f"X-Hub-Signature-256: sha256={signature}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _pgbench(url: str, connections: int, seconds: float) -> float:
    """Return commits per second of one such row per commit, by PostgreSQL's own benchmark."""
    script = lab.VAR / "bench.sql"
    script.write_text(
        "\\set n random(1, 1000000000)\n"
        "INSERT INTO bench_floor (key, body) VALUES (:n::text || random()::text, repeat('x', 400)) "
        "ON CONFLICT DO NOTHING;\n"
    )
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS bench_floor (id bigserial PRIMARY KEY, key text UNIQUE, body text)"
        )
    program = embedded.place(lab.VAR).programs / "pgbench"
    command = [str(program), "-n", "-f", str(script), "-c", str(connections), "-j", "2", "-T", str(int(seconds)), url]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    line = next(line for line in done.stdout.splitlines() if line.startswith("tps"))
    return float(line.split()[2])


def _report(servers: list[Server], commits: float) -> dict[str, object]:
    bare = servers[-1]
    print(f"\n{'':28}{'req/s':>8}{'p99 ms':>9}{'p99@200/s':>11}{'CPU us':>8}{'x bare DRF':>12}{'x pgbench':>11}")
    medians: dict[str, object] = {"pgbench_commits": commits}
    for server in servers:
        cpu, rate = lab.median(server.cpu), lab.median(server.rate)
        share = cpu / lab.median(bare.cpu)
        print(
            f"{server.name:28}{rate:8.0f}{lab.median(server.p99):9.1f}{lab.median(server.p99_paced):11.1f}"
            f"{cpu:8.0f}{share:12.2f}{rate / commits:11.2f}"
        )
        medians[server.name] = {"rate": rate, "cpu_us": cpu, "of_bare_drf": share}
    print(f"{'pgbench, one row/commit':28}{commits:8.0f}")
    return medians
