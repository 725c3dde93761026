from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from channels_app.accounts.opening_hours import DAYS
from channels_app.models import AutoReply, BusinessHours, ChannelAccount, RoutingRule
from connect_bridge.automation.replies import LOOK_EVERY
from connect_bridge.models import Contact, Conversation, Message, OutboxEntry, SentReply
from connect_bridge.outbox import sender
from connect_bridge.setup.dry_run import simulate
from connect_bridge.setup.pausing import set_paused
from customers.models import Identity
from tests.connect_bridge.kit import Phone, accepted, bridging, said_to_customer, until
from tests.connect_bridge.outbox.kit import FakeMessenger, entries_of, say, states_of, talk

pytestmark = pytest.mark.django_db(transaction=True)

ALWAYS = [["00:00", "24:00"]]


def replies(account: ChannelAccount, occasion: str, **texts: str) -> None:
    for language, text in texts.items():
        AutoReply.objects.create(account=account, occasion=occasion, language=language, text=text)


def close(account: ChannelAccount, **changes: object) -> BusinessHours:
    hours = BusinessHours.objects.create(name="Office", zone="UTC", week={})
    ChannelAccount.objects.filter(pk=account.pk).update(hours=hours, **changes)
    return hours


def test_whoever_writes_while_the_account_is_closed_is_told_once_and_nothing_is_lost(aws, phone, pointed_at):
    hours = close(phone.account, closed_starts_chat=False)
    replies(phone.account, "closed", en="We are closed.")
    with bridging():
        phone.write("Hello", "is anybody there?")
        until(lambda: said_to_customer() == ["We are closed."], "the reply")
        phone.write("hello??")
        until(lambda: Message.objects.filter(direction="in").count() == 3, "the third message")
        assert not Contact.objects.exists()
        hours.week = dict.fromkeys(DAYS, ALWAYS)
        hours.save()
        agent = accepted(aws, aws.agent())
        until(lambda: agent.said() == ["Hello", "is anybody there?", "hello??"], "all of it, in order")
    assert said_to_customer() == ["We are closed."]


def test_a_closed_account_may_start_chats_all_the_same(aws, phone, pointed_at):
    close(phone.account, closed_starts_chat=True)
    replies(phone.account, "closed", en="It may take longer now.")
    with bridging():
        phone.write("Hello")
        agent = accepted(aws, aws.agent())
        until(lambda: agent.said() == ["Hello"], "the message")
    assert said_to_customer() == ["It may take longer now."]


def test_a_greeting_comes_once_for_each_chat_in_the_customers_language(aws, phone, pointed_at):
    replies(phone.account, "greeting", en="Welcome!", es="¡Hola!")
    with bridging():
        phone.write("Buenas")
        ann = aws.agent()
        agent = accepted(aws, ann)
        Identity.objects.update(locale="es_MX")
        phone.write("una pregunta")
        until(lambda: agent.said() == ["Buenas", "una pregunta"], "both")
        aws.call("POST", f"/ccp/contacts/{agent.contact_id}/end", {"agent_id": ann})
        until(lambda: Contact.objects.filter(state="ended").exists(), "the end")
        phone.write("otra cosa")
        until(lambda: len(said_to_customer()) == 2, "the second greeting")
    assert said_to_customer() == ["Welcome!", "¡Hola!"]
    assert SentReply.objects.count() == 2


def test_a_bridge_that_takes_over_does_not_greet_again(aws, phone, pointed_at):
    replies(phone.account, "greeting", en="Welcome!")
    with bridging(killed=True):
        phone.write("Hello")
        until(lambda: Contact.objects.filter(state="connected").exists(), "the chat")
    with bridging():
        phone.write("again")
        agent = accepted(aws, aws.agent())
        until(lambda: agent.said() == ["Hello", "again"], "both")
    assert said_to_customer() == ["Welcome!"]


def test_the_agent_sees_what_the_customer_was_told_without_them(aws, phone, pointed_at):
    replies(phone.account, "greeting", en="Welcome!")
    with bridging():
        phone.write("Hello")
        until(lambda: said_to_customer() == ["Welcome!"], "the greeting")
    answer = Message.objects.get(direction="out")
    assert (answer.role, answer.author) == ("SYSTEM", "Parley")
    assert answer.contact is not None


def test_whoever_waits_for_an_agent_is_told_so_once(aws, phone, pointed_at):
    ChannelAccount.objects.update(queue_delay_minutes=0)
    replies(phone.account, "queue_delay", en="An agent will be with you soon.")
    with bridging():
        phone.write("Hello")
        until(lambda: said_to_customer() == ["An agent will be with you soon."], "the reply")
        asked = timezone.now()
        until(lambda: timezone.now() - asked > timedelta(seconds=2 * LOOK_EVERY), "two more looks")
    assert len(said_to_customer()) == 1


def test_a_paused_account_keeps_everything_and_goes_on_in_order(aws, bridge, phone):
    account = phone.account
    phone.write("one")
    agent = accepted(aws, aws.agent())
    until(lambda: agent.said() == ["one"], "the first")
    account.refresh_from_db()
    account.pause_reply = "Back in an hour."
    account.save()
    set_paused(account, paused=True)
    until(lambda: bridge.runtime.account_settings.of(account.pk).paused_since, "that the bridge knows")

    phone.write("two", "three")
    until(lambda: said_to_customer() == ["Back in an hour."], "the holding reply")
    phone.write("four")
    until(lambda: Message.objects.filter(direction="in").count() == 4, "the fourth")
    assert agent.said() == ["one"]
    set_paused(account, paused=False)

    until(lambda: agent.said() == ["one", "two", "three", "four"], "all in order")
    assert said_to_customer() == ["Back in an hour."]


def test_while_paused_only_what_tells_of_it_goes_out(messenger: FakeMessenger) -> None:
    conversation = talk(paused_since=timezone.now())
    answer, notice = say(conversation, "An answer"), say(conversation, "We are back at nine.", role="SYSTEM")
    OutboxEntry.objects.filter(message=notice).update(passes_pause=True)

    sender.drain(conversation.id)
    assert messenger.texts == ["We are back at nine."]
    assert states_of(answer) == ["stored", "pending"]

    ChannelAccount.objects.update(paused_since=None)
    sender.drain(conversation.id)
    assert messenger.texts == ["We are back at nine.", "An answer"]
    assert [entry.state for entry in entries_of(answer)] == ["accepted"]


def test_a_rule_decides_where_a_chat_goes_by_its_first_words(aws, phone, pointed_at):
    rule = {"account": phone.account, "connect_contact_flow_id": "returns-flow", "attributes": {"topic": "returns"}}
    RoutingRule.objects.create(words="return, send back", **rule)
    RoutingRule.objects.create(words="hello", position=2, account=phone.account, attributes={"topic": "chat"})
    with bridging():
        phone.write("Hello, how do I SEND BACK a lamp?")
        waiting = until(lambda: aws.call("GET", "/ccp/queue"), "a chat in the queue")[0]
    assert waiting["attributes"]["topic"] == "returns"
    assert Contact.objects.get().flow_id == "returns-flow"


def test_a_word_inside_another_is_not_that_word(aws, phone, pointed_at):
    RoutingRule.objects.create(words="turn", account=phone.account, attributes={"topic": "wrong"})
    with bridging():
        phone.write("I return it")
        waiting = until(lambda: aws.call("GET", "/ccp/queue"), "a chat in the queue")[0]
    assert "topic" not in waiting["attributes"]
    assert json.dumps(waiting["attributes"]).count(str(Conversation.objects.get().id)) == 1


def test_two_customers_are_told_each(aws, phone, pointed_at):
    replies(phone.account, "greeting", en="Welcome!")
    with bridging():
        phone.write("Hello")
        Phone(phone.account, "4915100000002", "Ben").write("Hello")
        until(lambda: said_to_customer() == ["Welcome!", "Welcome!"], "both greetings")


def test_the_dry_run_shows_the_very_request_that_the_bridge_makes(aws, phone, pointed_at):
    RoutingRule.objects.create(words="hello", account=phone.account, attributes={"topic": "chat"})
    with bridging():
        phone.write("Hello")
        waiting = until(lambda: aws.call("GET", "/ccp/queue"), "a chat in the queue")[0]
    simulated = json.loads(simulate(phone.account, "Hello", "").request)
    made = Contact.objects.get()
    of_customer = {key for key in waiting["attributes"] if key.startswith("customer_")} - {
        "customer_id",
        "customer_page",
    }
    ids = {"identity_id", "conversation_id", "customer_id", "customer_page"}
    for name in set(waiting["attributes"]) - of_customer - ids:
        assert simulated["Attributes"][name] == waiting["attributes"][name]
    assert set(simulated["Attributes"]) == set(waiting["attributes"]) - of_customer
    assert (simulated["InstanceId"], simulated["ContactFlowId"]) == (made.instance_id, made.flow_id)
    assert simulated["InitialMessage"]["Content"] == "Hello"
