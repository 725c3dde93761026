from __future__ import annotations

import json
import logging
import re
from io import StringIO

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from channels_app.accounts.service import save_account
from channels_app.models import ChannelAccount, SetupDraft
from tests.connect_bridge.setup.kit import ADD, GOOD, SPOILT, new_draft, raw_rows, step, typed
from tests.role_kit import client_of
from tests.sandbox.kit import RunningWorld

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("role", ["Viewer", "Manager", "Ops", "Auditor"])
def test_only_who_may_set_up_channels_does(role: str) -> None:
    client = client_of(role, "somebody")
    account = save_account("twitter", "Shop", GOOD["twitter"])
    draft = SetupDraft.objects.create(kind="twitter", by="ana")

    pages = [
        ADD,
        *(step(account, name) for name in ("ready", "credentials", "webhook", "test", "live")),
        step(draft, "ready"),
    ]
    assert {client.get(page).status_code for page in pages} == {403}
    posts = ("channel-check", "channel-pause")
    assert {client.post(reverse(name, args=[account.pk])).status_code for name in posts} == {403}


def test_canaries_are_found_nowhere(
    supervisor: Client, admin_client: Client, world: RunningWorld, caplog: pytest.LogCaptureFixture
) -> None:
    """Set all three up, wrongly and rightly, and look everywhere that a secret could have gone to."""
    caplog.set_level(logging.DEBUG, logger="")
    seen = []
    for kind, good in GOOD.items():
        draft = new_draft(supervisor, kind)
        seen.append(supervisor.post(step(draft, "credentials"), typed({**good, SPOILT[kind]: "CANARY-wrong"})))
        seen.append(supervisor.post(step(draft, "credentials"), typed(good), follow=True))
        account = ChannelAccount.objects.get(pk=draft.pk)
        steps = ("ready", "credentials", "verify", "route", "hours", "test", "live")
        seen += [supervisor.get(step(account, name)) for name in steps]
        points = re.findall(r'data-point="([^"]+)"', supervisor.get(step(account, "verify")).content.decode())
        seen += [supervisor.post(reverse("channel-check", args=[account.pk]), {"name": point}) for point in points]
        names = [f"admin:channels_app_channelaccount_{name}" for name in ("change", "history")]
        seen += [admin_client.get(reverse(name, args=[account.pk])) for name in names]
    seen += [admin_client.get(page) for page in ("/admin/channels/", "/admin/audit/", "/api/v1/accounts/")]
    dump = StringIO()
    call_command("dumpdata", "channels_app", "people", stdout=dump)

    pages = "".join(answer.content.decode() for answer in seen)
    # The verify token is no secret towards who sets up: it is there to be copied.
    assert "CANARY" not in pages.replace("CANARY-verify", "")
    assert "CANARY" not in raw_rows()
    assert "CANARY" not in dump.getvalue()
    assert "CANARY" not in caplog.text
    assert len(json.loads(dump.getvalue())) > 10
