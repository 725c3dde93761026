from __future__ import annotations

import re

import pytest
from django.test import Client
from django.urls import reverse

from channels_app.accounts import provider_checks
from channels_app.accounts.service import save_account
from channels_app.models import AccountHealth, ChannelAccount
from channels_app.tasks import ask_how_it_is_set_up
from tests.connect_bridge.setup.kit import GOOD, step
from tests.sandbox.kit import RunningWorld

pytestmark = pytest.mark.django_db


def test_the_address_and_the_verify_token_are_there_to_copy(supervisor: Client, settings) -> None:
    settings.PUBLIC_BASE_URL = "https://parley.example.com"
    account = save_account("messenger", "Shop", {**GOOD["messenger"], "verify_token": "shown-on-purpose"})

    page = supervisor.get(step(account, "webhook")).content.decode()

    assert f"https://parley.example.com/webhooks/messenger/{account.pk}/" in page
    assert "shown-on-purpose" in page
    assert page.count("data-copy=") == 2


@pytest.mark.parametrize("kind", GOOD)
def test_each_point_is_asked_singly_and_tells_what_is_wrong(
    supervisor: Client, world: RunningWorld, settings, kind: str
) -> None:
    account = save_account(kind, "Shop", GOOD[kind])
    names = re.findall(r'data-point="([^"]+)"', supervisor.get(step(account, "verify")).content.decode())

    answers = {}
    for name in names:
        answer = supervisor.post(reverse("channel-check", args=[account.pk]), {"name": name})
        answers[name] = answer.content.decode()

    address = {"twitter": "Webhook registered", "messenger": "Webhook of the app"}.get(kind, names[2])
    assert len(names) == 4
    assert "✓" in answers[names[0]]
    assert "✗" in answers[address]
    assert f"/webhooks/{kind}/{account.pk}/" in answers[address]
    assert "Register our address" in answers[address]
    assert [point["name"] for point in AccountHealth.objects.get(account=account).points] == names
    assert "CANARY" not in "".join(answers.values())


def test_an_unknown_point_is_not_asked(supervisor: Client, world: RunningWorld) -> None:
    account = save_account("twitter", "Shop", GOOD["twitter"])

    assert supervisor.post(reverse("channel-check", args=[account.pk]), {"name": "x"}).status_code == 404


def test_each_account_is_asked_about_by_itself_once_in_a_while(world: RunningWorld) -> None:
    account = save_account("whatsapp", "Acme", GOOD["whatsapp"])
    switched_off = save_account("messenger", "Off", GOOD["messenger"])
    ChannelAccount.objects.filter(pk=switched_off.pk).update(enabled=False)
    assert [row.pk for row in provider_checks.due()] == [account.pk]

    ask_how_it_is_set_up(str(account.pk))
    ask_how_it_is_set_up(str(switched_off.pk))

    assert provider_checks.due() == []
    assert {point.name for point in provider_checks.points_of(AccountHealth.objects.get())} == set(
        provider_checks.names_of("whatsapp", account)
    )
