from __future__ import annotations

import json

import pytest
from django.core.management import CommandError, call_command
from pytest_django.fixtures import Settings

from channels_app.models import ChannelAccount
from tests.factories import CREDENTIALS


def add(kind: str, name: str, *arguments: str, **credentials: str) -> None:
    call_command("addaccount", kind, name, *(f"--set={key}={text}" for key, text in credentials.items()), *arguments)


@pytest.mark.django_db
@pytest.mark.parametrize("kind", sorted(CREDENTIALS))
def test_it_prints_one_json_object_with_what_the_provider_must_be_told(
    kind: str, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.PUBLIC_BASE_URL = "https://parley.example.com"
    add(kind, "Acme", "--json", **CREDENTIALS[kind])
    printed = json.loads(capsys.readouterr().out)
    account = ChannelAccount.objects.get()
    expected = {"id": str(account.id), "webhook_url": f"https://parley.example.com/webhooks/{kind}/{account.id}/"}
    assert printed == expected | ({"verify_token": "verify-token"} if kind == "messenger" else {})


@pytest.mark.django_db
def test_a_second_call_changes_the_account_and_keeps_its_id(capsys: pytest.CaptureFixture[str]) -> None:
    add("whatsapp", "Acme", "--json", "--instance=i1", **CREDENTIALS["whatsapp"])
    add("whatsapp", "Acme Spain", "--json", **CREDENTIALS["whatsapp"] | {"auth_token": "f" * 32})
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    account = ChannelAccount.objects.get()
    assert first["id"] == second["id"]
    assert (account.name, account.credentials["auth_token"], account.connect_instance_id) == (
        "Acme Spain",
        "f" * 32,
        "i1",
    )


@pytest.mark.django_db
def test_a_verify_token_is_made_when_none_is_given_and_kept(capsys: pytest.CaptureFixture[str]) -> None:
    credentials = {key: text for key, text in CREDENTIALS["messenger"].items() if key != "verify_token"}
    add("messenger", "Acme", "--json", **credentials)
    add("messenger", "Acme", "--json", **credentials)
    first, second = (json.loads(line)["verify_token"] for line in capsys.readouterr().out.splitlines())
    assert first == second
    assert len(first) >= 32


@pytest.mark.django_db
def test_every_credential_that_is_missing_is_named() -> None:
    with pytest.raises(CommandError) as refused:
        add("whatsapp", "Acme", number="+34600000001")
    assert "account_sid is missing" in str(refused.value)
    assert "--set auth_token=…" in str(refused.value)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("kind", "credentials", "said"),
    [
        ("fax", {}, "There is no channel 'fax'. Choose one of:"),
        ("whatsapp", {"token": "hunter2"}, "has no credential 'token'"),
        ("whatsapp", {**CREDENTIALS["whatsapp"], "number": "hunter2"}, "number"),
    ],
)
def test_what_is_wrong_is_said_without_a_secret(kind: str, credentials: dict[str, str], said: str) -> None:
    with pytest.raises(CommandError) as refused:
        add(kind, "Acme", **credentials)
    assert said in str(refused.value)
    assert "hunter2" not in str(refused.value)
    assert not ChannelAccount.objects.exists()


def test_a_credential_without_a_value_is_refused() -> None:
    with pytest.raises(CommandError, match="KEY=VALUE"):
        call_command("addaccount", "whatsapp", "Acme", "--set=auth_token")
