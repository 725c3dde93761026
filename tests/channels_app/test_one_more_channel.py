"""What a channel costs: its file in providers/ and its tests. A fourth one is put there; nothing else is changed."""

from __future__ import annotations

import hashlib
import hmac
import io
import json
import re
import sys
import tokenize
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.core.management import call_command
from django.template import Context, Template
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from channels_app import providers, registry
from channels_app.account import make_channel
from channels_app.errors import Blocked
from channels_app.models import ChannelAccount, InboundEntry, SetupDraft, WebhookDelivery
from channels_app.types import OutboundMessage
from config.logs import configuration
from connect_bridge.operations.doctor import diagnose
from tests.channels_app.conformance import CHECKS
from tests.channels_app.kit import credentials_of
from tests.channels_app.providers.kit import ProviderApi
from tests.channels_app.webhooks.kit import COMMITTED, ENDPOINTS, Post, deliver, path_of
from tests.factories import ChannelAccountFactory
from tests.role_kit import client_of

KIND, FOLDER = "pigeon", Path(__file__).parent / "one_more_channel"
#: Where the product names no messenger. The sandbox has a phone of each, by design.
SILENT = ("config", "analytics", "connect_bridge", "channels_app", "customers", "people", "templates", "static")
MAY_NAME = ("channels_app/providers/", "channels_app/platforms/", "templates/sandbox/")
#: A decision that came through any messenger is stored with the source "messenger", beside "api" and "person".
SOURCES = {
    "connect_bridge/inbound/customer_signals.py",
    "connect_bridge/outbox/suppression.py",
    "customers/models.py",
    "customers/consent.py",
}


@pytest.fixture(autouse=True)
def pigeon(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put the file beside the others; afterwards it was never there."""
    monkeypatch.setattr(providers, "__path__", [*providers.__path__, str(FOLDER)])
    registry.channels.cache_clear()
    yield
    registry.channels.cache_clear()
    sys.modules.pop(f"{providers.__name__}.{KIND}", None)
    vars(providers).pop(KIND, None)


@pytest.fixture
def supervisor(db: None) -> Client:
    return client_of("Supervisor", "ana")


def letter(account: ChannelAccount, text: str, key: str = "ring-key") -> Post:
    body = json.dumps({"letters": [{"id": "l-1", "writer": "bird-7", "text": text}]}).encode()
    signature = hmac.new(key.encode(), body, hashlib.sha256).hexdigest()
    headers = (("Content-Type", "application/json"), ("Pigeon-Signature", signature), ("Pigeon-Flight", "f-1"))
    return Post(path_of(account), headers, (body,))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_it_is_held_to_the_contract(check: Callable[[str], None]) -> None:
    check(KIND)


@pytest.mark.django_db
def test_its_account_can_be_added_on_the_command_line(capsys: pytest.CaptureFixture[str], settings: Settings) -> None:
    settings.PUBLIC_BASE_URL = "https://parley.example.com"
    call_command("addaccount", KIND, "Loft", *(f"--set={k}={v}" for k, v in credentials_of(KIND).items()), "--json")
    account = ChannelAccount.objects.get(kind=KIND, address="loft-1")
    printed = json.loads(capsys.readouterr().out)
    assert printed["webhook_url"] == f"https://parley.example.com/webhooks/pigeon/{account.pk}/"


def test_its_account_can_be_set_up_in_the_browser(supervisor: Client) -> None:
    assert 'value="pigeon"' in supervisor.get(reverse("channel-add")).content.decode()
    supervisor.post(reverse("channel-add"), {"kind": KIND})
    draft = SetupDraft.objects.get(kind=KIND)
    step = reverse("channel-step", args=[draft.pk, "credentials"])
    form = supervisor.get(step).content.decode()
    assert "Id of the loft that customers write to." in form
    typed = {f"credential_{key}": value for key, value in credentials_of(KIND).items()}
    supervisor.post(step, {"name": "Loft", **typed})
    account = ChannelAccount.objects.get(kind=KIND)
    assert (account.pk, account.address) == (draft.pk, "loft-1")
    webhook = supervisor.get(reverse("channel-step", args=[account.pk, "webhook"])).content.decode()
    assert f"/webhooks/pigeon/{account.pk}/" in webhook
    assert "Pigeon post" in supervisor.get(reverse("channels")).content.decode()


@COMMITTED
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_its_webhooks_are_taken_and_others_refused(endpoint: str) -> None:
    account = ChannelAccountFactory(kind=KIND, address="loft-1")
    forged, genuine = deliver(endpoint, letter(account, "coo", key="stranger"), letter(account, "coo"))
    assert (forged.status, genuine.status) == (401, 200)
    entry = InboundEntry.objects.get(account=account)
    assert (entry.sender, entry.event["text"]) == ("bird-7", "coo")
    assert WebhookDelivery.objects.get(account=account).headers["pigeon-flight"] == "f-1"


def test_its_calls_go_where_its_setting_says(api: ProviderApi, settings: Settings) -> None:
    settings.HTTP_REDIRECTS = registry.redirects(
        lambda setting, default: api.base if setting == "PIGEON_API_BASE_URL" else default
    )
    channel = make_channel(KIND, uuid.uuid4(), credentials_of(KIND))
    api.body = b'{"id": "l-2"}'
    message = OutboundMessage(recipient="bird-7", text="hi", correlation="c")
    assert channel.send(message).message_ids == ("l-2",)
    api.status, api.body = 403, b'{"code": "NEST", "message": "No."}'
    with pytest.raises(Blocked):
        channel.send(message)
    assert set(django_settings.HTTP_REDIRECTS) == {"https://api.pigeon.example"}


@pytest.mark.django_db
def test_the_doctor_looks_at_its_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REGION", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        monkeypatch.setenv(f"AWS_{name}", "set")
    ChannelAccountFactory(kind=KIND, address="loft-1", name="Loft")
    (finding,) = (one for one in diagnose() if one.check == "Loft")
    assert finding.said == "pigeon, credentials readable"


def test_pages_draw_its_glyph_and_say_its_name() -> None:
    drawn = Template("{% load customers channels %}{% glyph kind %}{% channel_icon kind %}{{ kind|channel_label }}")
    page = drawn.render(Context({"kind": KIND}))
    assert page.count("M3 12c4-6 8-6 11-3l7-2-5 6c-2 5-8 6-13-1Z") == 2
    assert 'aria-label="Pigeon post"' in page
    assert page.endswith("Pigeon post")


def test_its_sdk_logs_no_bodies() -> None:
    assert configuration("DEBUG", discreet=True)["loggers"]["pigeonlib"] == {"level": "WARNING"}


def test_the_product_names_no_messenger_outside_its_file() -> None:
    """What names a kind would have to be edited for the next one."""
    kinds = registry.channels().keys() - {KIND}
    named = {
        path.relative_to(django_settings.BASE_DIR).as_posix()
        for folder in SILENT
        for path in (Path(django_settings.BASE_DIR) / folder).rglob("*")
        if path.suffix in (".py", ".html", ".js", ".css", ".svg") and "migrations" not in path.parts
        if kinds & set(_literals(path))
    }
    assert {name for name in named - SOURCES if not name.startswith(MAY_NAME)} == set()


def _literals(path: Path) -> Iterator[str]:
    """Yield what stands alone between quotation marks: in code and in pages."""
    text = path.read_text()
    if path.suffix != ".py":
        yield from re.findall(r"""["'#]([a-z]+)["']""", text)
        return
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.STRING:
            yield token.string.strip("\"'")
