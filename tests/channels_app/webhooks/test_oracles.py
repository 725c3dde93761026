"""What we sign for somebody else proves nothing that somebody sends to us; unreadable bodies fill no table."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import uuid

import pytest

from channels_app.errors import BadSignature
from channels_app.models import WebhookDelivery
from channels_app.platforms import meta, x
from channels_app.types import Secret, WebhookRequest
from channels_app.webhooks.guard import MOST_HANDSHAKES, HandshakeLimit
from channels_app.webhooks.responses import Refused
from tests.channels_app.webhooks.kit import COMMITTED, ENDPOINTS, deliver, signed
from tests.factories import ChannelAccountFactory

SECRET = Secret("a consumer secret")


def request(body: bytes = b"", query: str = "", **headers: str) -> WebhookRequest:
    return WebhookRequest(method="POST", url="https://parley.example/", headers=headers, body=body, query=query)


@pytest.mark.parametrize("token", ["123", "null", "true", "bmljZSB0cnk=", "a" * 128])
def test_xs_challenge_answer_signs_no_webhook(token: str) -> None:
    answer = json.loads(x.handshake(request(query=f"crc_token={token}"), SECRET).body)["response_token"]

    with pytest.raises(BadSignature):
        x.verify(request(token.encode(), **{"x-twitter-webhooks-signature": answer}), SECRET)


def test_an_event_of_xs_is_still_authentic() -> None:
    body = b'{"for_user_id":"1"}'
    digest = base64.b64encode(hmac.digest(SECRET.reveal().encode(), body, hashlib.sha256)).decode()

    assert x.verify(request(body, **{"x-twitter-webhooks-signature": f"sha256={digest}"}), SECRET).body == body


@pytest.mark.parametrize("token", ["EAAGm0PX4ZCpsBAtoken", "1234567890|app-secret_0"])
def test_the_proof_that_goes_to_meta_signs_no_webhook(token: str) -> None:
    proof = hmac.digest(SECRET.reveal().encode(), token.encode(), hashlib.sha256).hex()

    with pytest.raises(BadSignature):
        meta.verify(request(token.encode(), **{"x-hub-signature-256": f"sha256={proof}"}), SECRET)


@COMMITTED
@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("kind", ["twitter", "messenger"])
@pytest.mark.parametrize("body", [b"[]", b'["for_user_id"]', b'"word"', b"{broken"])
def test_what_is_signed_and_unreadable_is_kept_once(endpoint: str, kind: str, body: bytes) -> None:
    account, other = (ChannelAccountFactory(kind=kind, address=address) for address in ("4711", "4712"))

    reply = deliver(endpoint, *[signed(account, body)] * 3, signed(other, body))

    assert [one.status for one in reply] == [200] * 4
    assert sorted(WebhookDelivery.objects.values_list("account", "state")) == sorted(
        [(account.pk, "quarantined"), (other.pk, "quarantined")]
    )


def test_many_callers_do_not_wipe_the_count_of_one() -> None:
    account, limit = uuid.uuid4(), HandshakeLimit(clock=lambda: 1.0)
    for _ in range(MOST_HANDSHAKES):
        limit.check("203.0.113.1", account)
    for number in range(11_000):
        limit.check(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", uuid.uuid4())

    with pytest.raises(Refused):
        limit.check("203.0.113.1", account)


def test_one_network_is_one_caller() -> None:
    account, limit = uuid.uuid4(), HandshakeLimit(clock=lambda: 1.0)
    for number in range(MOST_HANDSHAKES):
        limit.check(f"2001:db8::{number:x}", account)

    with pytest.raises(Refused):
        limit.check("2001:db8::ffff", account)
