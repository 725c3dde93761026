"""The web process: daphne, made to turn away what is too large, too long or too slow before the application sees it.

`python -m config.web -b 127.0.0.1 -p 8000 config.asgi:application`, with daphne's own options.
"""

from __future__ import annotations

import logging
import os
import sys
from argparse import ArgumentTypeError, Namespace
from functools import partial
from typing import Any

from daphne.cli import DEFAULT_HOST, CommandLineInterface
from daphne.http_protocol import HTTPFactory
from daphne.server import Server
from django.core.exceptions import ImproperlyConfigured
from twisted.logger import LogEvent, formatEvent, globalLogPublisher

from channels_app.infrastructure import gc_tuning
from config.capped_http import CappedChannel, CappedRequest
from config.http_limits import BODY_SECONDS, HEAD_SECONDS, TimeLimits
from config.ports import port_number, refuse_taken_port

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")


def log_as_we_do(event: LogEvent) -> None:
    """Log what Twisted caught as everything else is logged: Daphne has it thrown away."""
    failure = event.get("log_failure") or event.get("failure")
    text = str(event.get("why") or "an error in Twisted") if "failure" in event else formatEvent(event)
    level = logging.getLevelName(event["log_level"].name.upper())
    logging.getLogger("twisted").log(level, "%s", text, exc_info=failure.value if failure else None)


class CappedFactory(HTTPFactory):  # type: ignore[misc] # daphne is not typed
    """Makes a capped channel of every connection. HTTP/1.1 only: the proxy speaks the newer ones."""

    protocol = CappedChannel

    def __init__(self, server: CappedServer, time_limits: TimeLimits) -> None:
        super().__init__(server)
        self._time_limits = time_limits

    def buildProtocol(self, addr: Any) -> CappedChannel:  # noqa: N802 - Twisted's name
        channel: CappedChannel = super().buildProtocol(addr)
        channel.requestFactory = CappedRequest  # type: ignore[assignment] # makes requests all the same
        channel.time_limits = self._time_limits
        return channel

    def acceptableProtocols(self) -> list[bytes]:  # noqa: N802 - Twisted's name
        return [b"http/1.1"]


class CappedServer(Server):  # type: ignore[misc] # daphne is not typed
    """Daphne's server on our factory."""

    def __init__(self, time_limits: TimeLimits, **options: Any) -> None:
        super().__init__(**options)
        self._time_limits = time_limits

    def run(self) -> None:
        """Serve until a signal stops it. The application is loaded by now."""
        gc_tuning.tune()
        globalLogPublisher.addObserver(log_as_we_do)  # type: ignore[arg-type] # zope's interfaces are no types
        super().run()

    @property
    def http_factory(self) -> CappedFactory:
        """What listens. Daphne, which has no setting for it, assigns its own when it starts: ours takes its place."""
        return self._factory

    @http_factory.setter
    def http_factory(self, _daphnes: HTTPFactory) -> None:
        self._factory = CappedFactory(self, self._time_limits)


class Web(CommandLineInterface):  # type: ignore[misc] # daphne is not typed
    """Daphne's command line, with time_limits."""

    description = "Parley's web process: daphne with caps."

    def __init__(self) -> None:
        super().__init__()
        self.parser.prog = "python -m config.web"
        # Daphne's default prints every address, and with a handshake's the verify token.
        self.parser.set_defaults(verbosity=0)
        for name, seconds in (("head", HEAD_SECONDS), ("body", BODY_SECONDS)):
            about = f"Seconds that a client has for a request's {name}; then it is answered 408. Default {seconds:g}."
            self.parser.add_argument(f"--{name}-seconds", type=float, default=seconds, help=about)

    def run(self, args: list[str]) -> None:
        """Serve until a signal comes."""
        options = self.parser.parse_args(args)
        self._refuse_what_cannot_be(options)
        self.server_class = partial(CappedServer, TimeLimits(options.head_seconds, options.body_seconds))
        try:
            super().run(args)
        except ImproperlyConfigured as wrong:
            sys.exit(f"Parley's settings: {wrong}")

    def _refuse_what_cannot_be(self, options: Namespace) -> None:
        """Say in one line that nobody could listen there: daphne ends without a word and without an error."""
        if options.port is None or options.unix_socket or options.file_descriptor is not None or options.socket_strings:
            return
        try:
            refuse_taken_port((options.host or DEFAULT_HOST).strip("[]"), port_number(options.port))
        except (ArgumentTypeError, OSError) as problem:
            self.parser.exit(1, f"{problem}\n")


if __name__ == "__main__":
    Web.entrypoint()
