"""The agents and the queue: who waits, who answers, transfers."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from sandbox.world.chat import Chat, Participant, Role, new_id
from sandbox.world.chats import Chats


class DeskError(Exception):
    """The agent desktop asked for something impossible; `status` is the HTTP status to answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(slots=True)
class Agent:
    """Someone who answers. `chats` are their open chats by InitialContactId."""

    id: str
    name: str
    chats: dict[str, Chat] = field(default_factory=dict)


@dataclass(slots=True)
class Desk:
    """The contact centre's agents and the chats that wait for them."""

    chats: Chats
    agents: dict[str, Agent] = field(default_factory=dict)
    waiting: dict[str, Chat] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.chats.ended_listeners.append(self.let_go)

    def agent(self, agent_id: str) -> Agent:
        """Return the agent. Raises DeskError 404."""
        if agent_id not in self.agents:
            raise DeskError(404, f"There is no agent {agent_id!r}; POST /ccp/agents makes one")
        return self.agents[agent_id]

    def hire(self, name: str, agent_id: str = "") -> Agent:
        """Return the agent with this id, or make one."""
        key = agent_id or new_id()
        return self.agents.setdefault(key, Agent(key, name))

    def enqueue(self, chat: Chat, queue: str) -> None:
        """Put the chat into a queue, where the agents see it."""
        chat.stage = "queued"
        chat.contact.queue = queue
        chat.contact.queued_at = time.time()
        self.waiting[chat.initial_id] = chat
        self._record("connect.queued", chat, queue=queue)

    def queue(self) -> list[Chat]:
        """Return those who wait, by priority and then by age."""
        return sorted(self.waiting.values(), key=lambda chat: (chat.contact.priority, chat.contact.queued_at))

    def has_room(self, agent: Agent) -> bool:
        """Say whether the agent may take another chat (quota: ten chats an agent)."""
        settings = self.chats.world.settings
        return not settings.quotas or len(agent.chats) < settings.chats_per_agent * settings.raised

    def accept(self, contact_id: str, agent: Agent) -> Participant:
        """Connect the agent with a waiting chat. Raises DeskError 404 or 409."""
        chat = self._chat(contact_id)
        if self.waiting.get(chat.initial_id) is not chat or chat.contact.id != contact_id:
            raise DeskError(409, f"Contact {contact_id} is not waiting in a queue; it is {chat.stage}")
        if not self.has_room(agent):
            raise DeskError(409, f"{agent.name} already has {len(agent.chats)} chats, which is the most allowed")
        del self.waiting[chat.initial_id]
        agent.chats[chat.initial_id] = chat
        chat.stage = "agent"
        chat.contact.agent_id, chat.contact.agent_at = agent.id, time.time()
        self.chats.dismiss_custom(chat)
        participant = self.chats.join(chat, "AGENT", agent.name)
        self.chats.event(chat, "participant.joined", participant)
        self._record("connect.accepted", chat, agent_id=agent.id)
        return participant

    def join(self, contact_id: str, agent: Agent, role: Role) -> Participant:
        """Let another agent, or a supervisor who barges in, into a chat that an agent has.

        Six participants are the most, the customer among them (Amazon Connect quotas). Raises DeskError 404 or 409.
        """
        chat = self._chat(contact_id)
        if chat.stage != "agent" or chat.contact.id != contact_id:
            raise DeskError(409, f"Contact {contact_id} is not with an agent; it is {chat.stage}")
        if len(chat.present()) >= self.chats.world.settings.participants_per_chat:
            raise DeskError(409, f"Contact {contact_id} has as many participants as are allowed")
        if role == "AGENT":
            agent.chats[chat.initial_id] = chat
        participant = self.chats.join(chat, role, agent.name)
        self.chats.event(chat, "participant.joined", participant)
        self._record("connect.joined", chat, agent_id=agent.id, role=role)
        return participant

    def part(self, participant: Participant) -> None:
        """Take one of several agents' chat off their list."""
        for agent in self.agents.values():
            if agent.name == participant.display_name:
                agent.chats.pop(participant.chat.initial_id, None)

    def transfer(self, contact_id: str, agent: Agent, queue: str) -> Chat:
        """Send the chat back to a queue under a new ContactId. Raises DeskError 404 or 409."""
        chat = self.held(contact_id, agent)
        del agent.chats[chat.initial_id]
        for participant in chat.agents():
            self.chats.leave(participant)
        self.chats.next_contact(chat, queue)
        self.chats.event(chat, "transfer.succeeded")
        self._record("connect.transferred", chat, agent_id=agent.id)
        self.enqueue(chat, chat.contact.queue)
        return chat

    def held(self, contact_id: str, agent: Agent) -> Chat:
        """Return the agent's chat. Raises DeskError 404 or 409."""
        chat = self._chat(contact_id)
        if agent.chats.get(chat.initial_id) is not chat or chat.contact.id != contact_id:
            raise DeskError(409, f"{agent.name} is not talking in contact {contact_id}; it is {chat.stage}")
        return chat

    def forget(self) -> None:
        """Empty the queue and send the agents home."""
        self.waiting.clear()
        self.agents.clear()

    def _chat(self, contact_id: str) -> Chat:
        if contact_id not in self.chats.by_contact:
            raise DeskError(404, f"There is no contact {contact_id!r}")
        return self.chats.by_contact[contact_id]

    def let_go(self, chat: Chat) -> None:
        """Let it wait for nobody and be with nobody. Idempotent."""
        self.waiting.pop(chat.initial_id, None)
        for agent in self.agents.values():
            agent.chats.pop(chat.initial_id, None)

    def _record(self, what: str, chat: Chat, **more: Any) -> None:
        self.chats.world.ledger.append(what, contact_id=chat.contact.id, initial_contact_id=chat.initial_id, **more)
