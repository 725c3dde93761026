"""The whole way, product and all: phone → webhook → Connect, and agent → store → messenger, at a fixed rate.

Times are the simulated world's own, at both ends of each way. The floor in the same run is what that world needs by
itself: a webhook answered, without waiting for anything behind it.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import itertools
import json
import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import psycopg

from bench import lab
from bench.load import Outcome, at_rate
from bench.sockets import PAGE, PATIENCE, environment

SECRET = "bench-app-secret"
QUICK: dict[str, Any] = {"rate": 20.0, "seconds": 3.0, "customers": 5}


def run(rate: float = 50.0, seconds: float = 20.0, customers: int = 100) -> Mapping[str, object]:
    """Let customers write at the rate, an automatic agent answers each; print and return both ways' latencies."""
    port, web = lab.free_port(), lab.free_port()
    world = f"http://127.0.0.1:{port}"
    with lab.database("bench_relay") as url:
        env = {**environment(url, world), "PUBLIC_BASE_URL": f"http://127.0.0.1:{web}"}
        lab.manage("migrate", "-v", "0", env=env)
        account = lab.add_account(
            "messenger", env, app_secret=SECRET, page_id=PAGE, page_access_token="token", verify_token="v"
        )
        simulator = lab.python("manage.py", "simulator", "--port", str(port), "--quotas", "off")
        serve = lab.python("manage.py", "serve", "--port", str(web))
        with lab.process(simulator, env, "simulator"):
            lab.until_answers(f"{world}/world/health")
            _furnish(world, account["webhook_url"])
            with lab.process(serve, env, "serve") as product:
                lab.until_answers(f"http://127.0.0.1:{web}/-/alive/")
                _meet(world, customers)  # the chats are opened before it counts
                _settle(url, world)
                before, began = lab.spent(product), time.monotonic()
                outcome, prefix = _talk(web, account["id"], customers, rate, seconds)
                _settle(url, world)
                used = (lab.spent(product) - before) / (time.monotonic() - began)
                return _report(world, outcome, prefix, used)


def _furnish(world: str, webhook_url: str) -> None:
    """Give the simulated world an agent who answers everything, and the Page that answers go out through."""
    lab.call("PUT", f"{world}/world/flows/flow", {"auto_accept": "bench", "auto_reply": "echo {text}"})
    credentials = {"app_secret": SECRET, "page_id": PAGE, "page_access_token": "token", "verify_token": "v"}
    account = {"kind": "messenger", "webhook_url": webhook_url, "credentials": credentials}
    lab.call("POST", f"{world}/phones/accounts", account)


def _meet(world: str, customers: int) -> None:
    """Let every customer write once from their phone: the world answers only to people it knows."""
    for number in range(customers):
        sender = {"id": _customer(number), "name": f"Customer {number}"}
        message = {"from": sender, "content": {"type": "text", "text": "hello"}}
        lab.call("POST", f"{world}/phones/messenger/{PAGE}/messages", message)


def _customer(number: int) -> str:
    return f"55512345{number:08}"


def _talk(web: int, account: str, customers: int, rate: float, seconds: float) -> tuple[Outcome, str]:
    prefix = uuid.uuid4().hex[:6]
    return asyncio.run(at_rate(web, _requests(web, account, customers, prefix), rate, seconds)), prefix


def _requests(web: int, account: str, customers: int, prefix: str) -> Iterator[tuple[str, bytes]]:
    for number in itertools.count():
        mid = f"m_{prefix}_{number}"
        event = {
            "sender": {"id": _customer(number % customers)},
            "recipient": {"id": PAGE},
            "timestamp": int(time.time() * 1000),
            "message": {"mid": mid, "text": mid},
        }
        body = json.dumps({"object": "page", "entry": [{"id": PAGE, "time": 1, "messaging": [event]}]}).encode()
        signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        head = (
            f"POST /webhooks/messenger/{account}/ HTTP/1.1\r\nHost: 127.0.0.1:{web}\r\n"
            f"Content-Type: application/json\r\nX-Hub-Signature-256: sha256={signature}\r\n"
            f"Content-Length: {len(body)}\r\nX-Request-ID: {mid.replace('_', '-')}\r\n\r\n"
        )
        yield mid, head.encode() + body


def _settle(url: str, world: str) -> None:
    """Wait until everything has arrived on both sides."""
    busy = (
        "SELECT (SELECT count(*) FROM channels_app_inboundentry WHERE state = 'pending' AND type = 'message')"
        " + (SELECT count(*) FROM connect_bridge_message WHERE status = 'stored')"
        " + (SELECT count(*) FROM connect_bridge_outboxentry WHERE state IN ('pending', 'claimed'))"
    )
    deadline = time.monotonic() + PATIENCE
    quiet = 0
    with psycopg.connect(url, autocommit=True) as database:
        while quiet < 3:
            row = database.execute(busy).fetchone()
            quiet = quiet + 1 if row == (0,) else 0
            if time.monotonic() > deadline:
                raise SystemExit(f"after {PATIENCE:.0f} s {row} messages are still under way ({world})")
            time.sleep(0.3)


def _report(world: str, outcome: Outcome, prefix: str, used: float) -> Mapping[str, object]:
    seen: dict[str, dict[str, float]] = {"in": {}, "agent": {}, "out": {}}
    doubled = 0
    for line in _ledger(world):
        text, role = str(line["fields"].get("text", "")), line["fields"].get("role")
        way = {"ws.frame": {"CUSTOMER": "in", "AGENT": "agent"}.get(str(role)), "graph.send": "out"}.get(line["what"])
        key = text.removeprefix("echo ")
        if way is None or not key.startswith(f"m_{prefix}_"):
            continue
        doubled += key in seen[way]
        seen[way].setdefault(key, line["at"])
    inbound = [(seen["in"][key] - sent) * 1e3 for key, sent in outcome.sent.items() if key in seen["in"]]
    outbound = [(at - seen["agent"][key]) * 1e3 for key, at in seen["out"].items() if key in seen["agent"]]
    lost = len(outcome.accepted - seen["in"].keys()) + len(outcome.accepted - seen["out"].keys())
    rows = {
        "webhook answered": [latency * 1e3 for latency in outcome.latencies],
        "customer to agent": inbound,
        "agent to messenger": outbound,
    }
    print(f"  {len(outcome.accepted)} messages each way at {outcome.rate:.0f}/s, {lost} lost, {doubled} doubled")
    floor = lab.median(rows["webhook answered"])
    for name, values in rows.items():
        p50, p99 = lab.median(values), lab.percentile(values, 0.99)
        print(f"  {name:20} p50 {p50:7.1f} ms   p99 {p99:7.1f} ms   {p50 / floor:6.1f} x webhook")
    print(f"  product, all processes: {used:.2f} of a core")
    if lost or doubled:
        raise SystemExit("messages were lost or doubled")
    return {
        "rate": outcome.rate,
        "cores": used,
        **{name: {"p50_ms": lab.median(v), "p99_ms": lab.percentile(v, 0.99)} for name, v in rows.items()},
    }


def _ledger(world: str) -> Iterator[dict[str, Any]]:
    after = 0
    while lines := lab.call("GET", f"{world}/world/ledger?after={after}&limit=10000"):
        lines = lines["lines"] if isinstance(lines, dict) else lines
        if not lines:
            return
        yield from lines
        after = lines[-1]["n"]
