"""A tile is one file: what is declared there is on its page, in the API, in exports, reports and alerts."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from analytics.alerts import metrics, reports
from analytics.models import Report
from analytics.tiles import catalogue, definitions
from analytics.tiles.registry import OVERVIEW, PAGES, REPORT, TILES, tile
from analytics.tiles.tile import Tile
from tests.analytics.dashboards.kit import RIGHTS, login
from tests.analytics.kit import customer_wrote

pytestmark = pytest.mark.django_db

GREETINGS = '''
from __future__ import annotations

from analytics.tiles.dashboard_data import DashboardData
from analytics.tiles.metric import Metric
from analytics.tiles.registry import OVERVIEW, REPORT, Drill, tile
from analytics.tiles.tile import Tile


@tile(
    key="greetings",
    title="Greetings",
    on={OVERVIEW: 15, "hours": 5, REPORT: 5},
    of="messages",
    formula="Messages that say hello.",
    drill=Drill("chats", {"outcome": "handled"}),
    permission="analytics.see_agents",
    alert=Metric(
        key="greetings",
        position=15,
        title="Greetings",
        unit="count",
        of="messages",
        good="up",
        now=lambda data: (7.0, 7),
    ),
)
def greetings(data: DashboardData) -> Tile:
    """Count them."""
    return Tile(value=7, n=7)
'''


@pytest.fixture
def _greetings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "greetings.py").write_text(GREETINGS)
    monkeypatch.setattr(definitions, "__path__", [*definitions.__path__, str(tmp_path)])
    importlib.invalidate_caches()
    catalogue.collect()
    yield
    del TILES["greetings"]
    del sys.modules[f"{definitions.__name__}.greetings"]


@pytest.mark.usefixtures("_greetings")
def test_a_tile_in_a_file_of_its_own_is_everywhere_without_another_edit() -> None:
    client = login(*RIGHTS)
    customer_wrote("hello")
    for path in ("", "hours/"):
        page = client.get(f"/dashboards/{path}?range=24h").content.decode()
        assert 'id="tile-greetings"' in page
        assert "Messages that say hello." in page
    assert catalogue.keys_on(OVERVIEW)[:3] == ["channels", "greetings", "sentiment"]
    assert catalogue.keys_on("hours")[0] == "greetings"

    assert 'href="/dashboards/chats/?range=24h&amp;compare=week&amp;outcome=handled">Greetings' in page
    assert client.get("/dashboards/chats/?range=24h&compare=week&outcome=handled").status_code == 200

    (shown,) = client.get("/api/v1/metrics/greetings/").json()["metrics"]
    assert (shown["value"], shown["n"], shown["of"], shown["state"]) == (7, 7, "messages", "ok")
    assert "greetings" in {metric["key"] for metric in client.get("/api/v1/metrics/").json()["metrics"]}

    answer = client.get("/dashboards/export/tile/greetings.csv")
    assert '"formula","Messages that say hello."' in b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]


@pytest.mark.usefixtures("_greetings")
def test_its_permission_holds_everywhere() -> None:
    client: Client = login("use_dashboards", "export")
    assert 'id="tile-greetings"' not in client.get("/dashboards/").content.decode()
    assert client.get("/api/v1/metrics/greetings/").status_code == 404
    assert client.get("/dashboards/export/tile/greetings.csv").status_code == 404


@pytest.mark.usefixtures("_greetings")
def test_it_is_in_reports_and_can_be_watched(django_user_model: Any) -> None:
    owner = django_user_model.objects.create_user("owner", is_superuser=True)
    report = Report.objects.create(name="Daily", owner=owner, emails="ana@example.com")
    letter = reports.mail_of(report, timezone.now())
    assert "Greetings: 7" in letter.body
    assert letter.attachments[0][0] == "greetings.csv"
    assert list(metrics.known())[:3] == ["negative", "greetings", "sentiment"]


def test_every_page_and_the_report_have_tiles() -> None:
    assert [page for page in (OVERVIEW, REPORT, *PAGES) if not catalogue.keys_on(page)] == []


def test_a_key_that_is_taken_is_refused() -> None:
    with pytest.raises(ValueError, match="two tiles are called volume"):
        tile(key="volume", title="Again", formula="")(lambda _data: Tile())


def test_a_page_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="does not exist: nowhere"):
        tile(key="lost", title="Lost", formula="", on={"nowhere": 10})(lambda _data: Tile())
    assert "lost" not in TILES
