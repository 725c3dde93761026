"""Both lanes answer the catalogue of bad inputs alike, and as it says. The numbers are the catalogue's rows."""

from __future__ import annotations

import json
import socket
import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django.fixtures import Settings

from channels_app.models import ChannelAccount, InboundEntry
from channels_app.toolkit.placeholders import describe
from channels_app.webhooks.account_cache import SELECT
from channels_app.webhooks.codec import event_from_builtins
from tests.channels_app.webhooks.bad_input_rows import (
    ACCEPTED,
    IGNORED,
    INSIDE,
    KINDS,
    LITERAL,
    QUARANTINED,
    REFUSED,
    Row,
    for_another_page,
    form,
    get,
    picture_at,
)
from tests.channels_app.webhooks.kit import (
    COMMITTED,
    LANES,
    Post,
    deliveries,
    entries,
    message_post,
    page_post,
    path_of,
    said_on_page,
    sign,
    signed,
    take,
    twilio,
    whatsapp_fields,
)
from tests.factories import ChannelAccountFactory

pytestmark = [COMMITTED, pytest.mark.parametrize("lane", LANES)]


def name_of(row: Row) -> str:
    return row.name


def account_of(kind: str, **fields: Any) -> ChannelAccount:
    return ChannelAccountFactory.create(
        kind=kind, **({"address": "+34600777888"} if kind == "whatsapp" else {"address": "424242"}) | fields
    )


@pytest.mark.parametrize("row", REFUSED, ids=name_of)
def test_a_request_that_no_provider_makes_is_refused_in_plain_json_and_leaves_no_row(lane: str, row: Row) -> None:
    account = account_of(row.kind)
    [got] = take(lane, row.make(account))
    assert got.status == row.status
    assert got.headers["content-type"] == "application/json"
    assert set(got.json) == {"error", "request_id"}
    assert got.json["error"] == row.word
    assert got.headers["x-request-id"] == got.json["request_id"]
    assert deliveries(account) == []


@pytest.mark.parametrize("row", QUARANTINED, ids=name_of)
def test_what_was_signed_but_cannot_be_used_is_kept_to_the_byte_and_answered_200(lane: str, row: Row) -> None:
    account = account_of(row.kind)
    post = row.make(account)
    [got] = take(lane, post)
    assert (got.status, got.word) == (200, "quarantined")
    assert deliveries(account) == ["quarantined"]
    assert bytes(account.deliveries.get().body) == b"".join(post.chunks)
    assert account.deliveries.get().reason
    assert {entry.state for entry in entries(account)} <= {"quarantined"}


@pytest.mark.parametrize("row", ACCEPTED, ids=name_of)
def test_strange_but_valid_input_is_accepted_and_waits_for_the_bridge(lane: str, row: Row) -> None:
    account = account_of(row.kind)
    [got] = take(lane, row.make(account))
    assert (got.status, got.word) == (200, "accepted")
    assert [entry.state for entry in entries(account)] == ["pending"]


@pytest.mark.parametrize("text", LITERAL, ids=["51", "52", "53", "55"])
def test_51_52_53_55_what_a_customer_wrote_is_stored_to_the_letter(lane: str, text: str) -> None:
    account = account_of("messenger")
    take(lane, page_post(account, {"text": text}))
    assert entries(account)[0].event["text"] == text


@pytest.mark.parametrize("kind", ["messenger", "whatsapp"])
def test_62_63_64_nobody_fetches_a_picture_and_the_agent_reads_that_there_is_one(lane: str, kind: str) -> None:
    account = account_of(kind)
    with socket.create_server(("", 0)) as canary:
        canary.settimeout(0)
        posts = [
            picture_at(url.format(canary.getsockname()[1]), number)(account)
            for number, url in enumerate(INSIDE.values())
        ]
        answers = take(lane, *posts)
        shown = [describe(event_from_builtins(entry.event)) for entry in entries(account)]
        with pytest.raises(BlockingIOError):
            canary.accept()
    assert [got.word for got in answers] == ["accepted"] * len(INSIDE)
    assert shown == ["[image]"] * len(INSIDE)


@pytest.mark.parametrize("row", IGNORED, ids=name_of)
def test_an_event_of_a_new_type_is_kept_out_of_the_way(lane: str, row: Row) -> None:
    account = account_of(row.kind)
    [got] = take(lane, row.make(account))
    assert (got.status, got.word) == (200, "ignored")
    [entry] = entries(account)
    assert entry.state == "done"
    assert entry.outcome.startswith("unrecognised")
    assert entry.done_at


@pytest.mark.parametrize(
    "text", [pytest.param("a\ud800b", id="43 lone surrogate"), pytest.param("a\x00b", id="44 NUL")]
)
def test_what_postgresql_cannot_hold_becomes_a_replacement_character(lane: str, text: str) -> None:
    account = account_of("messenger")
    [got] = take(lane, page_post(account, {"text": text}))
    assert got.word == "accepted"
    assert entries(account)[0].event["text"] == "a\ufffdb"


def test_44_nul_in_a_form_becomes_a_replacement_character(lane: str) -> None:
    account = account_of("whatsapp")
    [got] = take(lane, twilio(account, whatsapp_fields(account, Body="a\x00b", ProfileName="\x00")))
    assert got.word == "accepted"
    assert entries(account)[0].event["text"] == "a\ufffdb"


def test_44_letters_that_only_look_like_nul_stay_as_they_were(lane: str) -> None:
    account = account_of("whatsapp")
    take(lane, twilio(account, whatsapp_fields(account, Body=r"C:\u0000 \\u0000")))
    assert entries(account)[0].event["text"] == r"C:\u0000 \\u0000"


def test_4_an_endless_body_is_cut_off_at_the_cap(lane: str) -> None:
    account = account_of("twitter")
    post = Post(path_of(account), (("Content-Length", "1"),), (b"x" * 65_536,) * 100)
    [got] = take(lane, post)
    assert (got.status, got.word) == (413, "too_large")


def test_10_the_answer_to_a_wrong_method_names_the_right_ones(lane: str) -> None:
    messenger, whatsapp = account_of("messenger"), account_of("whatsapp")
    first, second = take(lane, Post(path_of(messenger), method="PUT"), Post(path_of(whatsapp), method="GET"))
    assert (first.headers["allow"], second.headers["allow"]) == ("GET, POST", "POST")


def test_11_a_disabled_account_is_answered_like_an_unknown_one(lane: str) -> None:
    account = account_of("messenger", enabled=False)
    [got] = take(lane, message_post(account))
    assert (got.status, got.word) == (404, "not_found")
    assert deliveries(account) == []


def test_14_plain_http_is_refused_without_a_redirect_where_https_is_required(lane: str, settings: Settings) -> None:
    settings.WEBHOOK_REQUIRE_HTTPS = True
    account = account_of("messenger")
    post = message_post(account)
    plain, secure = take(lane, post, replace(post, headers=(*post.headers, ("X-Forwarded-Proto", "https"))))
    assert (plain.status, plain.word) == (403, "https_required")
    assert secure.word == "accepted"


@pytest.mark.parametrize("kind", KINDS)
def test_18_a_missing_signature_is_a_bad_one(lane: str, kind: str) -> None:
    account = account_of(kind)
    post = message_post(account)
    [got] = take(lane, replace(post, headers=post.headers[:1]))
    assert (got.status, got.word) == (401, "bad_signature")


@pytest.mark.parametrize("kind", KINDS)
def test_20_a_refusal_tells_neither_secret_nor_digest(lane: str, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    account = account_of(kind)
    good = message_post(account)
    bad = replace(good, headers=(good.headers[0], (good.headers[1][0], "sha256=" + "0" * 64)))
    with caplog.at_level("DEBUG"):
        [got] = take(lane, bad)
    shown = got.body.decode() + str(got.headers) + caplog.text
    assert got.status == 401
    for secret in (good.headers[1][1], good.headers[1][1].removeprefix("sha256="), *account.credentials.values()):
        assert secret == account.address or secret not in shown


def test_11_a_disabled_account_does_not_even_come_back_from_the_database(lane: str) -> None:
    account = account_of("messenger", enabled=False)
    with connection.cursor() as cursor:
        cursor.execute(SELECT, {"ids": [account.id]})
        assert cursor.fetchone() is None  # so that it takes as long as one that never was


@pytest.mark.parametrize("kind", KINDS)
def test_24_another_accounts_secret_opens_nothing(lane: str, kind: str) -> None:
    account = account_of(kind)
    secrets = {"twitter": "consumer_secret", "messenger": "app_secret", "whatsapp": "auth_token"}
    stranger = ChannelAccountFactory.create(kind=kind)
    stranger.credentials = {**stranger.credentials, secrets[kind]: "somebody-else's"}
    stranger.save()
    [got] = take(lane, replace(message_post(stranger), path=path_of(account)))
    assert (got.status, got.word) == (401, "bad_signature")
    assert deliveries(account) == deliveries(stranger) == []


def test_25_the_account_that_is_named_gets_nothing(lane: str) -> None:
    ours, theirs = account_of("messenger"), account_of("messenger", address="999")
    [got] = take(lane, for_another_page(ours))
    assert got.word == "quarantined"
    assert (deliveries(theirs), entries(theirs)) == ([], [])


def test_26_the_good_half_of_a_mixed_batch_is_accepted_and_the_other_quarantined(lane: str) -> None:
    account = account_of("messenger")
    body = said_on_page(account, {"mid": "m_ours"})
    theirs = {
        "id": "999",
        "messaging": [{"sender": {"id": "1"}, "recipient": {"id": "999"}, "message": {"mid": "m_x"}}],
    }
    body["entry"].append(theirs)
    [got] = take(lane, signed(account, json.dumps(body).encode()))
    assert got.word == "accepted"
    assert [(entry.type, entry.state) for entry in entries(account)] == [
        ("message", "pending"),
        ("misaddressed", "quarantined"),
    ]


def test_28_forwarding_headers_do_not_change_the_address_that_was_signed(lane: str) -> None:
    account = account_of("whatsapp")
    honest = twilio(account, whatsapp_fields(account))
    forged = (("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "evil.example"))
    [got] = take(lane, replace(honest, headers=(*honest.headers, *forged)))
    assert got.word == "accepted"


@pytest.mark.parametrize(("hours", "status"), [(1, 200), (-1, 401)], ids=["30 inside the window", "30 after it"])
def test_30_a_replaced_secret_counts_until_its_window_closes(lane: str, hours: int, status: int) -> None:
    account = account_of("messenger")
    post = message_post(account)
    account.former_credentials = account.credentials
    account.former_credentials_until = timezone.now() + timedelta(hours=hours)
    account.credentials = {**account.credentials, "app_secret": "new-secret"}
    account.save()
    old, new = take(lane, post, page_post(account, {"mid": "m_new"}))
    assert (old.status, new.status) == (status, 200)


@pytest.mark.parametrize("kind", KINDS)
def test_31_a_replay_is_a_duplicate_however_late(lane: str, kind: str) -> None:
    account = account_of(kind)
    post = message_post(account)
    assert [got.word for got in take(lane, post, post)] == ["accepted", "duplicate"]
    InboundEntry.objects.update(created_at=timezone.now() - timedelta(days=365), state="done")
    assert take(lane, post)[0].word == "duplicate"
    assert deliveries(account) == ["accepted", "duplicate", "duplicate"]
    assert len(entries(account)) == 1


def test_33_a_refused_handshake_does_not_echo_the_challenge(lane: str) -> None:
    account = account_of("messenger")
    [got] = take(lane, get("hub.mode=subscribe&hub.verify_token=no&hub.challenge=987654")(account))
    assert b"987654" not in got.body


def test_34_a_challenge_is_echoed_as_plain_text(lane: str) -> None:
    account = account_of("messenger")
    [got] = take(lane, get("hub.mode=subscribe&hub.verify_token=verify-token&hub.challenge=987654")(account))
    assert (got.status, got.body) == (200, b"987654")
    assert got.headers["content-type"].startswith("text/plain")
    assert got.headers["x-content-type-options"] == "nosniff"


def test_35_a_forged_event_is_never_signed_as_a_challenge(lane: str) -> None:
    account = account_of("twitter")
    event = b'{"for_user_id":"424242"}'
    [got] = take(lane, get("crc_token=" + event.decode())(account))
    assert got.status == 400
    assert sign(account, event)[1].encode() not in got.body


def test_36_whoever_asks_for_a_hundred_handshakes_a_minute_is_slowed_down(lane: str) -> None:
    account = account_of("twitter")
    answers = [got.status for got in take(lane, *[get("crc_token=abc")(account)] * 61)]
    assert answers[:59] == [200] * 59
    assert answers[-1] in (200, 429)
    assert 429 in [got.status for got in take(lane, *[get("crc_token=abc")(account)] * 61)]


def test_47_ten_thousand_events_in_a_batch_are_stored_in_order_and_each_costs_what_one_of_a_thousand_does(
    lane: str,
) -> None:
    account = account_of("messenger")
    took: dict[int, list[float]] = {1000: [], 10_000: []}
    for attempt in "abc":  # the best of each counts: the machine may have other things to do
        for size, seconds in took.items():
            texts = ({"mid": f"{attempt}{size}-{index}", "text": f"{index}"} for index in range(size))
            post = page_post(account, *texts)
            began = time.monotonic()
            assert take(lane, post)[0].word == "accepted"
            seconds.append(time.monotonic() - began)
        if min(took[10_000]) < 20 * min(took[1000]):
            break
    assert min(took[10_000]) < 20 * min(took[1000])
    stored = InboundEntry.objects.filter(account=account).order_by("id").values_list("event__text", flat=True)
    one_round = [str(index) for size in took for index in range(size)]
    assert list(stored) == one_round * len(took[1000])


def test_48_a_long_id_is_the_same_event_when_it_comes_again(lane: str) -> None:
    account = account_of("messenger")
    post = page_post(account, {"mid": "m_" + "x" * 10_240})
    assert [got.word for got in take(lane, post, post)] == ["accepted", "duplicate"]


def test_54_a_name_with_line_breaks_makes_no_second_log_line(lane: str, caplog: pytest.LogCaptureFixture) -> None:
    account = account_of("whatsapp")
    with caplog.at_level("INFO", logger="channels_app"):
        take(lane, form(ProfileName="a\r\nFAKE admin logged in")(account))
    assert "FAKE" not in caplog.text


def test_59_a_message_from_our_own_number_goes_no_further(lane: str) -> None:
    account = account_of("whatsapp")
    own = f"whatsapp:{account.address}"
    [got] = take(lane, twilio(account, whatsapp_fields(account, From=own)))
    assert got.status == 200
    assert "message" not in [entry.type for entry in entries(account) if entry.state == "pending"]
