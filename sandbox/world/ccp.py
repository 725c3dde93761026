"""The agent desktop's own API: who is there, who waits, accept, transfer, end.

After `accept` the desktop talks to the participant service and its websocket with the token that it got, as the
real Contact Control Panel does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Literal

import msgspec
from aiohttp import web

from sandbox.world.amazon import Amazon
from sandbox.world.aws_errors import answer
from sandbox.world.chat import Chat, Participant, iso
from sandbox.world.desk import Agent, DeskError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class NewAgent(msgspec.Struct):
    """The body of POST /ccp/agents. Repeating an `agent_id` returns that agent."""

    name: str
    agent_id: str = ""


class Action(msgspec.Struct):
    """The body of accept, join, transfer and end. `role`: as whom someone joins who is not the first."""

    agent_id: str
    queue: str = ""
    role: Literal["AGENT", "SUPERVISOR"] = "AGENT"


class Panel:
    """The handlers."""

    def __init__(self, amazon: Amazon) -> None:
        self.amazon = amazon
        self.desk = amazon.desk

    async def agents(self, _request: web.Request) -> web.Response:
        """List the agents."""
        return answer(200, [_agent(agent) for agent in self.desk.agents.values()])

    async def hire(self, request: web.Request) -> web.Response:
        """Make an agent."""
        body = msgspec.json.decode(await request.read(), type=NewAgent)
        return answer(200, _agent(self.desk.hire(body.name, body.agent_id)))

    async def queue(self, _request: web.Request) -> web.Response:
        """List the chats that wait, the next one first."""
        waiting = [_contact(chat) | {"queued_at": iso(chat.contact.queued_at)} for chat in self.desk.queue()]
        return answer(200, waiting)

    async def contacts(self, request: web.Request) -> web.Response:
        """List an agent's open chats, with the tokens that a reloaded desktop needs."""
        agent = self.desk.agent(request.query.get("agent", ""))
        return answer(200, [_contact(chat) | self._credentials(chat) for chat in agent.chats.values()])

    async def accept(self, request: web.Request) -> web.Response:
        """Connect an agent with a waiting chat."""
        body = await _action(request)
        participant = self.desk.accept(request.match_info["contact_id"], self.desk.agent(body.agent_id))
        self.amazon.flows.accepted(participant)
        return answer(200, _contact(participant.chat) | self._credentials(participant.chat))

    async def join(self, request: web.Request) -> web.Response:
        """Let another agent into a chat, or a supervisor."""
        body = await _action(request)
        agent = self.desk.agent(body.agent_id)
        participant = self.desk.join(request.match_info["contact_id"], agent, body.role)
        return answer(200, _contact(participant.chat) | _tokens(participant))

    async def transfer(self, request: web.Request) -> web.Response:
        """Send a chat back to a queue; the answer has its new ContactId."""
        body = await _action(request)
        agent = self.desk.agent(body.agent_id)
        chat = self.desk.transfer(request.match_info["contact_id"], agent, body.queue)
        return answer(200, _contact(chat))

    async def end(self, request: web.Request) -> web.Response:
        """End a chat as its agent: participant.left, the disconnect flow's messages, chat.ended."""
        body = await _action(request)
        agent = self.desk.agent(body.agent_id)
        chat = self.desk.held(request.match_info["contact_id"], agent)
        theirs = [other for other in chat.agents() if other.display_name == agent.name]
        self.amazon.flows.agent_ends(theirs[-1])
        return answer(200, _contact(chat))

    def _credentials(self, chat: Chat) -> dict[str, str]:
        return _tokens(chat.agents()[-1])


def _tokens(participant: Participant) -> dict[str, str]:
    return {"participant_id": participant.id, "participant_token": participant.token}


def _agent(agent: Agent) -> dict[str, Any]:
    return {"agent_id": agent.id, "name": agent.name, "open": len(agent.chats)}


def _contact(chat: Chat) -> dict[str, Any]:
    return {
        "contact_id": chat.contact.id,
        "initial_contact_id": chat.initial_id,
        "display_name": chat.customer.display_name,
        "attributes": chat.attributes,
        "queue": chat.contact.queue,
    }


async def _action(request: web.Request) -> Action:
    return msgspec.json.decode(await request.read(), type=Action)


def _guarded(handler: Handler) -> Handler:
    async def guarded(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except DeskError as error:
            return answer(error.status, {"error": str(error)})
        except msgspec.MsgspecError as error:
            return answer(400, {"error": f"The body is not what was expected: {error}"})

    return guarded


def routes(amazon: Amazon) -> Iterable[web.AbstractRouteDef]:
    """Return the routes of the agent desktop's API."""
    panel = Panel(amazon)
    return [
        web.get("/ccp/agents", _guarded(panel.agents)),
        web.post("/ccp/agents", _guarded(panel.hire)),
        web.get("/ccp/queue", _guarded(panel.queue)),
        web.get("/ccp/contacts", _guarded(panel.contacts)),
        web.post("/ccp/contacts/{contact_id}/accept", _guarded(panel.accept)),
        web.post("/ccp/contacts/{contact_id}/join", _guarded(panel.join)),
        web.post("/ccp/contacts/{contact_id}/transfer", _guarded(panel.transfer)),
        web.post("/ccp/contacts/{contact_id}/end", _guarded(panel.end)),
    ]
