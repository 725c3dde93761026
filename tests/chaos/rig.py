"""One run: bring the world and the product up, let customers write while nemeses strike, wait, collect the evidence."""

from __future__ import annotations

import asyncio
import json
import os
import random
import socket
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import msgspec
import psycopg

from config.processes import product
from config.supervisor import _die_with_parent
from tests.chaos.compositions import ROOT, VAR, Ground, ground
from tests.chaos.deployment import Deployment
from tests.chaos.evidence import Evidence, Journal, Stored, read_database, read_lines, waiting
from tests.chaos.faultproxy import FaultProxy
from tests.chaos.nemeses import NEMESES, Stage
from tests.chaos.outside import ACCOUNTS, FLOW, Load, Outside

#: Seconds to wait for the last messages, and for how long nothing may move before that counts as the end.
DRAIN, QUIET = 120.0, 4.0
#: Seconds to wait until the product answers.
UP_WITHIN = 60.0
OWNERS = "SELECT id::text, COALESCE(owner_id::text, ''), fence FROM connect_bridge_conversation"
STORED = "stored.json"
PLANT = ROOT / "tests" / "chaos" / "plant"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to run. The same plan makes the same choices."""

    seed: int
    nemeses: Sequence[str]
    composition: str = "embedded"
    customers: int = 40
    rate: float = 6.0
    scale: float = 1.0
    bug: str = ""
    drain: float = DRAIN

    @property
    def name(self) -> str:
        return f"chaos_{self.composition}_{self.seed}" + (f"_{self.bug}" if self.bug else "")


@dataclass(slots=True)
class Run:
    """A run's place for files, and its pieces as they come up."""

    plan: Plan
    folder: Path
    journal: Journal
    said: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        print(f"  {text}", flush=True)


def execute(plan: Plan) -> Evidence:
    """Run it and return what is known afterwards. Files stay under var/chaos/NAME."""
    folder = VAR / plan.name
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*"):
        old.unlink()
    run = Run(plan, folder, Journal(folder / "journal.jsonl"))
    with ground(plan.composition, plan.name) as base:
        asyncio.run(_run(run, base))
        stored = read_database(base.url)
    (folder / STORED).write_bytes(msgspec.json.encode(stored))
    return recall(plan.name)


def recall(name: str) -> Evidence:
    """Read a former run's evidence again."""
    folder = VAR / name
    stored = msgspec.json.decode((folder / STORED).read_bytes(), type=Stored)
    addresses = {account.number: account.address for account in ACCOUNTS}
    return Evidence(read_lines(folder / "ledger.jsonl"), read_lines(folder / "journal.jsonl"), stored, addresses)


async def _run(run: Run, base: Ground) -> None:
    plan, dice = run.plan, random.Random(run.plan.seed)
    async with AsyncExitStack() as stack:
        world = await stack.enter_async_context(_world(run))
        proxies = {name: FaultProxy(("127.0.0.1", _port(world)), seed=plan.seed) for name in ("connect", "messengers")}
        base = await _behind_proxies(base, proxies, plan.seed)
        for proxy in proxies.values():
            await proxy.up()
            stack.push_async_callback(proxy.down)
        web = _free_port()
        environment = _environment(plan, base, {name: proxy.port for name, proxy in proxies.items()}, web, world)
        os.environ.update(environment)  # product() and the commands look there
        await _command(run, "migrate", "-v", "0")
        session = await stack.enter_async_context(aiohttp.ClientSession())
        outside = Outside(world, session)
        webhooks = await _accounts(run)
        deployment = Deployment(product(web), _plant(plan), run.journal, run.folder)
        deployment.start()
        stack.push_async_callback(deployment.stop)
        await _until_up(session, f"http://127.0.0.1:{web}/-/alive/")
        await outside.furnish(webhooks)
        stage = Stage(deployment, outside, base, proxies, run.journal, dice, plan.scale)
        await _strike(run, stage)


async def _strike(run: Run, stage: Stage) -> None:
    """Let the load run, strike with one nemesis after the other, heal, and drain."""
    plan = run.plan
    load = Load(stage.outside, plan.customers, plan.rate, random.Random(plan.seed))
    watching = asyncio.create_task(_watch(run, stage))
    writing = asyncio.create_task(load.run())
    for name in plan.nemeses:
        began, written = time.monotonic(), load.written
        run.journal.note("nemesis", name=name)
        await NEMESES[name](stage)
        await stage.outside.heal()
        run.say(f"{name:14} {time.monotonic() - began:5.0f} s, {load.written - written} messages")
        if writing.done():
            break
    load.stop()
    await writing
    await _drain(run, stage)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


async def _drain(run: Run, stage: Stage) -> None:
    """Wait until nothing waits and nothing moves any more."""
    began = last_moved = time.monotonic()
    before: Any = None
    while time.monotonic() - began < run.plan.drain:
        await asyncio.sleep(1)
        now = await asyncio.to_thread(_pulse, run, stage.ground)
        if now != before or now is None:
            before, last_moved = now, time.monotonic()
        open_rows = {} if now is None else {key: now[1][key] for key in ("intake", "relay", "outbox") if now[1][key]}
        if now is not None and not open_rows and time.monotonic() - last_moved > QUIET:
            break
    run.journal.note("drained", seconds=round(time.monotonic() - began, 1))
    run.say(f"{'drained':14} {time.monotonic() - began:5.0f} s")


def _pulse(run: Run, base: Ground) -> tuple[int, dict[str, int]] | None:
    """Return what changes while something moves; None if the database does not answer."""
    ledger = run.folder / "ledger.jsonl"
    lines = sum(_moves(raw) for raw in ledger.read_bytes().split(b"\n"))
    try:
        with base.connect() as connection:
            return lines, waiting(connection)
    except psycopg.OperationalError:
        return None


def _moves(raw: bytes) -> bool:
    return any(what in raw[:80] for what in (b"ws.frame", b"phone.", b"webhook.", b".send"))


async def _watch(run: Run, stage: Stage) -> None:
    """Write down who owns which conversation, whenever that changes, and how large the processes are."""
    known: dict[str, tuple[str, int]] = {}
    while True:
        try:
            rows = await asyncio.to_thread(_owners, stage.ground)
        except psycopg.OperationalError:
            rows = []
        for conversation, owner, fence in rows:
            if known.get(conversation) != (owner, fence):
                known[conversation] = (owner, fence)
                run.journal.note("owner", conversation=conversation, owner=owner, fence=fence)
        sizes = {name: round(member.megabytes()) for name, member in stage.deployment.members.items()}
        run.journal.note("size", **sizes)
        await asyncio.sleep(1)


def _owners(base: Ground) -> list[tuple[str, str, int]]:
    with base.connect() as connection:
        return connection.execute(OWNERS).fetchall()


@asynccontextmanager
async def _world(run: Run) -> AsyncIterator[str]:
    port = _free_port()
    options = ("--port", str(port), "--ledger", str(run.folder / "ledger.jsonl"), "--quotas", "raised")
    with (run.folder / "world.log").open("ab") as log:
        child = await asyncio.create_subprocess_exec(
            sys.executable, str(ROOT / "manage.py"), "simulator", *options, "--seed", str(run.plan.seed),
            stdout=log, stderr=log, preexec_fn=_die_with_parent,
        )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        async with aiohttp.ClientSession() as session:
            await _until_up(session, f"{url}/world/health")
        yield url
    finally:
        child.terminate()
        await child.wait()


async def _behind_proxies(base: Ground, proxies: dict[str, FaultProxy], seed: int) -> Ground:
    """Put a proxy before every service that is reached over TCP; return the ground as the product sees it."""
    seen = dict(base.environment)
    for name, url in (("broker", base.environment.get("CELERY_BROKER_URL", "")), ("database", base.url)):
        parts = urlsplit(url)
        if parts.hostname in ("127.0.0.1", "localhost") and parts.port:
            proxies[name] = FaultProxy((parts.hostname, parts.port), seed=seed)
            port = await proxies[name].up()
            moved = urlunsplit(parts._replace(netloc=parts.netloc.replace(f":{parts.port}", f":{port}")))
            seen["CELERY_BROKER_URL" if name == "broker" else "DATABASE_URL"] = moved
    return replace(base, environment={"DATABASE_URL": base.url, **seen})


def _environment(plan: Plan, base: Ground, ports: Mapping[str, int], web: int, world: str) -> dict[str, str]:
    connect, messengers = f"http://127.0.0.1:{ports['connect']}", f"http://127.0.0.1:{ports['messengers']}"
    return {
        **base.environment,
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "PUBLIC_BASE_URL": f"http://127.0.0.1:{web}",
        "LOG_LEVEL": "INFO",
        "CELERY_QUEUE": plan.name,
        "AWS_ENDPOINT_URL": world,
        "AWS_ENDPOINT_URL_CONNECT": connect,
        "AWS_ENDPOINT_URL_CONNECTPARTICIPANT": connect,
        "AWS_ACCESS_KEY_ID": "chaos",
        "AWS_SECRET_ACCESS_KEY": "chaos",
        "AWS_REGION": "us-east-1",
        "GRAPH_API_BASE_URL": f"{messengers}/graph",
        "TWILIO_API_BASE_URL": f"{messengers}/twilio",
        "X_API_BASE_URL": f"{messengers}/x",
        "CONNECT_INSTANCE_ID": "chaos-instance",
        "CONNECT_CONTACT_FLOW_ID": FLOW,
    }


def _plant(plan: Plan) -> dict[str, str]:
    """Return what makes the product's processes carry a bug: a start-up file on their path, and its name."""
    if not plan.bug:
        return {}
    return {"PYTHONPATH": os.pathsep.join((str(PLANT), str(ROOT))), "PARLEY_PLANTED_BUG": plan.bug}


async def _accounts(run: Run) -> dict[int, str]:
    """Add our accounts through the product's own command; return their webhooks."""

    async def add(account: Any) -> tuple[int, str]:
        pairs = [word for pair in account.credentials.items() for word in ("--set", "=".join(pair))]
        output = await _command(run, "addaccount", account.kind, f"chaos {account.number}", *pairs, "--json")
        return account.number, str(json.loads(output)["webhook_url"])

    return dict([await add(account) for account in ACCOUNTS])


async def _command(run: Run, *arguments: str) -> bytes:
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        str(ROOT / "manage.py"),
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, complaint = await child.communicate()
    if child.returncode:
        raise SystemExit(f"manage.py {arguments[0]} failed: {complaint.decode()[-2000:]}")
    return output


async def _until_up(session: aiohttp.ClientSession, url: str) -> None:
    ends = time.monotonic() + UP_WITHIN
    while time.monotonic() < ends:
        try:
            async with session.get(url) as answer:
                if answer.status == 200:
                    return
        except aiohttp.ClientError:
            pass
        await asyncio.sleep(0.2)
    raise SystemExit(f"nothing answers at {url} after {UP_WITHIN:.0f} s: look at the logs under {VAR}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _port(url: str) -> int:
    return int(urlsplit(url).port or 0)
