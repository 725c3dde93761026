"""`python -m tests.at MOMENT [-- OPTIONS OF PYTEST]`: run the tests as if it were another time, in another zone.

Everything that a test starts, the private PostgreSQL included, gets the same clock, which goes on from there. Needs a C
compiler. `--seed` chooses the moment and the zone; the same seed chooses the same on the same day.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from config import embedded, postmaster

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "tests" / "chaos" / "clock.c"
#: For a server of their own: one that runs already has another clock.
VAR = ROOT / "var" / "at" / "tests"
#: The zone that tests run in otherwise, one with clock changes, and one that is half an hour off as well.
ZONES = ("UTC", "Europe/Madrid", "America/St_Johns")
#: Clocks change on the half hour of UTC in some zones.
STEP = timedelta(minutes=30)


def _today(now: datetime, hour: int, minute: int, second: int) -> datetime:
    return now.replace(hour=hour, minute=minute, second=second)


def _month_ends(now: datetime) -> datetime:
    first_of_next = (now.replace(day=1) + timedelta(days=32)).replace(day=1)
    return _today(first_of_next - timedelta(days=1), 23, 58, 0)


def _clocks_change(now: datetime, way: int) -> datetime:
    """Return two minutes before the clocks next go forward (1) or back (-1); a year on where they never do."""
    moment = now.astimezone(UTC).replace(minute=0, second=0)
    for _ in range(366 * 48):
        before, after = (one.astimezone(now.tzinfo).utcoffset() for one in (moment, moment + STEP))
        moment += STEP
        if before is not None and after is not None and (after - before) * way > timedelta(0):
            break
    return (moment - timedelta(minutes=2)).astimezone(now.tzinfo)


MOMENTS: dict[str, Callable[[datetime], datetime]] = {
    "midnight": lambda now: _today(now, 23, 59, 30),
    "night": lambda now: _today(now, 0, 4, 0),
    "hour": lambda now: _today(now, 19, 59, 0),
    "month-end": _month_ends,
    "spring": lambda now: _clocks_change(now, 1),
    "autumn": lambda now: _clocks_change(now, -1),
}


def asked(words: Sequence[str]) -> tuple[str, str, list[str]]:
    """Return the moment, the zone and pytest's own words, which stand behind `--`; leave with a sentence if unclear."""
    words, for_pytest = list(words), list[str]()
    if "--" in words:
        here = words.index("--")
        words, for_pytest = words[:here], words[here + 1 :]
    parser = argparse.ArgumentParser(prog="python -m tests.at", description=__doc__)
    parser.add_argument("moment", nargs="?", choices=MOMENTS)
    parser.add_argument("--zone", default="UTC", help="the organisation's zone (TIME_ZONE)")
    parser.add_argument("--seed", help="choose moment and zone by it")
    options = parser.parse_args(words)
    if options.seed is not None:
        dice = random.Random(options.seed)
        return dice.choice(list(MOMENTS)), dice.choice(ZONES), for_pytest
    if options.moment is None:
        parser.error(f"name a moment: {', '.join(MOMENTS)}; or give --seed")
    return options.moment, options.zone, for_pytest


def main() -> int:
    name, zone_name, for_pytest = asked(sys.argv[1:])
    moment = MOMENTS[name](datetime.now(ZoneInfo(zone_name)))
    print(f"The tests run as if it were {moment:%d %b %Y %H:%M:%S %Z}: {name}, {zone_name}.", flush=True)
    with tempfile.TemporaryDirectory(prefix="parley-at-") as folder:
        Path(folder).chmod(0o755)  # the database's own user reads the clock, too
        return _run(Path(folder), moment, zone_name, for_pytest)


def _run(folder: Path, moment: datetime, zone: str, arguments: list[str]) -> int:
    library, clock = folder / "clock.so", folder / "clock"
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        print("NOT TESTED at another time: no C compiler here. On Debian: apt-get install gcc libc6-dev")
        return int(os.environ.get("CI", "").lower() in ("1", "true"))
    if not _nobody_else():
        print(f"Tests run at another time in {VAR} already, with a server of their own: wait until they have ended.")
        return 2
    subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", str(library), str(SOURCE)], check=True)
    ahead = round((moment - datetime.now(UTC)).total_seconds())
    clock.write_bytes(ahead.to_bytes(8, "little", signed=True))
    clock.chmod(0o644)
    environment = {
        **os.environ,
        "LD_PRELOAD": str(library),
        "PARLEY_CLOCK": str(clock),
        "TIME_ZONE": zone,
        "PARLEY_VAR": str(VAR),
    }
    return subprocess.run(
        [sys.executable, "-m", "pytest", *arguments], env=environment, cwd=ROOT, check=False
    ).returncode


def _nobody_else() -> bool:
    """Stop the server of a run that was killed, whose clock is another; return whether none is left."""
    with embedded.running(VAR) as here:
        pass  # whoever leaves last stops it
    return not postmaster.is_running(here)


if __name__ == "__main__":
    sys.exit(main())
