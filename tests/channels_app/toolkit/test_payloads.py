from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels_app.errors import BadSignature, Unusable
from channels_app.toolkit.json_body import read_object
from channels_app.toolkit.payloads import hash_key, key_of, moment, number, short_id, text_at, unix_milliseconds
from channels_app.webhooks.codec import decode_event, encode_event
from tests.channels_app.providers.kit import received

MESSENGER = {
    "object": "page",
    "entry": [
        {
            "id": "200",
            "messaging": [
                {
                    "sender": {"id": "7"},
                    "recipient": {"id": "200"},
                    "timestamp": 1716403560557,
                    "message": {
                        "mid": "m_1",
                        "text": "hi",
                        "reply_to": {"mid": "m_0"},
                        "attachments": [{"type": "location", "payload": {"coordinates": {"lat": 1, "long": 2}}}],
                    },
                }
            ],
        }
    ],
}
X = {
    "for_user_id": "100",
    "direct_message_events": [
        {
            "type": "message_create",
            "id": "95",
            "created_timestamp": "1716403560557",
            "initiated_via": {"tweet_id": "5"},
            "message_create": {
                "target": {"recipient_id": "100"},
                "sender_id": "7",
                "message_data": {
                    "text": "hi",
                    "entities": {"urls": [{"url": "https://t.co/a"}]},
                    "attachment": {"type": "media", "media": {"type": "video", "video_info": {"variants": [{}]}}},
                },
            },
        }
    ],
    "direct_message_mark_read_events": [
        {"created_timestamp": "1", "sender_id": "7", "target": {"recipient_id": "100"}, "last_read_event_id": "9"}
    ],
    "follow_events": [{"type": "follow", "source": {"id": "7"}, "target": {"id": "100"}}],
    "users": {"7": {"name": "Ann"}},
}

REFUSED = {
    "empty": b"",
    "broken": b'{"a":',
    "two objects": b"{}{}",
    "a list": b"[]",
    "null": b"null",
    "a string": b'"x"',
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "UTF-8 with a byte order mark": b'\xef\xbb\xbf{"a":1}',
    "Latin-1": b'{"a":"\xe9"}',
    "a surrogate in UTF-8": b'{"a":"\xed\xa0\x80"}',
    "NaN": b'{"a":NaN}',
    "infinity": b'{"a":-Infinity}',
    "1e999": b'{"a":1e999}',
    "5,000 digits": b'{"a":' + b"1" * 5000 + b"}",
    "a key twice": b'{"a":1,"a":2}',
    "a key twice, deep inside": b'{"b":[{"a":1,"\\u0061":2}]}',
    "2,000 levels of lists": b'{"a":' + b"[" * 2000 + b"]" * 2000 + b"}",
    "2,000 levels of objects": b'{"a":' * 2000 + b"1" + b"}" * 2000,
    "100 levels": b'{"a":' + b"[" * 100 + b"]" * 100 + b"}",
    "a raw control character": b'{"a":"\x00"}',
}


@pytest.mark.parametrize("body", [pytest.param(body, id=name) for name, body in REFUSED.items()])
def test_what_is_not_plain_json_is_unusable(body: bytes) -> None:
    with pytest.raises(Unusable) as problem:
        read_object(body)
    assert len(str(problem.value)) < 60


def test_halves_of_surrogate_pairs_and_nul_become_replacement_characters() -> None:
    body = rb'{"lone":"a\ud83d b","low":"\uDE00","nul":"a\u0000b","pair":"\ud83d\ude00","in":[{"\udead":"\ud800"}]}'
    assert read_object(body) == {
        "lone": "a\ufffd b",
        "low": "\ufffd",
        "nul": "a\ufffdb",
        "pair": "😀",
        "in": [{"\ufffd": "\ufffd"}],
    }


def test_a_backslash_before_u_is_no_escape() -> None:
    assert read_object(rb'{"a":"\\ud800"}') == {"a": r"\ud800"}


def test_null_is_absence() -> None:
    assert read_object(b'{"a":null,"b":{"c":null,"d":[null]}}') == {"b": {"d": [None]}}


def test_many_shallow_objects_are_not_deep() -> None:
    assert len(read_object(json.dumps({"a": [{}] * 10_000}).encode())["a"]) == 10_000


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, one in inner for place in places(one, (*path, key)))]


def with_surprise(value: Any, path: tuple[Any, ...], surprise: Any) -> Any:
    if not path:
        return surprise
    copy = value.copy()
    copy[path[0]] = with_surprise(value[path[0]], path[1:], surprise)
    return copy


@pytest.mark.parametrize(("kind", "payload"), [("messenger", MESSENGER), ("twitter", X)])
@given(data=st.data())
def test_a_surprise_anywhere_is_an_event_or_unusable_never_a_crash(
    kind: str, payload: Any, data: st.DataObject
) -> None:
    surprising = with_surprise(payload, data.draw(st.sampled_from(places(payload))), data.draw(JSON))
    try:
        events = received(kind, surprising)
    except (Unusable, BadSignature):  # the latter for what a CRC could have signed, such as `null`
        return
    for event in events:
        assert len(event.key) <= 255
        assert decode_event(encode_event(event)) == event


FIELDS = [
    "Body",
    "NumMedia",
    "MessageType",
    "Latitude",
    "From",
    "WaId",
    "MessageSid",
    "MessageStatus",
    "ExternalUserId",
]


@given(form=st.dictionaries(st.sampled_from(FIELDS), st.text(st.characters(exclude_categories=["Cs"]))))
def test_a_surprising_form_is_an_event_or_unusable_never_a_crash(form: dict[str, str]) -> None:
    usual = {"AccountSid": "AC" + "0" * 32, "To": "whatsapp:+34600000000", "From": "whatsapp:+1555000", "SmsSid": ""}
    try:
        events = received("whatsapp", {"MessageSid": "SM" + "0" * 32, **usual, **form})
    except Unusable:
        return
    for event in events:
        assert decode_event(encode_event(event)) == event


def test_long_ids_are_hashed_and_short_ones_kept() -> None:
    assert key_of("m", "abc") == "m:abc"
    assert short_id("a" * 200) == "a" * 200
    assert key_of("m", "a" * 201) == f"m:{short_id('a' * 201)}"
    assert len(key_of("m", "a" * 10_000)) < 100


def test_the_order_of_keys_does_not_change_a_hash() -> None:
    assert hash_key("k", {"a": 1, "b": 2}) == hash_key("k", {"b": 2, "a": 1}) != hash_key("k", {"a": 1, "b": 3})


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        (1716403560557, datetime(2024, 5, 22, 18, 46, 0, 557000, tzinfo=UTC)),
        ("1716403560557", datetime(2024, 5, 22, 18, 46, 0, 557000, tzinfo=UTC)),
        (1716403560, datetime(2024, 5, 22, 18, 46, tzinfo=UTC)),
        *((stamp, None) for stamp in (None, 0, -1, 1, "", "now", "\u0661", 253402300799000, 10**400, "9" * 30)),
    ],
)
def test_56_a_time_is_told_in_milliseconds_or_seconds_or_not_at_all(stamp: Any, expected: datetime | None) -> None:
    assert moment(stamp) == expected
    assert unix_milliseconds(stamp) < 10**14


def test_numbers_are_finite() -> None:
    assert [number(raw) for raw in (1, "2.5", "nan", "inf", "1e999", "x", None, True, 10**400)] == [1, 2.5] + [None] * 7


def test_what_is_not_where_it_should_be_is_empty() -> None:
    assert [text_at(raw, "a", 0, "b") for raw in ({"a": [{"b": "x"}]}, {"a": {}}, {"a": []}, [], None)] == ["x"] + [
        ""
    ] * 4
