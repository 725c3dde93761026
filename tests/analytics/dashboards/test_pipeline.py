"""From a stored message to an open page: tasks, the real client against the simulated Comprehend, sockets, commands."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from channels.layers import get_channel_layer
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import AnonymousUser, Permission, User
from django.core.management import CommandError, call_command
from django.utils import timezone

from analytics import receivers, tasks
from analytics.connect_events import queue_metrics
from analytics.dashboards import live
from analytics.dashboards.consumers import Dashboards
from analytics.models import Change, ChatFact, Phrase, QueueNow, Rollup, Sentiment, Spending
from analytics.rollups.update import refresh
from analytics.sentiment import scoring
from analytics.sentiment.comprehend import Comprehend
from analytics.sentiment.engine import ItemFailed, KeyPhrase, Score, Throttled
from channels_app.accounts.service import save_account
from connect_bridge import aws
from connect_bridge.signals import CommittedSignal, contact_ended, message_settled, message_stored
from sandbox import demo
from sandbox.world.settings import Settings
from tests.analytics.kit import FakeEngine, customer_wrote, score_of
from tests.sandbox.kit import RunningWorld, running


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningWorld]:
    """Give a simulated Amazon, which the product's own clients find as they would find the real one."""
    with running(Settings(quotas=False)) as world:
        for service in ("COMPREHEND", "CONNECT"):
            monkeypatch.setenv(f"AWS_ENDPOINT_URL_{service}", world.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        aws.forget_clients()
        yield world
        aws.forget_clients()


def test_the_real_client_scores_detects_and_finds_phrases(world: RunningWorld) -> None:
    engine = Comprehend()
    scores = engine.sentiment(["I love it, thank you!", "x" * 6000, "This is terrible, I am furious"], "en")
    assert isinstance(scores[0], Score)
    assert scores[0].label == "positive"
    assert scores[1] == ItemFailed("TEXT_SIZE_LIMIT_EXCEEDED", final=True)
    assert isinstance(scores[2], Score)
    assert scores[2].label == "negative"
    assert engine.language("¿Dónde está mi pedido? Es muy tarde") == "es"
    phrases = engine.key_phrases("My late parcel is broken. Nobody answers.", "en")
    assert KeyPhrase("late parcel", 3, 14, 0.95) in phrases


def test_a_throttled_call_says_so(world: RunningWorld) -> None:
    world.call("POST", "/world/faults", {"name": "throttle", "operation": "BatchDetectSentiment", "share": 1.0})
    with pytest.raises(Throttled):
        Comprehend().sentiment(["hello"], "en")


@pytest.mark.django_db
def test_one_task_counts_scores_and_counts_again(world: RunningWorld, settings: Any) -> None:
    settings.SENTIMENT_LINGER = 0
    settings.SENTIMENT_ENGINE = "simulated"
    message = customer_wrote("This is terrible, my parcel is late and I am furious", created_at=timezone.now())
    tasks.refresh()
    assert score_of(message).label == "negative"
    assert score_of(message).engine == "simulated"
    account = Rollup.objects.get(facet="account", grain="h")
    assert (account.received, account.scored, account.negative, account.rated_negative) == (1, 1, 1, 1)
    assert Phrase.objects.filter(message=message).exists()
    assert {row.operation for row in Spending.objects.all()} == {"BatchDetectSentiment", "DetectKeyPhrases"}


@pytest.mark.django_db
def test_what_waits_is_come_back_for_by_one_task_alone(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.SENTIMENT_LINGER = 600
    again: list[dict[str, Any]] = []
    monkeypatch.setattr(tasks.refresh, "apply_async", lambda **options: again.append(options))
    monkeypatch.setattr(scoring, "_engine", FakeEngine())
    customer_wrote("good things")
    tasks.refresh()
    tasks.refresh()
    assert len(again) == 1


def test_news_become_one_hint_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(tasks.refresh, "apply_async", lambda **options: sent.append(options))
    monkeypatch.setattr(receivers, "_last", -receivers.PAUSE)
    for _ in range(5):
        receivers.refresh_soon(conversation_id=1, message_id=2)
    assert len(sent) == 1


@pytest.mark.parametrize("signal", [message_stored, message_settled, contact_ended])
def test_what_the_bridge_tells_has_the_dashboards_brought_up_to_date(
    monkeypatch: pytest.MonkeyPatch, signal: CommittedSignal
) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(tasks.refresh, "apply_async", lambda **options: sent.append(options))
    monkeypatch.setattr(receivers, "_last", -receivers.PAUSE)
    signal.send_robust(None, conversation_id=1)
    assert len(sent) == 1


@pytest.mark.django_db
def test_a_change_of_the_zone_has_everything_counted_anew(settings: Any) -> None:
    settings.SENTIMENT_ENABLED = False
    customer_wrote("hello")
    tasks.refresh()
    settings.TIME_ZONE = "Asia/Kolkata"
    tasks.refresh()
    assert {row.at.minute for row in Rollup.objects.filter(grain="h")} == {30}
    assert not Change.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("rights", "code"), [(("use_dashboards",), None), ((), 4403), (None, 4401)])
async def test_a_socket_opens_for_who_may_see_dashboards(rights: Any, code: int | None) -> None:
    from asgiref.sync import sync_to_async

    def somebody() -> Any:
        if rights is None:
            return AnonymousUser()
        user = User.objects.create_user("ana")
        user.user_permissions.set(Permission.objects.filter(codename__in=rights))
        return user

    socket = WebsocketCommunicator(Dashboards.as_asgi(), "/ws/dashboards/")
    socket.scope["user"] = await sync_to_async(somebody)()
    opened, closed_with = await socket.connect(timeout=20)
    assert (opened, closed_with if not opened else None) == (code is None, code)
    if opened:
        layer = get_channel_layer()
        assert layer is not None
        await layer.group_send(live.GROUP, {"type": "numbers.changed"})
        assert await socket.receive_json_from(timeout=20) == {"changed": True}
    await socket.disconnect()


def test_a_layer_that_fails_harms_nobody(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    asked: list[str] = []

    class Broken:
        async def group_send(self, group: str, _message: Any) -> None:
            asked.append(group)
            raise ConnectionError

    monkeypatch.setattr(live, "get_channel_layer", Broken)
    live.announce()
    assert asked == [live.GROUP]
    assert "open dashboards were not told (ConnectionError)" in caplog.text


@pytest.mark.django_db
def test_connects_own_word_on_its_queues_is_kept(world: RunningWorld, settings: Any) -> None:
    settings.CONNECT_INSTANCE_ID = demo.INSTANCE
    settings.CONNECT_QUEUES = ["5a9d0b0c-0000-4000-8000-00000000000a"]
    assert queue_metrics.fetch() == 1
    queue = QueueNow.objects.get()
    assert (queue.queue_id, queue.waiting) == (settings.CONNECT_QUEUES[0], 0)


# ── commands ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def snapshot() -> list[Any]:
    columns = ("grain", "facet", "at", "account_id", "value", "received", "scored", "rating_sum", "chats")
    return sorted(Rollup.objects.values_list(*columns), key=str)


@pytest.mark.django_db
def test_a_rebuild_gives_the_same_numbers_and_mends_wrong_ones() -> None:
    for number in range(4):
        customer_wrote(f"good {number}", created_at=timezone.now() - timedelta(hours=7 * number))
    while refresh().changes:  # type: ignore[union-attr]
        pass
    before = snapshot()
    Rollup.objects.update(received=1000)
    out = io.StringIO()
    call_command("rebuildstats", "--no-progress", stdout=out)
    assert "4 chats counted" in out.getvalue()
    assert snapshot() == before


@pytest.mark.django_db
def test_a_rebuild_does_not_lose_hours_whose_messages_were_deleted() -> None:
    message = customer_wrote("good", created_at=timezone.now() - timedelta(days=40))
    old = message.contact
    assert old
    type(old).objects.filter(pk=old.pk).update(requested_at=message.created_at)
    customer_wrote("good")
    while refresh().changes:  # type: ignore[union-attr]
        pass
    message.delete()
    old.delete()
    with pytest.raises(CommandError, match="--forget"):
        call_command("rebuildstats", "--no-progress")
    call_command("rebuildstats", "--no-progress", "--forget", stdout=io.StringIO())
    assert ChatFact.objects.count() == 1


@pytest.mark.django_db
def test_scoring_by_command_takes_what_is_old_and_can_be_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = FakeEngine()
    monkeypatch.setattr(scoring, "_engine", engine)
    for number in range(3):
        customer_wrote(f"bad {number}", created_at=timezone.now() - timedelta(days=30))
    while refresh().changes:  # type: ignore[union-attr]
        pass
    assert not Sentiment.objects.exists(), "a month ago: not scored by itself"
    out = io.StringIO()
    call_command("scoresentiment", "--no-progress", stdout=out)
    assert "3 of 3 messages scored in 2 calls" in out.getvalue()
    calls = engine.calls
    call_command("scoresentiment", "--no-progress", stdout=io.StringIO())
    assert engine.calls == calls
    call_command("scoresentiment", "--all", "--no-progress", stdout=io.StringIO())
    assert engine.calls > calls


@pytest.mark.django_db
def test_scoring_by_command_says_first_what_it_would_cost() -> None:
    customer_wrote("bad", created_at=timezone.now() - timedelta(days=30))
    out = io.StringIO()
    call_command("scoresentiment", "--dry-run", stdout=out)
    assert "1 without a score, 0 waiting" in out.getvalue()


@pytest.mark.django_db
def test_a_made_up_past_is_the_same_for_the_same_seed_and_in_the_sandbox_alone(settings: Any) -> None:
    with pytest.raises(CommandError, match="sandbox alone"):
        call_command("seeddemo")
    settings.SANDBOX_WORLD_URL = "http://127.0.0.1:1"
    for kind, (name, credentials) in demo.ACCOUNTS.items():
        save_account(kind, name, credentials)
    out = io.StringIO()
    call_command("seeddemo", "--days", "4", "--seed", "7", "--json", "--no-progress", stdout=out)
    rows = json.loads(out.getvalue())
    assert rows["connect_bridge_message"] > 1000
    assert ChatFact.objects.count() == rows["connect_bridge_contact"]
    assert not Change.objects.exists()
    assert Rollup.objects.filter(facet="phrase").exists()
    call_command("seeddemo", "--days", "4", "--once", stdout=io.StringIO())
    assert ChatFact.objects.count() == rows["connect_bridge_contact"], "once is once"


def test_the_same_dice_make_the_same_chats() -> None:
    from datetime import UTC, datetime

    from channels_app.models import ChannelAccount
    from sandbox.seed import Seeder

    until = datetime(2026, 5, 4, 18, tzinfo=UTC)
    account = ChannelAccount(kind="whatsapp")
    made = []
    for seed in (7, 7, 8):
        seeder = Seeder([account], seed, 1, until)
        seeder.day(0)
        made.append([row["text"] for row in seeder.rows["connect_bridge_message"]])
    assert made[0] == made[1] != made[2]
