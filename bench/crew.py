"""The whole product as production runs it, with several bridges, and the simulated world that it lives in."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import psycopg

from bench import lab
from bench.sockets import PAGE, environment

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

FLOW = "flow"
AGENT = "bench"
_PREFIX = "55512345"
CREDENTIALS = {"app_secret": "bench-app-secret", "page_id": PAGE, "page_access_token": "token", "verify_token": "v"}
#: Seconds for the product to come up, and for all chats to open or to come to rest.
PATIENCE = 300.0
#: Calls of the bench itself that are under way at once.
AT_ONCE = 24
BUSY = """
SELECT (SELECT count(*) FROM channels_app_inboundentry WHERE state = 'pending' AND type = 'message')
     + (SELECT count(*) FROM connect_bridge_message WHERE direction = 'in' AND status = 'stored')
     + (SELECT count(*) FROM connect_bridge_outboxentry WHERE state IN ('pending', 'claimed', 'uncertain'))
"""
OWNED = """
SELECT b.pid, count(*) FROM connect_bridge_conversation c JOIN connect_bridge_bridge b ON b.id = c.owner_id
  JOIN connect_bridge_contact t ON t.conversation_id = c.id AND t.state = 'connected' GROUP BY 1
"""
CHATS = """
SELECT t.initial_contact_id, i.external_id FROM connect_bridge_contact t
  JOIN connect_bridge_conversation c ON c.id = t.conversation_id JOIN customers_identity i ON i.id = c.identity_id
 WHERE t.state = 'connected' AND (%(pid)s::int IS NULL
    OR c.owner_id = (SELECT id FROM connect_bridge_bridge WHERE pid = %(pid)s ORDER BY started_at DESC LIMIT 1))
"""


@dataclass(slots=True)
class Crew:
    """The running processes. `world` is the outside world's address, `ledger` the file of what it saw."""

    name: str
    url: str
    world: str
    ledger: Path
    env: Mapping[str, str]
    processes: dict[str, psutil.Process] = field(default_factory=dict)
    _commands: dict[str, Sequence[str]] = field(default_factory=dict)
    _stack: ExitStack = field(default_factory=ExitStack)
    _starts: int = 0

    def start(self, name: str, command: Sequence[str] = ()) -> None:
        """Start a process; the same again, if it was started before and has ended."""
        self._commands.setdefault(name, command)
        self._starts += 1
        log = f"{self.name}-{name}-{self._starts}"
        self.processes[name] = self._stack.enter_context(lab.process(self._commands[name], dict(self.env), log))

    def kill(self, name: str) -> float:
        """End a process by SIGKILL; return the Unix time of that."""
        at = time.time()
        self.processes[name].kill()
        return at

    @property
    def bridges(self) -> list[str]:
        return [name for name in self.processes if name.startswith("bridge")]

    def database(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.url, autocommit=True)

    def owners(self) -> dict[str, int]:
        """Return how many open chats each bridge has."""
        with self.database() as database:
            counts = dict(database.execute(OWNED).fetchall())
        return {name: int(counts.get(self.processes[name].pid, 0)) for name in self.bridges}

    def chats_of(self, bridge: str | None = None) -> dict[str, str]:
        """Return Connect's contact and the customer's id of each open chat, of one bridge or of all."""
        pid = None if bridge is None else self.processes[bridge].pid
        with self.database() as database:
            return dict(database.execute(CHATS, {"pid": pid}).fetchall())

    def until_open(self, chats: int) -> None:
        """Wait until so many chats are open."""
        self.until(f"{chats} open chats", lambda: len(self.chats_of()) >= chats)

    def until_quiet(self) -> None:
        """Wait until nothing is under way in either direction."""

        def quiet() -> bool:
            with self.database() as database:
                return database.execute(BUSY).fetchone() == (0,)

        self.until("rest", quiet)
        time.sleep(1.0)  # the messenger's receipts
        self.until("rest", quiet)

    def until_joined(self, bridge: str) -> None:
        """Wait until a bridge that was just started takes part."""

        def joined() -> bool:
            with self.database() as database:
                pids = database.execute("SELECT pid FROM connect_bridge_bridge").fetchall()
            return (self.processes[bridge].pid,) in pids

        self.until(f"sign of {bridge}", joined)

    def until(self, what: str, reached: Callable[[], bool], seconds: float = PATIENCE) -> None:
        deadline = time.monotonic() + seconds
        while not reached():
            if time.monotonic() > deadline:
                raise SystemExit(f"no {what} after {seconds:.0f} s; look at var/bench-{self.name}-*.log")
            time.sleep(0.3)

    def reconcile(self) -> Mapping[str, Any]:
        """Let the product compare itself with the world; exit if it finds anything missing."""
        command = [sys.executable, str(lab.ROOT / "manage.py"), "reconcile", "--json"]
        environment = {**os.environ, **self.env}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"reconcile found gaps ({done.returncode}): {done.stdout[-2000:]}{done.stderr[-500:]}")
        compared: Mapping[str, Any] = json.loads(done.stdout)["compared"]
        return compared

    def lines(self) -> Iterator[dict[str, Any]]:
        """Yield what the world saw, from its beginning."""
        with self.ledger.open("rb") as file:
            yield from (json.loads(raw) for raw in file if raw.endswith(b"}\n"))


@contextmanager
def crew(name: str, *, bridges: int = 2, flow: Mapping[str, Any] | None = None) -> Iterator[Crew]:
    """Run a world without quotas and the product, on a fresh database, for as long as the block."""
    from config.processes import product

    port, web = lab.free_port(), lab.free_port()
    world = f"http://127.0.0.1:{port}"
    ledger = lab.VAR / f"bench-{name}-ledger.jsonl"
    lab.VAR.mkdir(exist_ok=True)
    ledger.unlink(missing_ok=True)
    with lab.database(f"bench_{name}") as url:
        env = {**environment(url, world), "PUBLIC_BASE_URL": f"http://127.0.0.1:{web}", "PORT": str(web)}
        lab.manage("migrate", "-v", "0", env=env)
        account = lab.add_account("messenger", env, **CREDENTIALS)
        running = Crew(name, url, world, ledger, env)
        with running._stack, _pointed_at(url):  # noqa: SLF001 - its own module
            programs = {program.name: program.command for group in product(web) for program in group}
            options = ("--port", str(port), "--quotas", "off", "--ledger", str(ledger))
            running.start("simulator", lab.python("manage.py", "simulator", *options))
            lab.until_answers(f"{world}/world/health")
            lab.call("PUT", f"{world}/world/flows/{FLOW}", {"auto_accept": AGENT, **(flow or {})})
            form = {"kind": "messenger", "webhook_url": account["webhook_url"], "credentials": CREDENTIALS}
            lab.call("POST", f"{world}/phones/accounts", form)
            for program in ("worker", "beat", "web"):
                running.start(program, programs[program])
            for number in range(1, bridges + 1):
                running.start(f"bridge{number}", programs["bridge"])
            lab.until_answers(f"http://127.0.0.1:{web}/-/alive/")
            yield running


@contextmanager
def _pointed_at(url: str) -> Iterator[None]:
    """Let our own settings know the database, so that they start none."""
    before = os.environ.get("DATABASE_URL")
    os.environ["DATABASE_URL"] = url
    try:
        yield
    finally:
        if before is None:
            del os.environ["DATABASE_URL"]
        else:
            os.environ["DATABASE_URL"] = before


@dataclass(slots=True)
class Outside:
    """Customers and agents, as the bench plays them."""

    world: str
    session: aiohttp.ClientSession
    agents: dict[str, str] = field(default_factory=dict)

    async def write(self, customer: int, text: str) -> None:
        """Let a customer write; return when the webhook has been delivered once."""
        sender = {"id": customer_id(customer), "name": f"Customer {customer}"}
        await self._call("POST", f"/phones/messenger/{PAGE}/messages", {"from": sender, "content": {"text": text}})

    async def take_seats(self) -> None:
        """Give every open chat's agent a connection of their own, by Connect's InitialContactId."""
        for chat in await self._call("GET", f"/ccp/contacts?agent={AGENT}"):
            if chat["initial_contact_id"] not in self.agents:
                headers = {"X-Amz-Bearer": chat["participant_token"]}
                body = {"Type": ["CONNECTION_CREDENTIALS"], "ConnectParticipant": True}
                answer = await self._call("POST", "/participant/connection", body, headers)
                self.agents[chat["initial_contact_id"]] = answer["ConnectionCredentials"]["ConnectionToken"]

    async def say(self, contact: str, text: str) -> None:
        """Let the chat's agent say something; again while Connect says 429, as an agent would."""
        body = {"ContentType": "text/plain", "Content": text}
        await self._call("POST", "/participant/message", body, {"X-Amz-Bearer": self.agents[contact]})

    async def end_a_chat(self, agent: str) -> None:
        """End one of this agent's chats."""
        chats = await self._call("GET", f"/ccp/contacts?agent={agent}")
        if chats:
            contact = random.choice(chats)["contact_id"]
            await self._call("POST", f"/ccp/contacts/{contact}/end", {"agent_id": agent})

    async def quotas(self, *, on: bool) -> None:
        await self._call("PUT", "/world/settings", {"quotas": on})

    async def _call(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Any:
        async with self.session.request(method, self.world + path, json=body, headers=headers) as answer:
            raw = await answer.read()
            if answer.status >= 400:
                raise SystemExit(f"{method} {path}: {answer.status} {raw[:200]!r}")
            return json.loads(raw) if raw else None


@asynccontextmanager
async def outside(crew: Crew) -> AsyncIterator[Outside]:
    connector = aiohttp.TCPConnector(limit=AT_ONCE)
    async with aiohttp.ClientSession(connector=connector) as session:
        yield Outside(crew.world, session)


def customer_id(number: int) -> str:
    return f"{_PREFIX}{number:08}"


def customer_number(customer: str) -> int:
    return int(customer.removeprefix(_PREFIX))
