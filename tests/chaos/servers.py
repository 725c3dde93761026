"""Database servers that are ours alone, with a disk that can be filled or a standby that can be promoted."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from config import embedded, postmaster

#: MiB of the small disk: the server's own files, its log and a run take some 150.
DISK = 256
#: Bytes; less is full.
BLOCK = 4096
#: The log must be small enough for the small disk.
SMALL_LOG = ("min_wal_size = '32MB'", "max_wal_size = '64MB'")
#: Seconds that a standby may take to have what its primary has.
CATCH_UP = 30.0


class Impossible(SystemExit):
    """This machine does not let us; says what it would need."""


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk that is small enough to be filled."""

    folder: Path

    def fill(self) -> None:
        """Leave no byte."""
        with (self.folder / "filler").open("ab") as file:
            while (left := shutil.disk_usage(self.folder).free) >= BLOCK:
                try:
                    os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, left)
                except OSError:  # somebody else took some of it meanwhile
                    time.sleep(0.05)

    def free(self) -> None:
        (self.folder / "filler").unlink(missing_ok=True)


@contextmanager
def small_disk(folder: Path) -> Iterator[tuple[embedded.Place, Disk]]:
    """Run an embedded server whose files lie on a disk of their own, in memory. Only root may make one."""
    home = embedded.place(folder).data.parent
    home.mkdir(parents=True, exist_ok=True)
    size = f"size={DISK}m,mode=755"
    if subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", home], check=False, capture_output=True).returncode:
        raise Impossible("no small disk: this user, or this container, may not mount one")
    try:
        with embedded.running(folder) as place:
            with psycopg.connect(place.url("postgres"), autocommit=True) as connection:
                for setting in SMALL_LOG:
                    connection.execute(f"ALTER SYSTEM SET {setting}".encode())
                connection.execute("SELECT pg_reload_conf()")
            yield place, Disk(home)
    finally:
        subprocess.run(["umount", "-l", home], check=False)


@dataclass(slots=True)
class Server:
    """One server on a port of its own, asking no password. `folder` holds its data."""

    place: embedded.Place
    folder: Path
    port: int
    options: str = ""

    @property
    def url(self) -> str:
        return f"postgres://postgres@127.0.0.1:{self.port}/postgres"

    def run(self, program: str, *arguments: str) -> None:
        postmaster.run_program(self.place, program, *arguments)

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c max_connections=200"
        log = str(self.folder / "server.log")
        self.run("pg_ctl", "-D", str(self.folder), "-w", "-l", log, "-o", f"{options} {self.options}", "start")

    def stop(self, mode: str) -> None:
        postmaster.run_program(self.place, "pg_ctl", "-D", str(self.folder), "-m", mode, "-w", "stop", check=False)

    def ask(self, query: str) -> object:
        with psycopg.connect(self.url, autocommit=True) as connection:
            row = connection.execute(query.encode()).fetchone()
        return row[0] if row else None


@dataclass(slots=True)
class Pair:
    """A primary and its standby, by streaming replication; the standby takes the primary's place and port."""

    primary: Server
    standby: Server

    def cut(self) -> None:
        """Let the standby hear no more of its primary."""
        with psycopg.connect(self.standby.url, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET primary_conninfo = ''")
            connection.execute("SELECT pg_reload_conf()")

    def fail_over(self) -> None:
        """Kill the primary and put the standby in its place, under the same address."""
        self.primary.stop("immediate")
        self.standby.run("pg_ctl", "-D", str(self.standby.folder), "-w", "promote")
        self.standby.stop("fast")
        self.standby.port = self.primary.port
        self.standby.start()


@contextmanager
def pair(folder: Path, ports: tuple[int, int], *, synchronous: bool) -> Iterator[Pair]:
    """Run a primary with a standby that has caught up. `synchronous`: no commit is told before the standby has it."""
    with embedded.running(folder) as place:  # for its programs and its user
        home = place.data.parent / "pair"
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(mode=0o755)
        if place.user is not None:
            shutil.chown(home, place.user)
        waits = "-c synchronous_standby_names=*" if synchronous else ""
        primary, standby = Server(place, home / "one", ports[0]), Server(place, home / "two", ports[1])
        one = str(primary.folder)
        primary.run("initdb", "-D", one, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8")
        try:
            primary.start()
            source = ("-h", "127.0.0.1", "-p", str(primary.port), "-U", "postgres")
            primary.run("pg_basebackup", "-D", str(standby.folder), "-R", "-X", "stream", *source)
            standby.start()
            _until_caught_up(primary)
            if waits:
                primary.stop("fast")
                primary.options = waits
                primary.start()
                _until_caught_up(primary)
            yield Pair(primary, standby)
        finally:
            for server in (primary, standby):
                server.stop("immediate")
            shutil.rmtree(home, ignore_errors=True)


def _until_caught_up(primary: Server) -> None:
    deadline = time.monotonic() + CATCH_UP
    while primary.ask("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'") != 1:
        if time.monotonic() > deadline:
            raise Impossible(f"the standby does not follow its primary: see {primary.folder.parent}/*/server.log")
        time.sleep(0.2)
