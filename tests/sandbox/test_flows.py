"""Contact flows and the agent desktop."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conftest import RunningWorld


async def test_the_bot_answers_until_the_customer_asks_for_a_person(aws: RunningWorld) -> None:
    aws.call("PUT", "/world/flows/flow", {"bot": True, "queue": "Sales"})
    chat = aws.start()
    async with chat.line() as line:
        await line.until("participant.joined")
        chat.say("What are your opening hours?")
        answer = await line.until("We are here every day from 8 to 20.")
        assert (answer["ParticipantRole"], answer["DisplayName"]) == ("SYSTEM", "BOT")
        assert aws.call("GET", "/ccp/queue") == []
        chat.say("A human, please")
        await line.until("One moment, I am getting an agent.")
        chat.say("Still there?")
        await line.until("Still there?")

    [waiting] = aws.call("GET", "/ccp/queue")
    assert (waiting["contact_id"], waiting["queue"]) == (chat.contact_id, "Sales")
    assert chat.said()[-1] == "Still there?"


async def test_a_text_that_lex_cannot_take_is_not_understood(aws: RunningWorld) -> None:
    aws.call("PUT", "/world/flows/flow", {"bot": True})
    chat = aws.start()
    async with chat.line() as line:
        chat.say("agent " * 200)
        await line.until("I did not understand that. Say 'agent' to talk to a person.")

    assert aws.lines("lex.too_long")[0]["characters"] == 1200
    assert aws.call("GET", "/ccp/queue") == []


async def test_an_automatic_agent_answers_everything_also_the_first_message(aws: RunningWorld) -> None:
    aws.call("PUT", "/world/flows/default", {"auto_accept": "robot", "auto_reply": "echo: {text}"})
    chat = aws.start(InitialMessage={"ContentType": "text/plain", "Content": "first"})
    async with chat.line() as line:
        await line.until("echo: first")
        chat.say("second {text}")
        echo = await line.until("echo: second {text}")

    assert (echo["ParticipantRole"], echo["DisplayName"]) == ("AGENT", "robot")
    [held] = aws.call("GET", "/ccp/contacts?agent=robot")
    assert held["contact_id"] == chat.contact_id


async def test_an_agent_has_ten_chats_and_the_eleventh_waits_for_one_to_end(aws: RunningWorld) -> None:
    rates = {name: [99, 99] for name in ("StartChatContact", "CreateParticipantConnection", "StopContact")}
    aws.call("PUT", "/world/settings", {"quotas": True, "chats_per_agent": 2, "rates": rates})
    aws.call("PUT", "/world/flows/flow", {"auto_accept": "robot"})
    chats = [aws.start() for _ in range(3)]
    for chat in chats[:2]:
        async with chat.line() as line:
            await line.until("participant.joined")
    async with chats[2].line() as line:
        await line.until("participant.joined")
        assert [waiting["contact_id"] for waiting in aws.call("GET", "/ccp/queue")] == [chats[2].contact_id]
        status, why = aws.refusal(f"/ccp/contacts/{chats[2].contact_id}/accept", {"agent_id": "robot"})
        assert (status, "most allowed" in why) == (409, True)
        aws.connect.stop_contact(InstanceId="instance", ContactId=chats[0].contact_id)
        joined = await line.until("participant.joined")

    assert joined["DisplayName"] == "robot"


async def test_a_customer_who_leaves_ends_the_chat_for_the_agent_too(aws: RunningWorld) -> None:
    chat, agent = aws.start(), aws.agent()
    async with chat.line() as line:
        await line.until("participant.joined")
        answering = aws.accept(chat.contact_id, agent)
        async with answering.line() as desktop:
            aws.participant.disconnect_participant(ConnectionToken=chat.token)
            left = await desktop.until("participant.left")
            await desktop.until("chat.ended")

    assert left["ParticipantRole"] == "CUSTOMER"
    assert aws.call("GET", f"/ccp/contacts?agent={agent}") == []


async def test_an_agent_who_has_passed_a_chat_on_hears_no_more_of_it(aws: RunningWorld) -> None:
    chat, agent = aws.start(), aws.agent()
    async with chat.line() as line:
        await line.until("participant.joined")
        async with aws.accept(chat.contact_id, agent).line() as desktop:
            aws.call("POST", f"/ccp/contacts/{chat.contact_id}/transfer", {"agent_id": agent})
            chat.say("between ourselves")
            await line.until("between ourselves")
            await desktop.until("participant.left")
            assert (await desktop.ws.receive(timeout=20)).data == 1000


async def test_an_agents_disconnect_runs_the_disconnect_flow_too(aws: RunningWorld) -> None:
    aws.call("PUT", "/world/flows/flow", {"disconnect_messages": ["Goodbye."]})
    chat, agent = aws.start(), aws.agent()
    async with chat.line() as line:
        await line.until("participant.joined")
        answering = aws.accept(chat.contact_id, agent)
        aws.participant.disconnect_participant(ConnectionToken=answering.token)
        await line.until("Goodbye.")
        await line.until("chat.ended")


async def test_a_disconnect_flow_may_take_its_time(aws: RunningWorld) -> None:
    aws.call("PUT", "/world/flows/flow", {"disconnect_messages": ["Goodbye."], "disconnect_seconds": 0.3})
    chat, agent = aws.start(), aws.agent()
    async with chat.line() as line:
        await line.until("participant.joined")
        aws.accept(chat.contact_id, agent)
        aws.call("POST", f"/ccp/contacts/{chat.contact_id}/end", {"agent_id": agent})
        await line.until("participant.left")
        assert chat.say("Thank you")["Id"]  # the chat is still open
        assert aws.refusal(f"/ccp/contacts/{chat.contact_id}/end", {"agent_id": agent})[0] in (403, 404, 409)
        await line.until("Goodbye.")
        await line.until("chat.ended")


async def test_priority_comes_before_age_in_the_queue(aws: RunningWorld) -> None:
    older, newer = aws.start(), aws.start()
    for chat in (older, newer):
        async with chat.line() as line:
            await line.until("participant.joined")
    urgent = {"InstanceId": "instance", "ContactId": newer.contact_id}

    aws.connect.update_contact_routing_data(**urgent, QueuePriority=1)

    waiting = [chat["contact_id"] for chat in aws.call("GET", "/ccp/queue")]
    assert waiting == [newer.contact_id, older.contact_id]
    both = aws.refused(aws.connect.update_contact_routing_data, **urgent, QueuePriority=1, QueueTimeAdjustmentSeconds=9)
    assert both == ("InvalidParameterException", 400)


def test_the_desktop_says_why_it_refuses(aws: RunningWorld) -> None:
    chat, agent = aws.start(), aws.agent()

    def status(path: str, body: object) -> int:
        return aws.refusal(f"/ccp{path}", body)[0]

    assert status("/agents", {}) == 400
    assert status(f"/contacts/{chat.contact_id}/accept", {"agent_id": "nobody"}) == 404
    assert status("/contacts/nobody/accept", {"agent_id": agent}) == 404
    assert status(f"/contacts/{chat.contact_id}/accept", {"agent_id": agent}) == 409
    assert status(f"/contacts/{chat.contact_id}/transfer", {"agent_id": agent}) == 409
    assert status(f"/contacts/{chat.contact_id}/end", {"agent_id": agent}) == 409


async def test_several_agents_are_in_a_chat_and_only_the_last_one_to_leave_ends_it(aws: RunningWorld) -> None:
    chat, ann, ben, sam = aws.start(), aws.agent("Ann"), aws.agent("Ben"), aws.agent("Sam")
    async with chat.line() as line:
        await line.until("participant.joined")
        aws.accept(chat.contact_id, ann)
        for agent, role in ((ben, "AGENT"), (sam, "SUPERVISOR")):
            aws.call("POST", f"/ccp/contacts/{chat.contact_id}/join", {"agent_id": agent, "role": role})
        aws.call("POST", f"/ccp/contacts/{chat.contact_id}/end", {"agent_id": ann})
        left = await line.until("participant.left")
        assert (left["ParticipantRole"], left["DisplayName"]) == ("AGENT", "Ann")
        aws.call("POST", f"/ccp/contacts/{chat.contact_id}/end", {"agent_id": ben})
        await line.until("chat.ended")
    came = [(item["ParticipantRole"], item["DisplayName"]) for item in line.seen if "joined" in item["ContentType"]]
    assert came == [("CUSTOMER", "Jane"), ("AGENT", "Ann"), ("AGENT", "Ben"), ("SUPERVISOR", "Sam")]


async def test_a_chat_has_six_participants_at_most(aws: RunningWorld) -> None:
    chat = aws.start()
    async with chat.line() as line:
        await line.until("participant.joined")
        aws.accept(chat.contact_id, aws.agent("1"))
        for name in "2345":
            aws.call("POST", f"/ccp/contacts/{chat.contact_id}/join", {"agent_id": aws.agent(name)})
        status, why = aws.refusal(f"/ccp/contacts/{chat.contact_id}/join", {"agent_id": aws.agent("6")})
    assert (status, "participants" in why) == (409, True)
