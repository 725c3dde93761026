from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import aiohttp
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from config import embedded
from config.env import Env
from config.ports import port_number, refuse_taken_port
from config.processes import host, product, until_it_answers
from config.supervisor import Program, Supervisor
from sandbox import demo
from sandbox.alone import Taken, the_only_one, the_only_one_on
from sandbox.tour import Tour
from sandbox.tour_day import Office
from sandbox.visitors import World

WELCOME = """
Parley's sandbox is open: the whole product, with a simulated outside world.

  Page      {url}/sandbox/     three phones and an agent desktop
  Numbers   {url}/dashboards/  what managers see; its made-up weeks are there in half a minute
  Admin     {url}/admin/       login {login}, password {password}
  World     {world}     the simulated X, Meta, Twilio and Amazon

Try: write on a phone, accept the chat at the desk, answer, see the answer on the phone.
Ctrl-C ends it. Everything stays in the database {database}.
"""


#: Weeks of made-up chats that a new sandbox's dashboards begin with.
WEEKS = 4


class Command(BaseCommand):
    help = "Run Parley with a simulated outside world: phones, messengers, Amazon Connect, an agent desktop."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--port", type=port_number, default=settings.PORT, help="where the web listens (default: PORT)"
        )
        parser.add_argument(
            "--weeks", type=int, default=WEEKS, help="made-up weeks in the dashboards, once (default: %(default)s)"
        )
        parser.add_argument("--tour", action="store_true", help="play a conversation on every channel, then end")

    def handle(self, **options: Any) -> None:
        port: int = options["port"]
        try:
            with _alone(port):
                refuse_taken_port(host(), port)
                passed = self._run(port, options)
        except (OSError, Taken) as taken:
            raise CommandError(str(taken)) from None
        sys.exit(0 if passed else 1)

    def _run(self, port: int, options: dict[str, Any]) -> bool:
        world = f"http://127.0.0.1:{_free_port()}"
        demo.move_in(world, port, _database_url())
        seeded = _seed()
        supervisor = Supervisor([[_simulator(world)], *product(port)])
        self._weeks: int = 0 if options["tour"] else options["weeks"]
        return asyncio.run(self._open(supervisor, world, port, seeded, tour=options["tour"]))

    async def _open(self, supervisor: Supervisor, url: str, port: int, seeded: dict[str, Any], *, tour: bool) -> bool:
        passed = True
        past: asyncio.subprocess.Process | None = None

        async def welcome() -> None:
            nonlocal passed, past
            async with aiohttp.ClientSession() as session:
                world = World(url, session)
                await world.until_it_answers()
                address = await until_it_answers(port)
                await world.introduce(seeded["webhooks"])
                if tour:
                    office = Office(address, seeded["token"], session)
                    passed = await Tour(world, self.stdout.write, office).run()
                    supervisor.stop()
                    return
                name = os.environ["DATABASE_URL"].rpartition("/")[2]
                self.stdout.write(
                    WELCOME.format(url=address, world=url, login=demo.LOGIN, password=seeded["password"], database=name)
                )
                self.stdout.flush()
                past = await self._make_up_the_past()

        await supervisor.run(welcome)
        if past is not None and past.returncode is None:
            past.terminate()
            await past.wait()
        return passed

    async def _make_up_the_past(self) -> asyncio.subprocess.Process | None:
        """Fill the dashboards beside the running product, which does not wait for it."""
        if self._weeks <= 0:
            return None
        days = str(7 * self._weeks)
        command = _manage("seeddemo", "--once", "--gently", "--no-progress", "--json", "--days", days)
        return await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)


@contextmanager
def _alone(port: int) -> Iterator[None]:
    """Be the only sandbox of our database. Raises Taken, OSError."""
    with ExitStack() as stack:
        if not Env().str("DATABASE_URL", ""):
            stack.enter_context(the_only_one(settings.VAR_DIR, port))
        stack.enter_context(the_only_one_on(_database_url(), port))
        yield


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _database_url() -> str:
    """Return DATABASE_URL if it is set; else a database of the private server, apart from a real Parley's."""
    if configured := Env().str("DATABASE_URL", ""):
        return str(configured)
    embedded.ensure_database(embedded.place(settings.VAR_DIR), demo.DATABASE)
    return embedded.url(settings.VAR_DIR, demo.DATABASE)


def _manage(*arguments: str) -> list[str]:
    return [sys.executable, str(settings.BASE_DIR / "manage.py"), *arguments]


def _simulator(world: str) -> Program:
    return Program("world", _manage("simulator", "--port", world.rpartition(":")[2]))


def _seed() -> dict[str, Any]:
    """Migrate and seed in a process of its own: this one's settings were read before the sandbox's were made."""
    done = subprocess.run(_manage("seedsandbox"), stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603 - ours
    if done.returncode != 0:
        raise CommandError("The sandbox's database could not be prepared; the reason is above.")
    seeded: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return seeded
