"""Whatever else Messenger's webhooks tell, and who it is about."""

from __future__ import annotations

import pytest

from channels_app.types import Part, PartKind, ReceiptStatus, Selection
from tests.channels_app.providers.kit import received, words_of
from tests.channels_app.providers.messenger_kit import (
    IMAGE,
    LIKED,
    OPTIN,
    STAMP,
    TEXT,
    Json,
    attached,
    batch,
    form,
    item,
    message,
    parts,
)

CASES: list[tuple[str, Json, list[tuple[str, Json]]]] = [
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
            batch(item(**{name: members})),
            [("AccountChanged", {"topic": "handover", "detail": words})],
        )
        for name, members, words in (
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
    assert [words_of(event, fields) for event, (_, fields) in zip(events, expected, strict=True)] == expected
