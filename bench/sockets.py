"""Open chats held by one bridge process: memory for each, and how long an agent's frame takes into the store.

The floor in the same run is the bridge with no chat at all.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from typing import Any

import psutil
import psycopg

from bench import lab

PAGE = "100200300"
#: Seconds that the bridge may take to open all chats.
PATIENCE = 300.0
QUICK: dict[str, Any] = {"sockets": 50, "rate": 20.0, "seconds": 3.0}


def run(sockets: int = 2000, rate: float = 50.0, seconds: float = 20.0) -> Mapping[str, object]:
    """Open so many chats, let agents answer at the rate, print and return what it cost."""
    port = lab.free_port()
    world = f"http://127.0.0.1:{port}"
    with lab.database("bench_sockets") as url:
        env = environment(url, world)
        lab.manage("migrate", "-v", "0", env=env)
        account = lab.add_account(
            "messenger", env, app_secret="s", page_id=PAGE, page_access_token="t", verify_token="v"
        )["id"]
        simulator = lab.python("manage.py", "simulator", "--port", str(port), "--quotas", "off")
        with lab.process(simulator, env, "simulator"):
            lab.until_answers(f"{world}/world/health")
            lab.call("PUT", f"{world}/world/flows/flow", {"auto_accept": "bench", "auto_reply": "echo {text}"})
            with lab.process(lab.python("manage.py", "bridge"), env, "bridge") as bridge:
                return _measure(bridge, url, account, sockets, rate, seconds)


def environment(url: str, world: str) -> dict[str, str]:
    """Return the environment that points the product at the simulated world."""
    return {
        "DATABASE_URL": url,
        "LOG_LEVEL": "WARNING",
        "AWS_ENDPOINT_URL_CONNECT": world,
        "AWS_ENDPOINT_URL_CONNECTPARTICIPANT": world,
        "AWS_ENDPOINT_URL_COMPREHEND": world,
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_REGION": "us-east-1",
        "GRAPH_API_BASE_URL": f"{world}/graph",
        "CONNECT_INSTANCE_ID": "instance",
        "CONNECT_CONTACT_FLOW_ID": "flow",
    }


def _measure(
    bridge: psutil.Process, url: str, account: str, sockets: int, rate: float, seconds: float
) -> Mapping[str, object]:
    with psycopg.connect(url, autocommit=True) as database:
        _until(database, "SELECT count(*) FROM connect_bridge_bridge", 1)
        time.sleep(2)
        empty = lab.resident(bridge)
        began = time.monotonic()
        customers = [f"c{number}" for number in range(sockets)]
        _write(database, account, customers, "hello")
        _until(database, "SELECT count(*) FROM connect_bridge_contact WHERE state = 'connected'", sockets)
        opened = time.monotonic() - began
        _until(database, "SELECT count(*) FROM connect_bridge_message WHERE direction = 'out'", sockets)
        full = lab.resident(bridge)
        idle = _idle(bridge)
        busy = _talk(bridge, database, account, customers, rate, seconds)
        delays = database.execute(
            "SELECT extract(epoch FROM created_at - occurred_at) * 1000 FROM connect_bridge_message "
            "WHERE direction = 'out' AND text LIKE 'echo talk%'"
        ).fetchall()
    values = [float(row[0]) for row in delays]
    result = {
        "sockets": sockets,
        "open_per_second": sockets / opened,
        "rss_empty_mib": empty,
        "rss_full_mib": full,
        "kib_per_chat": (full - empty) * 1024 / sockets,
        "idle_share_of_a_core": idle,
        "busy_share_of_a_core": busy,
        "frame_to_store_p50_ms": lab.median(values),
        "frame_to_store_p99_ms": lab.percentile(values, 0.99),
        "answers": len(values),
    }
    for name, value in result.items():
        print(f"  {name:26}{value:12.2f}")
    print(f"  {'memory, full / empty':26}{full / empty:12.2f}")
    return result


def _idle(bridge: psutil.Process, seconds: float = 10.0) -> float:
    before = lab.spent(bridge)
    time.sleep(seconds)
    return (lab.spent(bridge) - before) / seconds


def _talk(
    bridge: psutil.Process, database: Any, account: str, customers: list[str], rate: float, seconds: float
) -> float:
    """Let customers write at the rate; an automatic agent answers each at once. Returns the share of a core used."""
    before, began = lab.spent(bridge), time.monotonic()
    total = int(rate * seconds)
    for number in range(total):
        time.sleep(max(0.0, began + number / rate - time.monotonic()))
        _write(database, account, [customers[number % len(customers)]], f"talk {number}")
    used = (lab.spent(bridge) - before) / (time.monotonic() - began)
    _until(database, "SELECT count(*) FROM connect_bridge_message WHERE text LIKE 'echo talk%'", total)
    return used


def _write(database: Any, account: str, customers: list[str], text: str) -> None:
    """Put messages straight into the intake, as a webhook's transaction leaves them."""
    delivery = uuid.uuid4()
    with database.transaction():
        database.execute(
            "INSERT INTO channels_app_webhookdelivery (id, account_id, received_at, request_id, headers, query, body, "
            "state, reason) VALUES (%s, %s, now(), 'bench', '{}', '', '', 'accepted', '')",
            [delivery, account],
        )
        with database.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO channels_app_inboundentry (account_id, delivery_id, key, type, sender, shard, event, "
                "state, outcome, attempts, due_at, created_at) "
                "VALUES (%s, %s, %s, 'message', %s, %s, %s, 'pending', '', 0, now(), now())",
                [_entry(account, delivery, customer, text) for customer in customers],
            )
        database.execute("SELECT pg_notify('parley_intake', '')")


def _entry(account: str, delivery: uuid.UUID, customer: str, text: str) -> tuple[Any, ...]:
    key = f"m:{uuid.uuid4()}"
    sender = {"external_id": customer, "issuer": PAGE, "display_name": customer}
    event = {"event": "message", "key": key, "message_id": key, "text": text, "sender": sender}
    return account, delivery, key, customer, hash(customer) % 64, json.dumps(event)


def _until(database: Any, count: str, expected: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while (count_now := database.execute(count).fetchone()[0]) < expected:
        if time.monotonic() > deadline:
            raise SystemExit(f"only {count_now} of {expected} after {PATIENCE:.0f} s: {count}")
        time.sleep(0.2)
