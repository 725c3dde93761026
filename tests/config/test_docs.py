from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.core.management import get_commands

from channels_app.accounts.service import credential_fields
from channels_app.registry import channels
from connect_bridge.api import customers
from connect_bridge.api.views import VIEWS

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
OUR_APPS = ("analytics", "channels_app", "connect_bridge", "customers", "people", "sandbox")


def words(page: str) -> str:
    return (ROOT / page).read_text()


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if target.startswith("http"):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target


def test_every_setting_is_documented() -> None:
    code = "".join(path.read_text() for app in ("config", *OUR_APPS[:5]) for path in (ROOT / app).rglob("*.py"))
    read = re.findall(r"env\.\w+\(\s*\"([A-Z_]+)\"|os\.environ(?:\.get\(|\[)\"([A-Z_]+)\"", code)
    names = {one or other for one, other in read} - {"DJANGO_SETTINGS_MODULE", "DATABASE_URL_FILE"}
    names |= {channel.api.setting for channel in channels().values()}

    assert {name for name in names if f"`{name}`" not in words("docs/reference/settings.md")} == set()


def test_no_setting_is_documented_that_is_not_read() -> None:
    code = "".join(path.read_text() for app in ("config", *OUR_APPS) for path in (ROOT / app).rglob("*.py"))
    documented = re.findall(r"^\| `([A-Z_]+)`", words("docs/reference/settings.md"), re.MULTILINE)

    assert len(documented) > 20
    # Read by a name that is put together: channels_app/toolkit/outbound_proxy.py.
    put_together = {"HTTPS_PROXY"} if '{scheme.upper()}_PROXY"' in code else set()
    assert {name for name in documented if f'"{name}"' not in code} - put_together == set()


def test_every_command_is_documented() -> None:
    ours = {name for name, app in get_commands().items() if app in OUR_APPS}

    assert {
        name
        for name in ours
        if f"`{name}`" not in re.sub(r"^## (\w+)", r"`\1`", words("docs/reference/commands.md"), flags=re.MULTILINE)
    } == set()


def test_every_channel_is_documented_with_what_it_asks_for() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", words("docs/reference/commands.md"), re.MULTILINE))

    for kind, channel in channels().items():
        assert re.findall(r"`(\w+)`", rows[kind]) == [asked.key for asked in credential_fields(channel)]


def test_every_list_of_the_api_is_documented() -> None:
    rows = dict(re.findall(r"^\| `([\w-]+)` \| `(\w+)` \|", words("docs/reference/http-api.md"), re.MULTILINE))

    assert rows == {name: view.newest_by for name, view in (*VIEWS.items(), *customers.VIEWS.items())}
