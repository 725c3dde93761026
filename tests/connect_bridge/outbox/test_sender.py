from __future__ import annotations

import http.server
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from channels_app.models import ChannelLog
from connect_bridge.models import SentId
from connect_bridge.outbox import sender
from connect_bridge.signals import message_settled
from tests.connect_bridge.outbox.kit import FakeMessenger, entries_of, say, states_of, talk


@pytest.fixture
def provider() -> Iterator[str]:
    class Provider(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(201)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Provider) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_what_an_agent_says_goes_out_in_the_order_in_which_it_was_said(messenger: FakeMessenger) -> None:
    conversation = talk()
    for text in ("one", "two", "three"):
        say(conversation, text)
    assert sender.drain(conversation.id) == 3
    assert messenger.texts == ["one", "two", "three"]


def test_all_parts_of_a_message_go_out_before_the_next_message(messenger: FakeMessenger) -> None:
    conversation = talk()
    say(conversation, "one, ", "still one, ", "end of one")
    say(conversation, "two")
    sender.drain(conversation.id)
    assert messenger.texts == ["one, ", "still one, ", "end of one", "two"]


def test_a_message_is_accepted_when_all_of_its_parts_are(messenger: FakeMessenger) -> None:
    message = say(talk(), "first", "second")
    seen: list[list[str]] = []
    messenger.meanwhile = lambda: seen.append(states_of(message))
    sender.drain(message.conversation_id)
    assert seen == [["stored", "claimed", "pending"], ["stored", "accepted", "claimed"]]
    assert states_of(message) == ["accepted", "accepted", "accepted"]


def test_the_messenger_is_told_recipient_text_and_our_own_id(messenger: FakeMessenger) -> None:
    message = say(talk(), "hello")
    sender.drain(message.conversation_id)
    (sent,) = messenger.sent
    assert (sent.recipient, sent.text) == (message.conversation.recipient, "hello")
    assert sent.correlation == str(entries_of(message)[0].id)


def test_the_providers_ids_are_kept_where_receipts_look_for_them(messenger: FakeMessenger) -> None:
    message = say(talk(), "hello")
    messenger.will_answer(("mid-1", "mid-2"))
    sender.drain(message.conversation_id)
    (entry,) = entries_of(message)
    assert entry.provider_message_ids == ["mid-1", "mid-2"]
    assert set(SentId.objects.values_list("account", "provider_message_id", "entry")) == {
        (message.conversation.account_id, "mid-1", entry.id),
        (message.conversation.account_id, "mid-2", entry.id),
    }
    message.refresh_from_db()
    assert message.provider_message_id == "mid-1"
    assert message.settled_at is not None


def test_the_rest_of_the_house_hears_that_a_message_was_accepted(
    messenger: FakeMessenger, settled_signals: list[dict[str, Any]]
) -> None:
    message = say(talk(), "in two ", "parts")
    sender.drain(message.conversation_id)
    (signal,) = settled_signals
    assert (signal["conversation_id"], signal["message_id"]) == (message.conversation_id, message.id)
    assert signal["status"] == "accepted"


def test_a_receiver_that_fails_on_the_news_harms_nobody_and_its_words_are_not_logged(
    messenger: FakeMessenger, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(**_: Any) -> None:
        raise ValueError("the customer said: top secret")

    conversation = talk()
    first, second = say(conversation, "one"), say(conversation, "two")
    message_settled.connect(fail)
    try:
        sender.drain(conversation.id)
    finally:
        message_settled.disconnect(fail)
    assert states_of(first) == states_of(second) == ["accepted", "accepted"]
    assert "ValueError" in caplog.text
    assert "top secret" not in caplog.text


def test_neither_text_nor_recipient_is_logged(messenger: FakeMessenger, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    conversation = talk()
    say(conversation, "my password is hunter2")
    say(conversation, "hunter2 again")
    messenger.will_answer(KeyError("hunter2"), ConnectionError("hunter2"))
    sender.drain(conversation.id)
    assert "hunter2" not in caplog.text
    assert conversation.recipient not in caplog.text


def test_a_disabled_account_keeps_its_messages_until_it_is_enabled_again(messenger: FakeMessenger) -> None:
    message = say(talk(enabled=False), "hello")
    assert sender.drain(message.conversation_id) == 0
    assert states_of(message) == ["stored", "pending"]
    message.conversation.account.enabled = True
    message.conversation.account.save()
    sender.drain(message.conversation_id)
    assert states_of(message) == ["accepted", "accepted"]


def test_new_credentials_are_used_from_the_next_send_on(messenger: FakeMessenger) -> None:
    conversation = talk()
    say(conversation, "one")
    sender.drain(conversation.id)
    conversation.account.credentials = {"token": "second"}
    conversation.account.save()
    say(conversation, "two")
    sender.drain(conversation.id)
    assert messenger.tokens == ["first", "second"]


def test_credentials_that_do_not_fit_the_channel_make_a_dead_letter_that_says_so(messenger: FakeMessenger) -> None:
    message = say(talk(credentials={}), "hello")
    sender.drain(message.conversation_id)
    (entry,) = entries_of(message)
    assert (entry.state, entry.error_code) == ("dead", "account")
    assert "save them anew" in entry.error_detail


def test_an_account_of_a_kind_that_is_gone_makes_a_dead_letter_that_says_so(messenger: FakeMessenger) -> None:
    message = say(talk(kind="myspace"), "hello")
    sender.drain(message.conversation_id)
    assert "no channel 'myspace'" in entries_of(message)[0].error_detail


def test_credentials_that_no_key_opens_are_waited_for_since_the_key_may_come_back(
    messenger: FakeMessenger, settings: Any
) -> None:
    message = say(talk(), "hello")
    settings.FIELD_ENCRYPTION_KEYS = ["another key"]
    sender.drain(message.conversation_id)
    (entry,) = entries_of(message)
    assert entry.state == "pending"
    assert "FIELD_ENCRYPTION_KEYS" in entry.error_detail


def test_every_call_to_the_provider_is_shown_in_the_channel_log(messenger: FakeMessenger, provider: str) -> None:
    message = say(talk(), "hello")
    messenger.url = f"{provider}/send?token=secret"
    sender.drain(message.conversation_id)
    call = ChannelLog.objects.get()
    assert (call.account_id, call.outbox_entry) == (message.conversation.account_id, entries_of(message)[0].id)
    assert (call.method, call.host, call.path, call.status) == ("POST", "127.0.0.1", "/send", 201)
    assert 0 < call.seconds < 5


def test_calls_go_where_the_settings_redirect_them(messenger: FakeMessenger, provider: str, settings: Any) -> None:
    message = say(talk(), "hello")
    settings.HTTP_REDIRECTS = {"https://messenger.example": provider}
    messenger.url = "https://messenger.example/send"
    sender.drain(message.conversation_id)
    assert ChannelLog.objects.get().host == "messenger.example"
    assert states_of(message) == ["accepted", "accepted"]
