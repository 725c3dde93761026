"""Write down what Parley is made of (a CycloneDX file), and ask whether any of it has a known weakness.

A source of advisories counts only if it knows a weakness that has been public for years: behind a mirror of a package
index a source may answer, and know nothing. Where none counts, that is said loudly and nothing fails; where one does, a
known weakness, or a package that it was not asked about, fails.

"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements.txt"
#: Django 3.2's first release: CVE-2021-44420 and many others.
KNOWN_WEAK = "django==3.2"
SOURCES = ("osv", "pypi")
#: Seconds for a question to a source: about one package, and about all.
ONE, ALL = 45, 240
_PINNED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;\\]+)", re.MULTILINE)

#: Runs a command for so many seconds at most; returns its status and what it wrote, or None if it took longer.
Run = Callable[[Sequence[str], int], "tuple[int, str] | None"]


def run(command: Sequence[str], seconds: int) -> tuple[int, str] | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)  # noqa: S603 - our own words
    except subprocess.TimeoutExpired:
        return None
    return done.returncode, done.stdout


def pinned(text: str) -> list[tuple[str, str]]:
    """Return names and versions of a file of requirements."""
    return sorted({(re.sub(r"[-_.]+", "-", name).lower(), version) for name, version in _PINNED.findall(text)})


def bill(packages: Sequence[tuple[str, str]]) -> dict[str, object]:
    """Return the bill of materials, in the form of https://cyclonedx.org/docs/1.6/json/ ."""
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": "parley", "bom-ref": "parley"}},
        "components": [
            {"type": "library", "name": name, "version": version, "purl": purl, "bom-ref": purl}
            for name, version in packages
            for purl in [f"pkg:pypi/{name}@{version}"]
        ],
    }


def weaknesses(source: str, requirements: Path, seconds: int, ask: Run = run) -> list[str] | None:
    """Return the weaknesses that a source knows of; None if it does not answer, or leaves a package out."""
    command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--no-deps", "--progress-spinner", "off"]
    more = ["-s", source, "-f", "json", "--timeout", "10", "-r", str(requirements)]
    answer = ask([*command, *more], seconds)
    if answer is None:
        return None
    try:
        looked_at = json.loads(answer[1])["dependencies"]
        if any("skip_reason" in package for package in looked_at):
            return None
        return [
            f"{package['name']} {package['version']}: {weak['id']}"
            for package in looked_at
            for weak in package["vulns"]
        ]
    except (ValueError, KeyError, TypeError):
        return None


def audit(say: Callable[[str], object], ask: Run = run) -> int:
    """Ask the first source that counts; return 1 if something of ours is weak."""
    with tempfile.TemporaryDirectory() as folder:
        canary = Path(folder) / "known-weak.txt"
        canary.write_text(f"{KNOWN_WEAK}\n")
        for source in SOURCES:
            if not weaknesses(source, canary, ONE, ask):
                say(f"{source}: does not know that {KNOWN_WEAK} is weak; it is not believed")
                continue
            known = weaknesses(source, REQUIREMENTS, ALL, ask)
            if known is None:
                say(f"{source}: did not answer for everything in {REQUIREMENTS.name}")
                continue
            say("\n".join(known) if known else f"{source}: no known weakness in {REQUIREMENTS.name}")
            return 1 if known else 0
    bar = "!" * 88
    say(
        f"{bar}\n! ADVISORIES WERE NOT CHECKED: no source of them answers here. Run `make audit` where one does.\n{bar}"
    )
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bom", type=Path, default=ROOT / "var" / "bom.json")
    options = parser.parse_args()
    packages = pinned(REQUIREMENTS.read_text(encoding="utf-8"))
    options.bom.parent.mkdir(parents=True, exist_ok=True)
    options.bom.write_text(json.dumps(bill(packages), indent=1) + "\n", encoding="utf-8")
    print(f"{options.bom}: {len(packages)} packages (CycloneDX)")
    return audit(print)


if __name__ == "__main__":
    sys.exit(main())
