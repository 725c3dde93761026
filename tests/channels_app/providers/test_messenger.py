from __future__ import annotations

import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels_app import errors
from channels_app.channel import HasReplyWindow
from channels_app.types import OutboundMessage, Part, PartKind, ReceiptStatus, Selection, WebhookRequest
from tests.channels_app.kit import channel_of
from tests.channels_app.providers.kit import ProviderApi, received, signed, told

Json = dict[str, Any]
STAMP, AT = 1716403560557, datetime(2024, 5, 22, 18, 46, 0, 557000, tzinfo=UTC)


def item(sender: str = "7", recipient: str = "200", **event: Any) -> Json:
    return {"sender": {"id": sender}, "recipient": {"id": recipient}, "timestamp": STAMP, **event}


def batch(*items: Any, page: str = "200", field: str = "messaging") -> Json:
    return {"object": "page", "entry": [{"id": page, "time": STAMP, field: list(items)}]}


def message(**fields: Any) -> Json:
    return batch(item(message={"mid": "m_1", **fields}))


def attached(kind: str, **payload: Any) -> Json:
    return message(attachments=[{"type": kind, "payload": payload}])


def parts(kind: PartKind, **fields: Any) -> list[tuple[str, Json]]:
    return [("MessageReceived", {"key": "m:m_1", "text": "", "parts": (Part(kind=kind, **fields),)})]


def form(name: str, *answers: tuple[str, str]) -> list[tuple[str, Json]]:
    return [("MessageReceived", {"text": "", "parts": (Part(kind=PartKind.FORM, name=name, answers=answers),)})]


TEXT = {"mid": "m_1", "text": "hi"}
PLACE = {"coordinates": {"lat": 41.38, "long": 2.17}}
REFERRAL = {"ref": "promo", "source": "ADS", "type": "OPEN_THREAD", "ad_id": "9"}
POSTBACK = {"title": "Get Started", "payload": "START"}
OPTIN = {"type": "notification_messages", "payload": "NEWS", "title": "News"}
IMAGE = {"attachments": [{"type": "image", "payload": {"url": "https://c/1"}}]}
LIKED: Json = {"text": "👍", "parts": ()}

CASES: list[tuple[str, Json, list[tuple[str, Json]]]] = [
    (
        "text",
        message(text="hi 😀", nlp={"x": 1}),
        [("MessageReceived", {"key": "m:m_1", "who": "7", "text": "hi 😀", "message_id": "m_1", "occurred_at": AT})],
    ),
    (
        "a time in seconds",
        batch({**item(message=TEXT), "timestamp": STAMP // 1000}),
        [("MessageReceived", {"occurred_at": AT.replace(microsecond=0)})],
    ),
    ("a time in 1970", batch({**item(message=TEXT), "timestamp": 5}), [("MessageReceived", {"occurred_at": None})]),
    (
        "a time in 9999",
        batch({**item(message=TEXT), "timestamp": 253402300799000}),
        [("MessageReceived", {"text": "hi"})],
    ),
    (
        "quick reply",
        message(text="Yes", quick_reply={"payload": "A"}),
        [("MessageReceived", {"text": "Yes", "selection": Selection(title="Yes", id="A")})],
    ),
    ("reply", message(text="hi", reply_to={"mid": "m_0"}), [("MessageReceived", {"text": "hi", "reply_to": "m_0"})]),
    (
        "reply to a story",
        message(text="wow", reply_to={"story": {"url": "https://s", "id": "1"}}),
        [
            (
                "MessageReceived",
                {
                    "text": "wow",
                    "parts": (Part(kind=PartKind.STORY, media_ref="https://s", detail="in reply to a story"),),
                },
            )
        ],
    ),
    ("image", attached("image", url="https://c/1"), parts(PartKind.IMAGE, media_ref="https://c/1")),
    ("audio", attached("audio", url="https://c/1"), parts(PartKind.AUDIO, media_ref="https://c/1")),
    ("video", attached("video", url="https://c/1"), parts(PartKind.VIDEO, media_ref="https://c/1")),
    ("file", attached("file", url="https://c/1"), parts(PartKind.FILE, media_ref="https://c/1")),
    ("sticker", attached("sticker", url="https://c/1", sticker_id=1), parts(PartKind.STICKER, media_ref="https://c/1")),
    (
        "sticker as it was",
        attached("image", url="https://c/1", sticker_id=1),
        parts(PartKind.STICKER, media_ref="https://c/1"),
    ),
    ("location", attached("location", **PLACE), parts(PartKind.LOCATION, latitude=41.38, longitude=2.17)),
    ("reel", attached("reel", url="https://r", title="Reel"), parts(PartKind.LINK, media_ref="https://r", name="Reel")),
    ("post", attached("post", url="https://p"), parts(PartKind.LINK, media_ref="https://p")),
    ("template", attached("template", title="T"), parts(PartKind.LINK, name="T")),
    (
        "shared link",
        message(attachments=[{"type": "fallback", "title": "Shop", "url": "https://x", "payload": None}]),
        parts(PartKind.LINK, name="Shop", media_ref="https://x"),
    ),
    ("an attachment of an unknown kind", attached("hologram"), parts(PartKind.UNSUPPORTED, detail="hologram")),
    ("an attachment that is none", message(attachments=["?"]), parts(PartKind.UNSUPPORTED)),
    ("a message without anything that we know", message(hologram=1), parts(PartKind.UNSUPPORTED)),
    (
        "attachments that are no list cost nothing else",
        message(text="hi", attachments={}),
        [("MessageReceived", {"text": "hi", "parts": ()})],
    ),
    (
        "postback",
        batch(item(postback={**POSTBACK, "mid": "m_2", "referral": REFERRAL})),
        [
            (
                "MessageReceived",
                {
                    "key": "m:m_2",
                    "text": "Get Started",
                    "selection": Selection(title="Get Started", id="START"),
                    "referral": "promo · ad 9 · ADS",
                },
            )
        ],
    ),
    ("postback without an id", batch(item(postback=POSTBACK)), [("MessageReceived", {"text": "Get Started"})]),
    (
        "link into an open thread",
        batch(item(referral=REFERRAL)),
        [("Referred", {"who": "7", "referral": "promo · ad 9 · ADS"})],
    ),
    ("opt-in", batch(item(optin=OPTIN)), [("ConsentChanged", {"who": "7", "granted": True, "topic": "News"})]),
    (
        "unsent, as some clients get it",
        message(is_deleted="true"),
        [("MessageUnsent", {"who": "7", "message_id": "m_1"})],
    ),
    ("not unsent", message(text="hi", is_deleted="false", is_echo="false"), [("MessageReceived", {"text": "hi"})]),
    (
        "an opt-in whose name is a word of consent",
        batch(item(optin={"ref": "start"})),
        [("ConsentChanged", {"granted": True, "topic": "start", "offers": True})],
    ),
    (
        "a shared link as older clients send it",
        message(attachments=[{"type": "fallback", "title": "Shop", "URL": "https://x", "payload": None}]),
        parts(PartKind.LINK, name="Shop", media_ref="https://x"),
    ),
    (
        "opt-out",
        batch(item(optin={**OPTIN, "notification_messages_status": "STOP_NOTIFICATIONS"})),
        [("ConsentChanged", {"granted": False})],
    ),
    (
        "reaction",
        batch(item(reaction={"mid": "m_0", "action": "react", "emoji": "❤", "reaction": "love"})),
        [("Reacted", {"message_id": "m_0", "emoji": "❤"})],
    ),
    (
        "reaction taken back",
        batch(item(reaction={"mid": "m_0", "action": "unreact", "emoji": "❤"})),
        [("Reacted", {"emoji": ""})],
    ),
    (
        "edit",
        batch(item(message_edit={"mid": "m_1", "text": "ho", "num_edit": 2})),
        [("MessageEdited", {"key": "e:m_1:2", "message_id": "m_1", "text": "ho"})],
    ),
    ("unsend", message(is_deleted=True), [("MessageUnsent", {"key": "u:m_1", "message_id": "m_1"})]),
    (
        "echo",
        batch(item("200", "7", message={**TEXT, "is_echo": True, "app_id": 5, "metadata": "c-1"})),
        [("Echoed", {"key": "m:m_1", "who": "7", "message_id": "m_1", "correlation": "c-1"})],
    ),
    ("our own message without the flag", batch(item("200", "7", message=TEXT)), [("Echoed", {"who": "7"})]),
    ("ourselves to ourselves", batch(item("200", "200", message=TEXT)), [("Unrecognised", {"type": "message"})]),
    (
        "delivered",
        batch(item(delivery={"mids": ["m_1", "m_2"], "watermark": STAMP})),
        [
            (
                "ReceiptReceived",
                {"status": ReceiptStatus.DELIVERED, "message_ids": ("m_1", "m_2"), "watermark": STAMP, "who": "7"},
            )
        ],
    ),
    (
        "read",
        batch(item(read={"watermark": STAMP // 1000})),
        [("ReceiptReceived", {"status": ReceiptStatus.READ, "message_ids": (), "watermark": STAMP // 1000 * 1000})],
    ),
    (
        "another app's thread",
        batch(item(message=TEXT), field="standby"),
        [("AccountChanged", {"topic": "standby", "detail": "another app answers a customer of this Page"})],
    ),
    ("a change of the Page", batch({"field": "feed"}, field="changes"), [("Unrecognised", {"type": "changes"})]),
    (
        "account linking",
        batch(item(account_linking={"status": "linked", "authorization_code": "C"}), item(account_linking={})),
        [("AccountLinked", {"who": "7", "linked": True, "code": "C"}), ("AccountLinked", {"linked": False})],
    ),
    *(
        (
            f"a handover: {name}",
            batch(item(**{name: told})),
            [("AccountChanged", {"topic": "handover", "detail": words})],
        )
        for name, told, words in (
            (
                "pass_thread_control",
                {"new_owner_app_id": "5", "previous_owner_app_id": None, "metadata": "m"},
                "a customer was passed from nobody to app 5",
            ),
            (
                "take_thread_control",
                {"new_owner_app_id": 263902037430900, "previous_owner_app_id": 5},
                "the Page's inbox took a customer over from app 5",
            ),
            ("request_thread_control", {"requested_owner_app_id": 6}, "app 6 asks to answer a customer"),
            ("app_roles", {"5": ["primary_receiver"]}, "the roles of the Page's apps changed"),
        )
    ),
    *(
        (f"the like {sticker!r}", attached(kind, url="https://c/1", sticker_id=sticker), [("MessageReceived", LIKED)])
        for kind, sticker in (
            ("image", 369239263222822),
            ("sticker", 369239343222814),
            ("image", "369239383222810"),
        )
    ),
    (
        "a like named in the message",
        message(sticker_id=369239263222822, attachments=[{"type": "image", "payload": {"url": "https://c/1"}}]),
        [("MessageReceived", LIKED)],
    ),
    (
        "a quick reply with a payload alone",
        message(quick_reply={"payload": "RED"}),
        [("MessageReceived", {"text": "", "selection": Selection(title="", id="RED"), "parts": ()})],
    ),
    (
        "a link whose payload is text",
        message(attachments=[{"type": "fallback", "payload": "https://x/1"}]),
        parts(PartKind.LINK, media_ref="https://x/1"),
    ),
    (
        "a link whose payload is words",
        message(attachments=[{"type": "fallback", "url": "https://x/1", "payload": "Blue shoes"}]),
        parts(PartKind.LINK, media_ref="https://x/1", name="Blue shoes"),
    ),
    (
        "a template's cards",
        attached("template", template_type="generic", elements=[{"title": "Shoes", "subtitle": "Blue"}]),
        parts(PartKind.LINK, name="Shoes · Blue"),
    ),
    (
        "one attachment instead of a list",
        message(attachments={"type": "image", "payload": {"url": "https://c/1"}}),
        parts(PartKind.IMAGE, media_ref="https://c/1"),
    ),
    (
        "an unknown kind with words",
        attached("hologram", title="Look", url="https://h"),
        parts(PartKind.UNSUPPORTED, name="Look", media_ref="https://h", detail="hologram"),
    ),
    (
        "an ad's title and a product",
        message(
            text="hi",
            referral={"source": "ADS", "ad_id": "9", "ads_context_data": {"ad_title": "Sale"}, "product": {"id": "P"}},
        ),
        [("MessageReceived", {"referral": "Sale · ad 9 · product P · ADS"})],
    ),
    (
        "the Page's inbox answers",
        batch(item("200", "7", message={**TEXT, "is_echo": True, "app_id": 263902037430900})),
        [("Echoed", {"who": "7", "text": "hi", "app": "the Page's inbox"})],
    ),
    (
        "the Page's inbox answers with a picture",
        batch(item("200", "7", message={"mid": "m_1", "is_echo": True, **IMAGE})),
        [("Echoed", {"text": "", "parts": (Part(kind=PartKind.IMAGE, media_ref="https://c/1"),)})],
    ),
    (
        "we delete what we wrote",
        batch(item("200", "7", message={"mid": "m_1", "is_echo": True, "is_deleted": True})),
        [("Unrecognised", {"type": "our own unsending"})],
    ),
    (
        "what only looks escaped",
        message(text="&amp; &lt;b&gt; %20 + \\u00e4"),
        [("MessageReceived", {"text": "&amp; &lt;b&gt; %20 + \\u00e4"})],
    ),
    (
        "a guest of the chat plugin",
        batch({"recipient": {"id": "200"}, "optin": {"ref": "r", "user_ref": "u"}}),
        [("Unrecognised", {"type": "optin"})],
    ),
    (
        "a policy enforced",
        batch(
            {"recipient": {"id": "200"}, "timestamp": 1, "policy-enforcement": {"action": "block", "reason": "spam"}}
        ),
        [("AccountChanged", {"topic": "policy-enforcement", "detail": "block spam"})],
    ),
    (
        "a reaction by its name alone",
        batch(item(reaction={"mid": "m_9", "action": "react", "reaction": "love"})),
        [("Reacted", {"emoji": "❤"})],
    ),
    (
        "a reaction with neither",
        batch(item(reaction={"mid": "m_9", "action": "react"})),
        [("Reacted", {"emoji": "…"})],
    ),
    (
        "one message read, and another",
        batch(item(read={"mid": "m_9"}), item(read={"mid": "m_8"})),
        [("ReceiptReceived", {"message_ids": ("m_9",)}), ("ReceiptReceived", {"message_ids": ("m_8",)})],
    ),
    (
        "an edit that leaves nothing",
        batch(item(message_edit={"mid": "m_9", "text": None, "num_edit": 2})),
        [("MessageEdited", {"message_id": "m_9", "text": ""})],
    ),
    (
        "a policy enforced, spelled the other way",
        batch(
            {"recipient": {"id": "200"}, "timestamp": 1, "policy_enforcement": {"action": "block", "reason": "spam"}}
        ),
        [("AccountChanged", {"topic": "policy-enforcement", "detail": "block spam"})],
    ),
    (
        "a survey filled in",
        batch(
            item(
                messaging_feedback={
                    "feedback_screens": [
                        {
                            "screen_id": 0,
                            "questions": {
                                "q1": {
                                    "type": "csat",
                                    "payload": "4",
                                    "follow_up": {"type": "free_form", "payload": "Quick!"},
                                },
                                "q2": {"type": "nps", "payload": "0"},
                                "q3": {"type": "free_form", "payload": "Nothing else"},
                            },
                        }
                    ]
                }
            )
        ),
        [
            (
                "Rated",
                {
                    "who": "7",
                    "answers": (
                        ("satisfied", "4 of 5"),
                        ("", "Quick!"),
                        ("would recommend us", "0 of 10"),
                        ("", "Nothing else"),
                    ),
                },
            )
        ],
    ),
    (
        "an answer of ours rated",
        batch(item(response_feedback={"feedback": "Bad response", "mid": "m_9"})),
        [("Rated", {"message_id": "m_9", "answers": (("", "Bad response"),)})],
    ),
    (
        "an address filled in",
        batch(
            item(
                messaging_customer_information={
                    "screens": [
                        {
                            "screen_id": "shipping_address",
                            "responses": [{"key": "street", "value": "1 High St"}, {"key": "city", "value": "York"}],
                        }
                    ]
                }
            )
        ),
        form("address", ("street", "1 High St"), ("city", "York")),
    ),
    (
        "a lead form filled in",
        batch(
            item(
                messaging_in_thread_lead_form_submit={
                    "lead_id": "1",
                    "form_id": "2",
                    "field_data": [{"name": "email", "values": ["ann@x.example"]}],
                }
            )
        ),
        form("lead form", ("email", "ann@x.example")),
    ),
    (
        "a lead form with ids alone",
        batch(item(messaging_in_thread_lead_form_submit={"lead_id": "1", "form_id": "2"})),
        form("lead form"),
    ),
    (
        "an event by the name of its field",
        {
            "object": "page",
            "entry": [{"id": "200", "changes": [{"field": "messages", "value": item(message=TEXT)}]}],
        },
        [("MessageReceived", {"who": "7", "text": "hi"})],
    ),
    (
        "a sample that the app's settings send",
        {
            "object": "page",
            "entry": [{"id": "200", "changes": [{"field": "messages", "value": item("1", "2", message=TEXT)}]}],
        },
        [("Unrecognised", {"type": "changes"})],
    ),
    ("an unknown event", batch(item(hologram={"x": 1})), [("Unrecognised", {"type": "hologram"})]),
    ("another Page", batch(item(recipient="201", message=TEXT), page="201"), [("Misaddressed", {"address": "201"})]),
    (
        "another Page inside our entry",
        batch(item(recipient="201", message=TEXT)),
        [("Misaddressed", {"address": "201"})],
    ),
    (
        "one event where a list should be",
        {"object": "page", "entry": [{"id": "200", "messaging": item(message=TEXT)}]},
        [("MessageReceived", {"text": "hi"})],
    ),
    (
        "broken events among good ones",
        batch(item(message={"mid": "m_0", "text": {}}), "?", item(message=TEXT), item(message={"text": "no id"})),
        [("Unrecognised", {}), ("Unrecognised", {}), ("MessageReceived", {"text": "hi"}), ("Unrecognised", {})],
    ),
    (
        "a batch for us and for another Page",
        {
            "object": "page",
            "entry": [*batch(item(message=TEXT))["entry"], *batch(item(message=TEXT), page="201")["entry"]],
        },
        [("MessageReceived", {"text": "hi"}), ("Misaddressed", {"address": "201"})],
    ),
]


@pytest.mark.parametrize(("payload", "expected"), [pytest.param(*case[1:], id=case[0]) for case in CASES])
def test_every_kind_of_event_is_understood(payload: Json, expected: list[tuple[str, Json]]) -> None:
    events = received("messenger", payload)
    assert [told(event, fields) for event, (_, fields) in zip(events, expected, strict=True)] == expected


def test_customers_are_known_by_page_and_psid() -> None:
    (event,) = received("messenger", message(text="hi"))
    assert (event.sender.issuer, event.sender.external_id) == ("200", "7")


def test_the_same_event_has_the_same_key_and_another_one_has_not() -> None:
    reaction = {"mid": "m_0", "action": "react", "emoji": "❤"}
    once, again = item(reaction=reaction), {**item(reaction=reaction), "timestamp": STAMP + 1}
    tapped, read = item(postback=POSTBACK), item(read={"watermark": STAMP})
    delivered = item(delivery={"watermark": STAMP})
    events = received("messenger", batch(once, again, once, tapped, tapped, read, read, delivered))
    assert len({event.key for event in events}) == 5


def test_each_message_that_was_read_has_a_key_of_its_own() -> None:
    first, second = received("messenger", batch(item(read={"mid": "m_9"}), item(read={"mid": "m_8"})))
    assert first.key != second.key


def test_a_thousand_events_are_all_read() -> None:
    items = [item(message={"mid": f"m_{number}", "text": "hi"}) for number in range(1_000)]
    assert len({event.key for event in received("messenger", batch(*items))}) == 1_000


def test_an_absurdly_long_id_is_hashed() -> None:
    (event,) = received("messenger", batch(item(message={"mid": "m" * 10_000, "text": "hi"})))
    assert event.key.startswith("m:sha256:")
    assert len(event.key) < 255
    assert event.message_id == event.key.removeprefix("m:")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b'{"entry": {}}',
        json.dumps(batch(item(message={"mid": "m_1", "text": {}}))).encode(),
        json.dumps(batch(item(message={"text": "no id"}))).encode(),
        json.dumps(batch(item(message={"mid": "", "text": "empty id"}))).encode(),
        json.dumps(batch({"message": TEXT})).encode(),
        json.dumps(batch(item(sender="a/../b", message=TEXT))).encode(),
    ],
)
def test_what_cannot_be_read_is_unusable(body: bytes) -> None:
    with pytest.raises(errors.Unusable):
        received("messenger", body)


def hello(**changed: str) -> WebhookRequest:
    asked = {"mode": "subscribe", "verify_token": "verify-token", "challenge": "1158201444", **changed}
    query = "&".join(f"hub.{name}={value}" for name, value in asked.items() if value != "-")
    return WebhookRequest(method="GET", url="", headers={}, query=query)


def test_the_challenge_is_echoed_as_plain_text() -> None:
    answer = channel_of("messenger").handshake(hello())
    assert (answer.status, answer.body, answer.content_type) == (200, b"1158201444", "text/plain")


@pytest.mark.parametrize("token", ["wrong", "", "verify-token%00", "VERIFY-TOKEN"])
def test_a_wrong_verify_token_is_refused(token: str) -> None:
    with pytest.raises(errors.HandshakeRefused):
        channel_of("messenger").handshake(hello(verify_token=token))


@pytest.mark.parametrize(
    "changed",
    [{"challenge": text} for text in ("<script>", "", "-", "1a", "1" * 129, "%D9%A1")]
    + [{"mode": "unsubscribe"}, {"mode": "-"}, {"challenge": "1&hub.challenge=2"}],
)
def test_nothing_but_digits_is_echoed(changed: dict[str, str]) -> None:
    with pytest.raises(errors.BadHandshake):
        channel_of("messenger").handshake(hello(**changed))


def test_an_account_without_a_verify_token_answers_no_handshake() -> None:
    channel = channel_of("messenger")
    bare = type(channel)(channel.read_config({"app_secret": "s", "page_id": "1", "page_access_token": "t"}), None, "")
    with pytest.raises(errors.HandshakeRefused):
        bare.handshake(hello(verify_token=""))


BODY = (
    rb'{"object":"page","entry":[{"id":"200","messaging":[{"message":{"mid":"m_1","text":"\u00e4\/\ud83d\ude00"}}]}]}'
)
HEADER = "x-hub-signature-256"


@given(where=st.integers(0, len(BODY) - 1), mask=st.integers(1, 255))
def test_every_flipped_byte_of_the_body_breaks_the_signature(where: int, mask: int) -> None:
    genuine = signed("messenger", BODY)
    forged = BODY[:where] + bytes([BODY[where] ^ mask]) + BODY[where + 1 :]
    with pytest.raises(errors.BadSignature):
        channel_of("messenger").verify(WebhookRequest(method="POST", url="", headers=genuine.headers, body=forged))


@given(where=st.integers(0, 70), mask=st.integers(1, 127))
def test_every_flipped_character_of_the_signature_breaks_it(where: int, mask: int) -> None:
    genuine = signed("messenger", BODY).headers[HEADER]
    forged = genuine[:where] + chr(ord(genuine[where]) ^ mask) + genuine[where + 1 :]
    with pytest.raises(errors.BadSignature):
        channel_of("messenger").verify(WebhookRequest(method="POST", url="", headers={HEADER: forged}, body=BODY))


def test_the_escaped_bytes_are_what_was_signed() -> None:
    assert channel_of("messenger").verify(signed("messenger", BODY)).body == BODY
    again = json.dumps(json.loads(BODY)).encode()
    with pytest.raises(errors.BadSignature):
        channel_of("messenger").verify(
            WebhookRequest(method="POST", url="", headers=signed("messenger", BODY).headers, body=again)
        )


def test_the_older_sha1_signature_does_not_count() -> None:
    old = {"x-hub-signature": "sha1=" + hmac.new(b"app-secret", BODY, "sha1").hexdigest()}
    with pytest.raises(errors.BadSignature):
        channel_of("messenger").verify(WebhookRequest(method="POST", url="", headers=old, body=BODY))


def test_replies_are_free_for_a_day() -> None:
    channel = channel_of("messenger")
    assert isinstance(channel, HasReplyWindow)
    assert channel.window_closes(AT) == AT + timedelta(hours=24)


OUT = OutboundMessage(recipient="7", text="¡Hola! 👋", correlation="c-1")


def test_a_message_is_sent_through_the_documented_call(api: ProviderApi) -> None:
    api.body = b'{"recipient_id":"7","message_id":"m_9"}'
    receipt = channel_of("messenger", api.http()).send(OUT)
    (call,) = api.calls
    assert receipt.message_ids == ("m_9",)
    assert (call.method, call.path) == ("POST", "/v26.0/200/messages")
    assert json.loads(call.body) == {
        "recipient": {"id": "7"},
        "messaging_type": "RESPONSE",
        "message": {"text": "¡Hola! 👋", "metadata": "c-1"},
    }
    assert call.query["access_token"] == ["page-access-token"]
    assert call.query["appsecret_proof"] == [hmac.digest(b"app-secret", b"page-access-token", "sha256").hex()]


def test_a_base_address_with_the_version_does_not_get_it_twice(api: ProviderApi) -> None:
    api.body, api.base = b'{"message_id":"m_9"}', api.base + "/graph/v26.0"
    channel_of("messenger", api.http()).send(OUT)
    assert api.calls[0].path == "/graph/v26.0/200/messages"


REFUSALS = [
    (190, None, 401, errors.AuthFailed),
    (190, 463, 400, errors.AuthFailed),
    (10, 2018278, 400, errors.WindowClosed),
    (551, None, 400, errors.Blocked),
    (551, 1545041, 400, errors.Blocked),
    (100, 2018001, 400, errors.InvalidRecipient),
    (100, None, 400, errors.InvalidContent),
    (200, None, 403, errors.AuthFailed),
    (10, None, 403, errors.AuthFailed),
    *((code, None, 400, errors.Throttled) for code in (4, 17, 32, 613, 80006)),
    (1, None, 500, errors.Unavailable),
    (2, None, 500, errors.Unavailable),
    (10, 1893063, 400, errors.AccountProblem),
    (368, None, 400, errors.PolicyViolation),
    (999, None, 400, errors.SendFailed),
]


@pytest.mark.parametrize(("code", "subcode", "status", "expected"), REFUSALS)
def test_every_refusal_has_its_class(api: ProviderApi, code: int, subcode: int, status: int, expected: type) -> None:
    refused = {"message": "(#1) no", "type": "OAuthException", "code": code, "error_subcode": subcode}
    api.status, api.body = status, json.dumps({"error": refused}).encode()
    with pytest.raises(errors.SendFailed) as refusal:
        channel_of("messenger", api.http()).send(OUT)
    assert type(refusal.value) is expected
    assert refusal.value.provider_code == (f"{code}/{subcode}" if subcode else str(code))


def test_too_fast_says_when_to_try_again(api: ProviderApi) -> None:
    usage = {"200": [{"type": "messenger", "call_count": 100, "estimated_time_to_regain_access": 5}]}
    api.status, api.headers = 400, {"X-Business-Use-Case-Usage": json.dumps(usage)}
    api.body = b'{"error":{"code":80006}}'
    with pytest.raises(errors.Throttled) as refusal:
        channel_of("messenger", api.http()).send(OUT)
    assert refusal.value.retry_at is not None
    assert timedelta(minutes=4) < refusal.value.retry_at - datetime.now(UTC) <= timedelta(minutes=5)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_gateways_html_is_unavailable(api: ProviderApi, status: int) -> None:
    api.status, api.body = status, b"<html>"
    with pytest.raises(errors.Unavailable):
        channel_of("messenger", api.http()).send(OUT)


@pytest.mark.parametrize("body", [None, b"", b"not json", b"[]", b"{}"])
def test_a_senseless_answer_leaves_the_outcome_unknown(api: ProviderApi, body: bytes | None) -> None:
    api.body = body
    with pytest.raises(errors.UnknownOutcome):
        channel_of("messenger", api.http()).send(OUT)


def test_neither_trace_nor_failure_shows_the_token(api: ProviderApi) -> None:
    api.body = None
    with pytest.raises(errors.SendFailed) as failure:
        channel_of("messenger", api.http()).send(OUT)
    assert "page-access-token" not in repr(failure.value) + repr(failure.value.__cause__) + repr(api.traces)


def test_a_profile_is_looked_up(api: ProviderApi) -> None:
    api.body = b'{"first_name":"Ann","last_name":"Lee","profile_pic":"https://p","id":"7"}'
    assert channel_of("messenger", api.http()).look_up_profile("7") == {
        "display_name": "Ann Lee",
        "picture_url": "https://p",
    }
    assert api.calls[0].path == "/v26.0/7"


def test_without_consent_there_is_no_profile(api: ProviderApi) -> None:
    api.status, api.body = 400, b'{"error":{"code":230,"message":"no consent"}}'
    assert channel_of("messenger", api.http()).look_up_profile("7") == {}


@pytest.mark.parametrize(
    "who",
    ["", " ", "null", "undefined", "000", "Anonymous", "1.2", "\uff11\uff12", "7" * 129, "-1", "7\n"],
)
def test_a_sender_whose_id_is_none_is_nobody(who: str) -> None:
    with pytest.raises(errors.Unusable):
        received("messenger", batch(item(who, message=TEXT)))
