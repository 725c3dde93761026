"""The private PostgreSQL takes any folder, as root and as an ordinary user, and no shell reads its name."""

from __future__ import annotations

import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from config import embedded, postgres_as_root, postgres_files, postgres_place, postmaster
from tests.config.embedded_kit import PATIENCE, User, answers, ordinary_user, remove

pytestmark = [pytest.mark.whole, pytest.mark.timeout(2 * PATIENCE)]

CANARY = Path("/tmp/parley-canary")
COMMAND = "cd tmp; touch parley-canary"
NAMES = {
    "plain": "var",
    "space": "a b  c",
    "apostrophe": "it's",
    "two apostrophes": "it''s'",
    "quote": 'say "hi"',
    "comma": "a, b,c",
    "dollar": "$HOME$$",
    "command": f"a$({COMMAND})b",
    "command in quotes": f"a'$({COMMAND})'b",
    "command in double quotes": f'a"$({COMMAND})"b',
    "backticks": f"a`{COMMAND}`b",
    "semicolon": f"a; {COMMAND}; b",
    "ampersand and pipe": f"a & {COMMAND} | b",
    "newline": "a\nb\n",
    "tab": "a\tb",
    "backslash": "a\\b\\",
    "percent": "a%20b%s%%",
    "dash": "-D",
    "equals": "--data=x",
    "hash": "#a",
    "star": "a*?[b]",
    "braces": "{a,b}~",
    "parentheses": "(a)<b>",
    "not ASCII": "pärley-日本-🙂",
    "looks like a URL": "a@b:5432 x",
    "long": "l" * 250,
    "very long": "/".join(["x" * 200] * 3),
}


@pytest.fixture(params=["ordinary", "root"])
def user(request: pytest.FixtureRequest) -> Iterator[str | None]:
    if request.param == "root":
        if os.geteuid() != 0:
            pytest.skip("NOT TESTED: we are not root. sudo make test")
        yield None
        return
    with ordinary_user() as name:
        yield name


@pytest.fixture
def folder(user: str | None) -> Iterator[Path]:
    """Give a folder where the user may do anything."""
    made = Path(tempfile.mkdtemp(prefix="parley-odd-", dir="/tmp"))
    if user is not None:
        os.chown(made, pwd.getpwnam(user).pw_uid, -1)
    yield made
    shutil.rmtree(made)


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_any_folder_will_do_and_its_name_is_never_a_command(user: str | None, folder: Path, name: str) -> None:
    CANARY.unlink(missing_ok=True)
    var = folder / name
    one = User(var, user=user)
    try:
        assert one.url, one.said
        with psycopg.connect(one.url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
            (data,) = connection.execute("SHOW data_directory").fetchone() or ("",)
        if user is not None or os.geteuid() != 0:
            assert data == str(var / "postgres" / "data")
        one.leave()
        assert not answers(one.url)
        assert not CANARY.exists()
    finally:
        if one.process.poll() is None:
            one.kill()
        remove(var)


def test_a_folder_may_be_given_relative_to_where_one_stands(user: str | None, folder: Path) -> None:
    one = User("here/var", user=user, cwd=folder)
    assert one.url, one.said
    one.leave()
    if user is not None or os.geteuid() != 0:
        assert (folder / "here/var/postgres/data/PG_VERSION").exists()
    remove(folder / "here/var")


def test_a_folder_by_two_names_is_one(user: str | None, folder: Path) -> None:
    (folder / "var").mkdir(mode=0o777)
    if user is not None:
        os.chown(folder / "var", pwd.getpwnam(user).pw_uid, -1)
    (folder / "link").symlink_to(folder / "var")
    first, second = User(folder / "var", user=user), User(folder / "link", user=user)
    assert first.url == second.url != "", first.said + second.said
    first.leave()
    second.leave()
    remove(folder / "var")


def test_nor_is_the_name_of_the_programs_folder_a_command(tmp_path: Path) -> None:
    CANARY.unlink(missing_ok=True)
    base = Path(tempfile.mkdtemp(prefix="parley-odd-", dir="/tmp"))
    base.chmod(0o755)
    wheel = base / f'a"$({COMMAND})`{COMMAND}`b'
    for part in postgres_place.WHEEL_FOLDERS:
        shutil.copytree(postgres_as_root.wheel() / part, wheel / part)
    wheel.chmod(0o755)
    usual = embedded.place(base / "var")
    if usual.user is not None:
        postgres_as_root.prepare(usual)
    here = postgres_place.Place(wheel / postgres_place.PROGRAMS, usual.data, usual.socket, usual.lock, usual.user)
    try:
        here.lock.parent.mkdir(parents=True, exist_ok=True)
        postgres_files.make_private_folder(here, here.socket)
        postgres_files.make_data_folder(here)
        postmaster.start(here)
        assert answers(here.url("postgres"))
        postmaster.stop(here)
        assert not CANARY.exists()
    finally:
        remove(base / "var")
        shutil.rmtree(base)
