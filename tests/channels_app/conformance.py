"""What every channel owes, whoever writes it. Each check takes a kind and asserts."""

from __future__ import annotations

from collections.abc import Callable
from xml.etree import ElementTree as ET

import msgspec
import pytest

from channels_app import errors
from channels_app.accounts.service import credential_fields
from channels_app.channel import AnswersHandshake
from channels_app.registry import channels
from channels_app.toolkit.text import TextLimit
from channels_app.types import Secret, WebhookRequest
from tests.channels_app.kit import channel_of, credentials_of

OF_ITS_OWN = ("kind", "label", "text_limit", "Config", "api", "address", "verify", "parse", "send")
UNSIGNED = (b"", b"{}", b"Body=hi", b"\xff" * 10)


def it_keeps_the_contract_itself(kind: str) -> None:
    cls = channels()[kind]
    for name in OF_ITS_OWN:
        assert name in vars(cls), f"{cls.__name__} has no {name} of its own"
    assert isinstance(cls.text_limit, TextLimit)
    assert 0 < cls.max_body <= 3 * 1024 * 1024


def it_says_where_its_api_is(kind: str) -> None:
    api = channels()[kind].api
    assert api.setting.isupper()
    assert api.setting.endswith("_API_BASE_URL")
    assert api.addresses
    assert all(address.startswith("https://") and not address.endswith("/") for address in api.addresses)


def its_glyph_is_shapes_that_take_the_colour_of_the_text(kind: str) -> None:
    shapes = ET.fromstring(f"<svg>{channels()[kind].glyph}</svg>")
    assert {shape.tag for shape in shapes} <= {"path", "circle", "rect", "ellipse", "line", "polyline", "polygon"}
    assert not any("fill" in shape.attrib or "stroke" in shape.attrib or "style" in shape.attrib for shape in shapes)
    assert len(shapes) > 0


def its_secrets_are_secret_and_explained(kind: str) -> None:
    fields = credential_fields(channels()[kind])
    assert any(field.secret for field in fields)
    assert all(field.help for field in fields)
    channel = channel_of(kind)
    values = (getattr(channel.config, field.name) for field in msgspec.structs.fields(channel.config))
    secrets = [value.reveal() for value in values if isinstance(value, Secret)]
    for shown in (repr(channel.config), str(channel.config), f"{channel.config}", repr(channel)):
        assert not [secret for secret in secrets if secret in shown]


def its_address_is_among_its_credentials(kind: str) -> None:
    assert channel_of(kind).address in credentials_of(kind).values()


def a_credential_that_is_missing_or_blank_is_named(kind: str) -> None:
    cls, good = channels()[kind], credentials_of(kind)
    for key in good.keys() - {"verify_token"}:
        blank = {**good, key: " "}
        for credentials in (blank, {name: value for name, value in blank.items() if name != key}):
            with pytest.raises(msgspec.ValidationError, match=key):
                cls.read_config(credentials)


def it_refuses_what_is_not_signed(kind: str) -> None:
    url = f"https://parley.example/webhooks/{kind}/1/"
    for body in UNSIGNED:
        with pytest.raises(errors.WebhookRejected) as rejection:
            channel_of(kind).verify(WebhookRequest(method="POST", url=url, headers={}, body=body))
        assert rejection.value.status in (400, 401)


def it_answers_no_handshake_without_a_challenge(kind: str) -> None:
    channel = channel_of(kind)
    if isinstance(channel, AnswersHandshake):
        with pytest.raises(errors.WebhookRejected):
            channel.handshake(WebhookRequest(method="GET", url="", headers={}))


def its_codes_are_failures_and_its_advice_is_for_known_codes(kind: str) -> None:
    cls = channels()[kind]
    assert all(issubclass(meant, errors.SendFailed) for meant in cls.codes.values())
    assert [code for code in cls.advice if cls.meaning(code) is errors.SendFailed] == []


CHECKS: tuple[Callable[[str], None], ...] = (
    it_keeps_the_contract_itself,
    it_says_where_its_api_is,
    its_glyph_is_shapes_that_take_the_colour_of_the_text,
    its_secrets_are_secret_and_explained,
    its_address_is_among_its_credentials,
    a_credential_that_is_missing_or_blank_is_named,
    it_refuses_what_is_not_signed,
    it_answers_no_handshake_without_a_challenge,
    its_codes_are_failures_and_its_advice_is_for_known_codes,
)
