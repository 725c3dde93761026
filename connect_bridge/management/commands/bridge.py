"""Run one bridge: relay between the store and Amazon Connect until told to stop."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import uvloop
from django.core.management.base import BaseCommand

from connect_bridge.bridge.process import Bridge


class Command(BaseCommand):
    help = "Relay conversations to Amazon Connect and back. Any number may run; SIGTERM hands over and stops."

    def handle(self, *_args: Any, **_options: Any) -> None:
        uvloop.run(_run())


async def _run() -> None:
    bridge = Bridge()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, bridge.stop)
    await bridge.run()
