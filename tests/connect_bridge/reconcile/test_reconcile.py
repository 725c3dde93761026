"""Gaps between Connect, the database and messengers' lists: each kind planted in a simulated world, and named."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import timedelta
from functools import cached_property
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from channels_app.models import ChannelAccount, InboundEntry
from channels_app.recovery import missed_messages
from connect_bridge.connect.markers import LAST_TIME, NOT_DELIVERED
from connect_bridge.listening.listener import ENDED_UNHEARD
from connect_bridge.models import Contact, Conversation, Message, Notice, OutboxEntry, SentId
from connect_bridge.outbox import db_pool, sender
from connect_bridge.reconcile import chats, rows
from sandbox.world.faults import Fault
from sandbox.world.settings import Settings
from tests.connect_bridge.kit import bridging, until
from tests.factories import (
    ChannelAccountFactory,
    ContactFactory,
    ConversationFactory,
    InboundEntryFactory,
    MessageFactory,
    OutboxEntryFactory,
)
from tests.sandbox.kit import Chatting, RunningWorld, running
from tests.sandbox.messengers_kit import ADDRESSES, CREDENTIALS, CUSTOMERS

pytestmark = pytest.mark.django_db(transaction=True)

KEYS = {
    "twitter": ("consumer_key", "consumer_secret", "access_token", "access_token_secret", "user_id"),
    "whatsapp": ("account_sid", "auth_token", "number"),
    "messenger": ("app_secret", "page_id", "page_access_token", "verify_token"),
}
HOSTS = {
    "twitter": ("https://api.twitter.com", "x"),
    "whatsapp": ("https://api.twilio.com", "twilio"),
    "messenger": ("https://graph.facebook.com", "graph"),
}
LISTING = ["twitter", "whatsapp"]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[RunningWorld]:
    """Serve a world with its messengers and its Connect; what just happened counts as settled."""
    for module in (chats, missed_messages):
        monkeypatch.setattr(module, "SETTLED", timedelta(seconds=-5))
    monkeypatch.setattr(chats, "APART", 0.0)
    settings.CONNECT_INSTANCE_ID, settings.CONNECT_CONTACT_FLOW_ID = "instance", "flow"
    with running(Settings(quotas=False, closing_grace=0.2)) as started:
        for service in ("CONNECT", "CONNECTPARTICIPANT"):
            monkeypatch.setenv(f"AWS_ENDPOINT_URL_{service}", started.url)
        for name, value in (("ACCESS_KEY_ID", "test"), ("SECRET_ACCESS_KEY", "test"), ("REGION", "us-east-1")):
            monkeypatch.setenv(f"AWS_{name}", value)
        settings.HTTP_REDIRECTS = {host: f"{started.url}/{path}" for host, path in HOSTS.values()}
        yield started
    db_pool.close()


def account_on(world: RunningWorld, kind: str) -> ChannelAccount:
    """Set up an account a day ago, whose webhooks go nowhere."""
    world.call("POST", "/phones/accounts", {"kind": kind, "webhook_url": "", "credentials": CREDENTIALS[kind]})
    credentials = {key: CREDENTIALS[kind][key] for key in KEYS[kind]}
    account: ChannelAccount = ChannelAccountFactory(kind=kind, address=ADDRESSES[kind], credentials=credentials)
    ChannelAccount.objects.filter(pk=account.pk).update(created_at=timezone.now() - timedelta(days=1))
    account.refresh_from_db()
    return account


def write(world: RunningWorld, kind: str, *texts: str) -> None:
    for text in texts:
        wrote = {"from": CUSTOMERS[kind], "content": {"type": "text", "text": text}}
        world.call("POST", f"/phones/{kind}/{ADDRESSES[kind]}/messages", wrote)


def found(*arguments: str) -> tuple[int, dict[str, Any]]:
    """Run the command; return its exit code and what it printed as JSON."""
    said = StringIO()
    with pytest.raises(SystemExit) as left:
        call_command("reconcile", "--json", *arguments, stdout=said)
    return int(left.value.code or 0), json.loads(said.getvalue())


def gaps_of(*arguments: str) -> list[tuple[str, str]]:
    """Return the kinds and ids of all gaps, checked for what every one must tell."""
    code, told = found(*arguments)
    assert code == (3 if told["gaps"] else 1 if told["not_compared"] else 0)
    assert all(one["what"] and one["cause"] and one["fix"] and one["id_of"] for one in told["gaps"])
    return [(one["kind"], one["id"]) for one in told["gaps"]]


class Talk:
    """An open chat as a bridge leaves it: rows and Connect's transcript agree until a test makes them differ."""

    def __init__(self, world: RunningWorld, conversation: Conversation | None = None) -> None:
        self.world = world
        self.conversation = conversation or ConversationFactory(
            account__kind="messenger", account__address="200000000000001"
        )
        self.conversation.active, self.conversation.last_message_at = True, timezone.now()
        self.conversation.save()
        self.customer = world.start()
        self.contact: Contact = ContactFactory(
            conversation=self.conversation,
            connection_token=self.customer.token,
            initial_contact_id=self.customer.contact_id,
        )

    @cached_property
    def bot(self) -> Chatting:
        return self.bot_named("Helper")

    def bot_named(self, name: str) -> Chatting:
        details = {"ParticipantRole": "CUSTOM_BOT", "DisplayName": name}
        chat = {"InstanceId": "instance", "ContactId": self.customer.contact_id, "ClientToken": uuid.uuid4().hex}
        self.world.stream(self.customer.contact_id)
        made = self.world.connect.create_participant(**chat, ParticipantDetails=details)
        return Chatting(self.world, made, made["ParticipantCredentials"]["ParticipantToken"])

    def asked(self, *parts: str, kept: bool = True) -> Message:
        """Let the customer's message be with Connect in so many parts, and stored unless it is not `kept`."""
        items = [self.customer.say(part)["Id"] for part in parts]
        given = {"text": "".join(parts), "relayed": len("".join(parts)), "connect_item_id": items[-1]}
        return self.stored(**given) if kept else Message(id=items[-1])

    def answered(self, text: str, *, kept: bool = True) -> Message:
        item = self.bot.say(text)["Id"]
        if not kept:
            return Message(id=item)
        message = self.stored(direction="out", role="CUSTOM_BOT", text=text, connect_item_id=item, status="accepted")
        entry = OutboxEntryFactory(message=message, state="accepted", provider_message_ids=["given"])
        OutboxEntry.objects.filter(pk=entry.pk).update(settled_at=timezone.now())
        return message

    def stored(self, **given: Any) -> Message:
        given = {"status": "relayed", **given}
        message: Message = MessageFactory(conversation=self.conversation, contact=self.contact, **given)
        return message


# ── Connect's transcript ──────────────────────────────────────────────────────────────────────────────────────────────


def test_where_all_agree_nothing_is_missing(world: RunningWorld) -> None:
    talk = Talk(world)
    talk.asked("Hello")
    talk.answered("Yes?")
    talk.asked("a long", " text in", " three parts")
    talk.asked("Hello")
    talk.answered("Yes?")
    code, told = found()
    assert (code, told["gaps"], told["not_compared"]) == (0, [], [])
    assert told["compared"] == {"conversations": 1, "open_chats": 1, "accounts": 1}


def test_what_only_connect_has_of_its_side_is_named(world: RunningWorld) -> None:
    talk = Talk(world)
    talk.asked("Hello")
    lost = talk.answered("lost", kept=False)
    talk.answered("heard")
    assert gaps_of() == [("not_here", str(lost.id))]


def test_what_was_said_a_moment_ago_may_be_on_its_way(world: RunningWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chats, "SETTLED", timedelta(seconds=90))
    talk = Talk(world)
    talk.answered("just said", kept=False)
    talk.asked("just relayed", kept=False)
    assert gaps_of() == []


def test_what_counts_as_relayed_and_connect_lacks_is_named(world: RunningWorld) -> None:
    talk = Talk(world)
    lost = talk.stored(text="Hello", relayed=5, connect_item_id="nobody-has-it")
    talk.asked("Hello")
    assert gaps_of() == [("not_in_connect", str(lost.id))]


def test_a_message_of_which_connect_lacks_a_part_is_named(world: RunningWorld) -> None:
    talk = Talk(world)
    first, last = talk.customer.say("one ")["Id"], talk.customer.say("three")["Id"]
    cut = talk.stored(text="one two three", relayed=13, connect_item_id=last)
    assert first
    assert gaps_of() == [("not_in_connect", str(cut.id))]


def test_a_message_that_began_in_a_former_chat_is_not(world: RunningWorld) -> None:
    talk = Talk(world)
    last = talk.customer.say("and its end")["Id"]
    talk.stored(text="its beginning and its end", relayed=25, connect_item_id=last)
    assert gaps_of() == []


def test_the_initial_message_has_no_id_and_is_known_by_its_text(world: RunningWorld) -> None:
    talk = Talk(world)
    talk.customer.say("Hello")
    talk.stored(text="Hello", relayed=5, connect_item_id=None)
    assert gaps_of() == []


#: What Connect has of a text: stretches of nothing but blanks are never sent.
BLANKS: dict[str, tuple[str, list[str], bool]] = {
    "between two parts": ("a" + "\n" * 2500 + "b", ["a" + "\n" * 1023, "\n" * 453 + "b"], True),
    "at the end": ("x" * 1024 + "\n", ["x" * 1024], True),
    "at the end of the InitialMessage": ("x" * 1024 + "\n" * 1500, ["x" * 1024], False),
    "before the InitialMessage": ("\n" * 1500 + "abc", ["\n" * 476 + "abc"], False),
}


@pytest.mark.parametrize(("text", "parts", "named"), BLANKS.values(), ids=BLANKS)
def test_blanks_that_are_never_sent_are_not_missing(
    world: RunningWorld, text: str, parts: list[str], *, named: bool
) -> None:
    talk = Talk(world)
    items = [talk.customer.say(part)["Id"] for part in parts]
    talk.stored(text=text, relayed=len(text), connect_item_id=items[-1] if named else None)
    assert gaps_of() == []


def test_what_is_in_the_chat_twice_is_named(world: RunningWorld) -> None:
    talk = Talk(world)
    talk.asked("Hello")
    doubled = talk.customer.say("Hello")["Id"]
    assert gaps_of() == [("not_ours", doubled)]


def test_what_connect_rewrote_in_flight_is_named_as_that_and_not_as_missing(world: RunningWorld) -> None:
    world.world.settings.rewrites = {"secret": "[PII]"}
    talk = Talk(world)
    first = talk.stored(text="a secret", relayed=8, connect_item_id=None)
    talk.customer.say("a secret")
    plain, one = talk.asked("nothing to hide"), talk.asked("my secret")
    long = talk.asked("x" * 1000 + "secret ", "and its end")
    again = talk.asked("my secret")
    code, told = found()
    assert [one["id"] for one in told["rewritten"]] == [str(message.id) for message in (first, one, long, again)]
    assert (code, told["gaps"], plain.sequence) == (0, [], 2)
    out = StringIO()
    with pytest.raises(SystemExit):
        call_command("reconcile", stdout=out)
    assert f"rewritten: message {one.id}" in out.getvalue()
    assert "No gap was found, and 4 rewritten" in out.getvalue()


def test_a_doubled_message_and_a_lost_one_are_told_though_others_were_rewritten(world: RunningWorld) -> None:
    world.world.settings.rewrites = {"secret": "[PII]"}
    talk = Talk(world)
    one = talk.asked("my secret")
    doubled = talk.customer.say("my secret")["Id"]
    lost = talk.stored(text="a secret", relayed=8, connect_item_id="nobody-has-it")
    code, told = found()
    assert (code, [each["id"] for each in told["rewritten"]]) == (3, [str(one.id)])
    assert sorted(gaps_of()) == [("not_in_connect", str(lost.id)), ("not_ours", doubled)]


@pytest.mark.parametrize("ahead", [-400.0, 400.0])
def test_what_is_young_is_judged_by_connects_clock(
    world: RunningWorld, monkeypatch: pytest.MonkeyPatch, ahead: float
) -> None:
    world.world.settings.clock_ahead = ahead
    monkeypatch.setattr(chats, "SETTLED", timedelta(seconds=90))
    talk = Talk(world)
    talk.asked("Hello")
    talk.answered("just said", kept=False)
    assert gaps_of() == []
    monkeypatch.setattr(chats, "SETTLED", timedelta(seconds=-5))
    assert [kind for kind, _ in gaps_of()] == ["not_here"]


def test_what_is_stored_as_said_and_connect_does_not_know_is_named(world: RunningWorld) -> None:
    talk = Talk(world)
    talk.answered("heard")
    gone = talk.stored(direction="out", role="AGENT", connect_item_id="nobody-has-it", status="accepted")
    OutboxEntryFactory(message=gone, state="accepted", provider_message_ids=["given"])
    assert gaps_of() == [("not_said", str(gone.id))]


@pytest.mark.parametrize("direction", ["asked", "answered"])
def test_another_order_is_named(world: RunningWorld, direction: str) -> None:
    talk = Talk(world)
    one, two, three = (getattr(talk, direction)(text) for text in ("one", "two", "three"))
    last = three.sequence
    Message.objects.filter(pk=two.pk).update(sequence=last + 1)
    Message.objects.filter(pk=three.pk).update(sequence=last - 1)
    Message.objects.filter(pk=two.pk).update(sequence=last)
    assert gaps_of() == [("order", str(two.id))]
    assert one.sequence == 1


def test_our_own_words_to_the_agent_and_automatic_replies_are_not_taken_for_gaps(world: RunningWorld) -> None:
    talk = Talk(world)
    failed = talk.stored(direction="out", role="SYSTEM", connect_item_id="holding reply", status="accepted")
    OutboxEntryFactory(message=failed, state="accepted", provider_message_ids=["given"])
    greeting = talk.stored(
        direction="out", role="SYSTEM", connect_item_id="greeting 0123456789abcdef", status="accepted"
    )
    OutboxEntryFactory(message=greeting, state="accepted", provider_message_ids=["greeted"])
    talk.bot_named("Parley: not delivered").say("as former versions said it")
    talk.customer.say(f"{NOT_DELIVERED}Not delivered to the customer: …")
    talk.customer.say(f"{LAST_TIME}Messenger, …")
    other = talk.customer.say("[removed] by Connect on its way, but noted as ours")["Id"]
    told = timezone.now()
    Notice.objects.create(message=failed, contact=talk.contact, item_id=other, created_at=told, told_at=told)
    assert gaps_of() == []


def test_a_chat_that_connect_closed_without_a_bridge_noticing_is_not_compared_and_says_so(world: RunningWorld) -> None:
    talk = Talk(world)
    world.connect.stop_contact(InstanceId="instance", ContactId=talk.customer.contact_id)
    code, told = found()
    assert (code, told["gaps"]) == (1, [])
    assert "403" in told["not_compared"][0]["why"]


def test_connect_that_is_busy_is_asked_again(world: RunningWorld) -> None:
    talk = Talk(world)
    lost = talk.answered("lost", kept=False)
    world.world.faults.on.append(Fault(name="throttle", target="GetTranscript", times=2))
    assert gaps_of() == [("not_here", str(lost.id))]


def test_a_chat_that_ended_unheard_is_named_and_one_that_ended_in_order_is_only_noted(silent: None) -> None:
    now = timezone.now()
    for reason in (ENDED_UNHEARD, "chat.ended", "chat.ended"):
        ContactFactory(state="ended", reason=reason, ended_at=now, last_traffic_at=now - timedelta(minutes=1))
    Contact.objects.filter(pk=Contact.objects.filter(reason="chat.ended")[0].pk).update(swept_at=now)
    ContactFactory(state="ended", reason=ENDED_UNHEARD, ended_at=now - timedelta(days=2))
    unheard = Contact.objects.get(reason=ENDED_UNHEARD, ended_at=now)
    code, told = found()
    assert [(one["kind"], one["id"]) for one in told["gaps"]] == [("ended_unheard", unheard.initial_contact_id)]
    assert (code, [one["count"] for one in told["notes"] if one["text"] == rows.UNCOMPARED]) == (3, [1])


def test_no_text_and_no_token_is_told(world: RunningWorld) -> None:
    talk = Talk(world)
    talk.answered("a secret answer", kept=False)
    talk.stored(text="a secret question", relayed=17, connect_item_id="nobody-has-it")
    said = StringIO()
    with pytest.raises(SystemExit):
        call_command("reconcile", stdout=said)
    lines = said.getvalue().splitlines()
    assert [line.partition(":")[0] for line in lines[:3]] == ["not_here", "not_in_connect", "note"]
    assert "secret" not in said.getvalue()
    assert talk.customer.token not in said.getvalue()
    assert lines[-1].endswith("2 gaps: 1 not_here, 1 not_in_connect.")


# ── the database alone ────────────────────────────────────────────────────────────────────────────────────────────────


def talked(count: int = 3) -> Conversation:
    """Store a conversation in which all is well."""
    conversation: Conversation = ConversationFactory(last_message_at=timezone.now())
    for number in range(count):
        if number % 2:
            message = MessageFactory(conversation=conversation, direction="out", status="accepted")
            OutboxEntryFactory(message=message, state="accepted", provider_message_ids=["given"])
        else:
            MessageFactory(conversation=conversation, status="relayed")
    return conversation


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no messenger be asked."""
    monkeypatch.setattr("connect_bridge.reconcile.provider_lists.look", lambda *_: iter(()))


def test_a_hole_in_the_numbering_is_named(silent: None) -> None:
    whole, holed, beheaded = talked(6), talked(6), talked(6)
    for conversation, numbers in ((holed, (3, 4)), (beheaded, (1, 2))):
        lost = Message.objects.filter(conversation=conversation, sequence__in=numbers)
        OutboxEntry.objects.filter(message__in=lost).delete()
        lost.delete()
    _, told = found()
    assert [(one["kind"], one["id"], one["detail"]) for one in told["gaps"]] == [
        ("hole", str(holed.pk), "numbers 3 to 4")
    ]
    assert gaps_of("--conversation", str(whole.pk)) == []


def test_a_message_that_is_missing_at_the_end_is_a_hole(silent: None) -> None:
    conversation = talked(4)
    Conversation.objects.filter(pk=conversation.pk).update(last_sequence=5)
    assert gaps_of() == [("hole", str(conversation.pk))]


def test_a_message_with_nothing_to_be_sent_for_it_is_named(silent: None) -> None:
    conversation = talked()
    orphan = MessageFactory(conversation=conversation, direction="out", status="stored")
    assert gaps_of() == [("no_send", str(orphan.pk))]


def test_an_accepted_send_without_an_id_is_named(silent: None) -> None:
    talked()
    entry = OutboxEntry.objects.get()
    OutboxEntry.objects.update(provider_message_ids=[])
    assert gaps_of() == [("no_id", str(entry.pk))]


def test_what_is_stuck_is_named_but_for_receipts_that_wait(silent: None) -> None:
    conversation, long_ago = talked(), timezone.now() - timedelta(seconds=120)
    message = MessageFactory(conversation=conversation, direction="out")
    entry = OutboxEntryFactory(message=message, created_at=long_ago, due_at=long_ago)
    InboundEntryFactory(state="parked", created_at=long_ago)
    _, told = found()
    assert [(one["kind"], one["id"], one["id_of"]) for one in told["gaps"]] == [("stuck", str(entry.pk), "outbox")]
    assert "No worker is running" in told["gaps"][0]["cause"]


def test_only_what_was_asked_for_is_looked_at(silent: None) -> None:
    broken = [talked() for _ in range(2)]
    OutboxEntry.objects.update(provider_message_ids=[])
    for conversation in broken:
        entry = OutboxEntry.objects.get(conversation=conversation)
        assert gaps_of("--conversation", str(conversation.pk)) == [("no_id", str(entry.pk))]
        assert gaps_of("--account", str(conversation.account_id)) == [("no_id", str(entry.pk))]
    Message.objects.update(created_at=timezone.now() - timedelta(days=3))
    Conversation.objects.update(last_message_at=timezone.now() - timedelta(days=3))
    assert gaps_of() == []


@pytest.mark.parametrize("name", ["account", "conversation"])
def test_an_unknown_id_is_refused(name: str) -> None:
    with pytest.raises(CommandError, match=f"no {name} with the id"):
        call_command("reconcile", f"--{name}", str(uuid.uuid4()))


def test_the_number_of_queries_does_not_grow_with_what_there_is(silent: None) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as context:
            found()
        return len(context)

    for _ in range(2):
        talked(2)
    few = queries()
    for _ in range(20):
        talked(9)
    assert queries() == few


# ── messengers' lists ─────────────────────────────────────────────────────────────────────────────────────────────────


def conversation_on(world: RunningWorld, kind: str) -> Conversation:
    account = account_on(world, kind)
    write(world, kind, "Hi")
    looked = missed_messages.look(account.pk, now=True)
    assert looked is not None
    InboundEntry.objects.update(state="done")
    identity = CUSTOMERS[kind]["id"]
    conversation: Conversation = ConversationFactory(
        account=account, recipient=identity, last_message_at=timezone.now()
    )
    return conversation


def sent(conversation: Conversation) -> OutboxEntry:
    """Let an agent's message go out as the worker sends it."""
    message = MessageFactory(conversation=conversation, direction="out", status="stored")
    entry: OutboxEntry = OutboxEntryFactory(message=message)
    sender.drain(conversation.id)
    entry.refresh_from_db()
    assert entry.state == "accepted"
    return entry


@pytest.mark.parametrize("kind", LISTING)
def test_lists_that_agree_with_us_name_nothing(world: RunningWorld, kind: str) -> None:
    conversation = conversation_on(world, kind)
    sent(conversation)
    sent(conversation)
    code, told = found()
    assert (code, told["gaps"], told["not_compared"], told["notes"]) == (0, [], [], [])


@pytest.mark.parametrize("kind", LISTING)
def test_what_no_webhook_brought_is_named_and_not_taken_in(world: RunningWorld, kind: str) -> None:
    account = conversation_on(world, kind).account
    write(world, kind, "lost on the way")
    before = InboundEntry.objects.count()
    (named,) = gaps_of()
    assert InboundEntry.objects.count() == before
    missed_messages.look(account.pk, now=True)
    assert named == ("not_taken_in", InboundEntry.objects.latest("id").event["message_id"])
    InboundEntry.objects.update(state="done")
    assert gaps_of() == []


@pytest.mark.parametrize("kind", LISTING)
def test_what_was_sent_and_is_not_known_here_is_named(world: RunningWorld, kind: str) -> None:
    entry = sent(conversation_on(world, kind))
    (name,) = entry.provider_message_ids
    SentId.objects.all().delete()
    assert gaps_of() == [("sent_unknown", name)]


@pytest.mark.parametrize("kind", LISTING)
def test_what_an_echo_told_of_is_known(world: RunningWorld, kind: str) -> None:
    entry = sent(conversation_on(world, kind))
    (name,) = entry.provider_message_ids
    SentId.objects.all().delete()
    template = InboundEntry.objects.latest("id")
    template.pk, template.key, template.type = None, f"m:{name}", "echo"
    template.event = {**template.event, "event": "echo", "message_id": name}
    template.save()
    assert gaps_of() == []


@pytest.mark.parametrize("kind", LISTING)
def test_what_was_taken_and_is_not_listed_is_named(world: RunningWorld, kind: str) -> None:
    entry = sent(conversation_on(world, kind))
    SentId.objects.update(provider_message_id="999")
    listed = entry.provider_message_ids[0]
    assert gaps_of() == [("sent_unknown", listed), ("not_listed", str(entry.pk))]


def test_a_messenger_that_lists_nothing_is_noted(world: RunningWorld) -> None:
    account_on(world, "messenger")
    code, told = found()
    assert (code, told["gaps"]) == (0, [])
    assert "lists nothing" in told["notes"][0]["text"]


@pytest.mark.parametrize("kind", LISTING)
def test_a_messenger_that_is_down_is_not_compared(world: RunningWorld, kind: str) -> None:
    account_on(world, kind)
    world.world.faults.on.append(Fault(name="error5xx", times=9))
    code, told = found()
    assert (code, told["gaps"]) == (1, [])
    assert told["not_compared"][0]["why"].startswith("unavailable")


def test_an_account_whose_secrets_cannot_be_read_does_not_keep_the_others_waiting(world: RunningWorld) -> None:
    conversation_on(world, "whatsapp")
    write(world, "whatsapp", "lost on the way")
    unreadable = ChannelAccountFactory(kind="twitter")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE channels_app_channelaccount SET credentials = 'x' WHERE id = %s", [unreadable.pk])
    _, told = found()
    assert [one["kind"] for one in told["gaps"]] == ["not_taken_in"]
    assert [one["where"] for one in told["not_compared"]] == [str(unreadable)]


# ── the whole way ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_with_a_real_bridge_nothing_is_missing_until_a_frame_is_lost(world: RunningWorld) -> None:
    account = account_on(world, "whatsapp")
    with bridging(killed=True):
        write(world, "whatsapp", "Hello " + "word " * 400, "and this")
        missed_messages.look(account.pk, now=True)
        waiting = until(lambda: world.call("GET", "/ccp/queue"), "a chat in the queue")
        agent = world.accept(waiting[0]["contact_id"], world.agent())
        until(lambda: Message.objects.filter(status="relayed").count() == 2, "the relay")
        write(world, "whatsapp", "are you there?")
        missed_messages.look(account.pk, now=True)
        until(lambda: agent.said()[-1:] == ["are you there?"], "the third message")
        agent.say("Yes")
        until(lambda: OutboxEntry.objects.count() == 1, "the answer")
        world.world.faults.on.append(Fault(name="frame_drop", target="CUSTOMER", times=1))
        lost = agent.say("lost on the way")["Id"]
        agent.say("Anything else?")
        until(lambda: OutboxEntry.objects.count() == 2, "the second answer")
        until(lambda: Message.objects.filter(status="relayed").count() == 3, "the relay of the third")
    sender.drain(Conversation.objects.get().id)
    assert gaps_of() == [("not_here", lost)]
