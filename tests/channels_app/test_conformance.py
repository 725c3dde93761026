"""What every channel owes, whoever writes it: run over all that the registry finds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from channels_app import errors, providers
from channels_app.accounts.service import credential_fields
from channels_app.channel import AnswersHandshake, Channel
from channels_app.registry import channels
from channels_app.toolkit.http import Http
from channels_app.toolkit.text import TextLimit
from channels_app.types import Secret, WebhookRequest
from tests.channels_app.providers.kit import CREDENTIALS

TESTS = Path(__file__).parent / "providers"
KINDS = sorted(channels())
LINES = 220


def channel_of(kind: str) -> Channel[Any]:
    cls = channels()[kind]
    return cls(cls.read_config(CREDENTIALS[kind]), Http(), f"https://parley.example/webhooks/{kind}/1/")


def secrets_of(kind: str) -> list[str]:
    config = channel_of(kind).config
    values = (getattr(config, field.name) for field in msgspec.structs.fields(config))
    return [value.reveal() for value in values if isinstance(value, Secret)]


def failures(cls: type[errors.SendFailed] = errors.SendFailed) -> list[type[errors.SendFailed]]:
    return [cls, *(one for sub in cls.__subclasses__() for one in failures(sub))]


def test_every_file_is_a_channel_of_its_name() -> None:
    files = {path.stem for path in Path(providers.__path__[0]).glob("*.py")} - {"__init__"}
    assert set(KINDS) == files


@pytest.mark.parametrize("kind", KINDS)
def test_it_has_tests_of_its_own(kind: str) -> None:
    assert (TESTS / f"test_{kind}.py").is_file()


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_one_file_that_can_be_read_at_a_sitting(kind: str) -> None:
    lines = (Path(providers.__path__[0]) / f"{kind}.py").read_text().splitlines()
    assert sum(bool(line.strip()) for line in lines) <= LINES


@pytest.mark.parametrize("kind", KINDS)
def test_it_keeps_the_contract_itself(kind: str) -> None:
    cls = channels()[kind]
    for name in ("kind", "label", "text_limit", "Config", "address", "verify", "parse", "send"):
        assert name in vars(cls), f"{cls.__name__} has no {name} of its own"
    assert isinstance(cls.text_limit, TextLimit)
    assert 0 < cls.max_body <= 3 * 1024 * 1024


@pytest.mark.parametrize("kind", KINDS)
def test_its_secrets_are_secret_and_explained(kind: str) -> None:
    fields = credential_fields(channels()[kind])
    assert any(field.secret for field in fields)
    assert all(field.help for field in fields)
    channel = channel_of(kind)
    for shown in (repr(channel.config), str(channel.config), f"{channel.config}", repr(channel)):
        assert not [secret for secret in secrets_of(kind) if secret in shown]


@pytest.mark.parametrize("kind", KINDS)
def test_its_address_is_among_its_credentials(kind: str) -> None:
    assert channel_of(kind).address in CREDENTIALS[kind].values()


@pytest.mark.parametrize(
    ("kind", "key"), [(kind, key) for kind in KINDS for key in CREDENTIALS[kind] if key != "verify_token"]
)
def test_a_credential_that_is_missing_or_blank_is_named(kind: str, key: str) -> None:
    cls, blank = channels()[kind], {**CREDENTIALS[kind], key: " "}
    for credentials in (blank, {name: value for name, value in blank.items() if name != key}):
        with pytest.raises(msgspec.ValidationError, match=key):
            cls.read_config(credentials)


@pytest.mark.parametrize("body", [b"", b"{}", b"Body=hi", b"\xff" * 10])
@pytest.mark.parametrize("kind", KINDS)
def test_it_refuses_what_is_not_signed(kind: str, body: bytes) -> None:
    url = f"https://parley.example/webhooks/{kind}/1/"
    with pytest.raises(errors.WebhookRejected) as rejection:
        channel_of(kind).verify(WebhookRequest(method="POST", url=url, headers={}, body=body))
    assert rejection.value.status in (400, 401)


@pytest.mark.parametrize("kind", KINDS)
def test_it_answers_no_handshake_without_a_challenge(kind: str) -> None:
    channel = channel_of(kind)
    if isinstance(channel, AnswersHandshake):
        with pytest.raises(errors.WebhookRejected):
            channel.handshake(WebhookRequest(method="GET", url="", headers={}))


@pytest.mark.parametrize("failure", failures())
def test_every_failure_has_a_code_of_its_own(failure: type[errors.SendFailed]) -> None:
    assert isinstance(failure.retryable, bool)
    assert [one for one in failures() if one.code == failure.code] == [failure]
