"""Whether we can listen on the configured port, and what to do if not."""

from __future__ import annotations

import argparse
import errno
import socket

HIGHEST = 65_535
PRIVILEGED = 1_024


def port_number(text: str | int) -> int:
    """Return the port that is meant. Raises argparse.ArgumentTypeError that says what is wrong."""
    try:
        port = int(text)
    except ValueError:
        port = 0
    if not 1 <= port <= HIGHEST:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: give a number from 1 to {HIGHEST}, for example 8000")
    return port


def port_or_any(text: str) -> int:
    """Return the port that is meant, 0 for any that is free."""
    return 0 if text == "0" else port_number(text)


def refuse_taken_port(host: str, port: int) -> None:
    """Raise OSError, saying what to do, if nobody could listen there now."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen()  # bind alone succeeds beside a listener that is bound by another name
    except OSError as problem:
        raise OSError(
            f"Cannot listen on {host} port {port}: {problem.strerror}. {_advice(problem, host, port)}"
        ) from None


def _advice(problem: OSError, host: str, port: int) -> str:
    if isinstance(problem, socket.gaierror) or problem.errno == errno.EADDRNOTAVAIL:
        return f"{host} is no address of this machine. Correct HOST: 127.0.0.1, or 0.0.0.0 for all of its addresses"
    if problem.errno == errno.EACCES and port < PRIVILEGED:
        return (
            f"Ports below {PRIVILEGED} are not for ordinary users. Choose another one (--port {port + 8000}) and put a"
            f" proxy in front of it"
        )
    other = port + 1 if port < HIGHEST else port - 1
    return (
        "Likely something else runs there (perhaps another Parley). Stop it, or choose another port: "
        f"--port {other} (make demo PORT={other})"
    )


def url_of(host: str, port: int) -> str:
    """Return the address at which this machine reaches what listens on `host`."""
    here = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"http://[{here}]:{port}" if ":" in here else f"http://{here}:{port}"
