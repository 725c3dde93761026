"""How soon each process works again when the database was away, or its address moved. Needs root, Linux and iproute2.

The database runs in a network namespace of its own, the product in another. `move`: the database's name leads to
another address, and the old one is silent: what was connected hears nothing, not even a refusal. `away`: the same
address is silent for two minutes. Measured is the time from the moment at which the database can be reached again.

Only namespaces and links that this bench made are changed, and it removes them. Their addresses are of a network that
belongs to nobody (RFC 5737).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from bench import lab
from bench.sockets import environment
from config import embedded, postgres_place

if TYPE_CHECKING:
    from config.supervisor import Program

QUICK = {"seconds": 20.0, "rounds": ("away",)}
OUR, ITS, NET = "198.51.100.1", "198.51.100.2", 24
#: Seconds that a process may need before it counts as lost.
PATIENCE = 300.0
NETWORK, NAME = "198.51.100", "db.failover.test"
#: Kind of process → the last moment at which the database saw it work.
KINDS = {
    "web": "",
    "bridge": "SELECT max(extract(epoch FROM beat_at))::float8 FROM connect_bridge_bridge",
    "worker": "SELECT max(at) FROM bench_ran",
    "beat": "SELECT max(at) FROM bench_sent",
}


def run(seconds: float = 120.0, rounds: Sequence[str] = ("move", "away")) -> dict[str, dict[str, float]]:
    """Return, by round and kind of process, the seconds until it worked again."""
    if os.geteuid() != 0 or sys.platform != "linux" or shutil.which("ip") is None:
        print("!!! NOT MEASURED: failover needs root on Linux, and iproute2 (apt-get install iproute2)", flush=True)
        return {}
    results = {}
    with ground() as crew:
        crew.until_well()
        for name in rounds:
            results[name] = crew.lose(name, seconds)
            for kind, took in results[name].items():
                print(f"  {name:5} {kind:8} works again after {took:5.1f} s", flush=True)
            crew.until_well()
    return results


@dataclass(slots=True)
class Crew:
    """The product's processes, whether they work, and the network between them and the database."""

    inside: str
    direct: str
    web: int
    net: Network

    def lose(self, how: str, seconds: float) -> dict[str, float]:
        """Take the database away, give it back, and return how soon each kind of process worked."""
        if how == "move":
            self.net.move()
        else:
            self.net.cut()
            time.sleep(seconds)
            self.net.mend()
        back, took = time.time(), dict[str, float]()
        looks = [threading.Thread(target=self._watch, args=(kind, back, took)) for kind in KINDS]
        for look in looks:
            look.start()
        for look in looks:
            look.join()
        return {kind: took.get(kind, float("inf")) for kind in KINDS}

    def until_well(self) -> None:
        """Wait until all of them work."""
        since = time.time()
        for kind in KINDS:
            self._watch(kind, since, {})

    def until(self, what: str, reached: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not reached():
            if time.monotonic() > deadline:
                raise SystemExit(f"no {what} after {PATIENCE:.0f} s; look at var/bench-failover-*.log")
            time.sleep(0.3)

    def ask(self, query: str) -> Any:
        with psycopg.connect(self.direct, autocommit=True) as database:
            row = database.execute(query.encode()).fetchone()
        return row and row[0]

    def _watch(self, kind: str, since: float, took: dict[str, float]) -> None:
        while time.time() - since < PATIENCE:
            if self._web_answers() if kind == "web" else (self.ask(KINDS[kind]) or 0.0) > since:
                took[kind] = time.time() - since
                return
            time.sleep(0.1)

    def _web_answers(self) -> bool:
        """Ask for the health, from inside: 200 is that the database answered."""
        code = f"import urllib.request as u; u.urlopen('http://127.0.0.1:{self.web}/-/health/', timeout=30)"
        command = ["ip", "netns", "exec", self.inside, sys.executable, "-c", code]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


#: When beat put a task into the queue, and when a worker took one out, as the database saw it.
MARKS = """
CREATE TABLE bench_sent (at float8); CREATE TABLE bench_ran (at float8);
CREATE FUNCTION bench_sent() RETURNS trigger LANGUAGE plpgsql AS
 $$ BEGIN INSERT INTO bench_sent VALUES (extract(epoch FROM clock_timestamp())); RETURN NULL; END $$;
CREATE FUNCTION bench_ran() RETURNS trigger LANGUAGE plpgsql AS
 $$ BEGIN INSERT INTO bench_ran VALUES (extract(epoch FROM clock_timestamp())); RETURN NULL; END $$;
CREATE TRIGGER bench_sent AFTER INSERT ON pgmq.q_parley EXECUTE FUNCTION bench_sent();
CREATE TRIGGER bench_ran AFTER DELETE ON pgmq.q_parley EXECUTE FUNCTION bench_ran();
"""


@dataclass(slots=True)
class Network:
    """Two namespaces, ours and the database's, and a link between them. Only what is made here is ever changed."""

    ours: str
    its: str
    last: int = 1

    def lay(self) -> None:
        """Make both, and a link; our end knows the other's hardware address for ever, so silence is silence."""
        for name in (self.ours, self.its):
            _ip("netns", "add", name)
            _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", self.ours, "link", "add", "pb0", "type", "veth", "peer", "name", "pb1", "netns", self.its)
        _ip("-n", self.ours, "address", "add", f"{NETWORK}.1/24", "dev", "pb0")
        for name, end in ((self.ours, "pb0"), (self.its, "pb1")):
            _ip("-n", name, "link", "set", end, "up")
        self.hosts.parent.mkdir(parents=True)
        self.hosts.touch()
        self.move()

    def take_up(self) -> None:
        for name in (self.ours, self.its):
            with suppress(subprocess.CalledProcessError):
                _ip("netns", "delete", name)
        shutil.rmtree(self.hosts.parent, ignore_errors=True)

    @property
    def hosts(self) -> Path:
        """What `ip netns exec` shows as /etc/hosts there."""
        return Path("/etc/netns") / self.ours / "hosts"

    @property
    def address(self) -> str:
        return f"{NETWORK}.{self.last}"

    def move(self) -> None:
        """Let the name lead to another address, where the same database answers; the old one falls silent."""
        if self.last > 1:
            self.cut()
        self.last += 1
        hardware = Path("/sys/class/net/pb1/address")
        finished = subprocess.run(
            ["ip", "netns", "exec", self.its, "cat", str(hardware)], check=True, capture_output=True, text=True
        )
        permanent = ("lladdr", finished.stdout.strip(), "dev", "pb0", "nud", "permanent")
        _ip("-n", self.ours, "neighbour", "replace", self.address, *permanent)
        self.mend()
        self.hosts.write_text(f"127.0.0.1 localhost\n{self.address} {NAME}\n")

    def cut(self) -> None:
        """Nobody has the address any more: what is sent there is taken by the link and answered by nobody."""
        _ip("-n", self.its, "address", "delete", f"{self.address}/24", "dev", "pb1")

    def mend(self) -> None:
        _ip("-n", self.its, "address", "add", f"{self.address}/24", "dev", "pb1")


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


@contextmanager
def ground() -> Iterator[Crew]:
    """Run a database and the product for as long as the block, each in a namespace of its own."""
    mark = f"{os.getpid():x}"
    net = Network(f"parley-o{mark}", f"parley-d{mark}")
    with ExitStack() as stack:
        stack.callback(net.take_up)
        net.lay()
        here = stack.enter_context(_server(net, lab.VAR / f"failover-{mark}"))
        web = 8000
        url = f"postgres://postgres@{NAME}:5432/parley"
        env = {**environment(url, "http://127.0.0.1:9"), "PUBLIC_BASE_URL": f"http://127.0.0.1:{web}", "PORT": str(web)}
        lab.manage("migrate", "-v", "0", env={**env, "DATABASE_URL": here.url()})
        for program in [program for group in _programs(web) for program in group]:
            command = ["ip", "netns", "exec", net.ours, *program.command]
            stack.enter_context(lab.process(command, env, f"failover-{program.name}"))
        crew = Crew(net.ours, here.url(), web, net)
        crew.until("a worker", lambda: crew.ask("SELECT to_regclass('pgmq.q_parley') IS NOT NULL"))
        with psycopg.connect(here.url(), autocommit=True) as database:
            database.execute(MARKS)
        yield crew


def _programs(web: int) -> list[list[Program]]:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from config.processes import product

    return product(web)


@contextmanager
def _server(net: Network, var: Path) -> Iterator[postgres_place.Place]:
    """Run a private PostgreSQL that listens in its namespace; it is still reached from here by its socket."""
    with embedded.running(var) as here:  # makes it all
        pass
    with (here.data / "pg_hba.conf").open("a") as rules:
        rules.write(f"host all all {NETWORK}.0/24 trust\n")
    user = ["setpriv", f"--reuid={embedded.SYSTEM_USER}", f"--regid={embedded.SYSTEM_USER}", "--clear-groups"]
    options = ["listen_addresses=*", f"unix_socket_directories={here.socket}", "max_connections=200", "fsync=off"]
    server = [
        str(here.programs / "postgres"),
        "-D",
        str(here.data),
        *(word for option in options for word in ("-c", option)),
    ]
    with lab.process(["ip", "netns", "exec", net.its, *user, *server], {}, "failover-database"):
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                psycopg.connect(here.url()).close()
                break
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
        yield here
    shutil.rmtree(here.lock.parent, ignore_errors=True)
