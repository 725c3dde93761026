"""Contact flows: what happens between the customer's connection and an agent, and after the agent."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import msgspec

from sandbox.world import bot
from sandbox.world.chat import TEXT, Chat, Item, Participant
from sandbox.world.chats import Chats
from sandbox.world.desk import Desk


class Flow(msgspec.Struct, kw_only=True):
    """A contact flow, as PUT /world/flows/{flow_id} takes it.

    `auto_accept` names an agent who takes every chat at once; `auto_reply` is what they answer, with {text} for
    what the customer said. `agent_whisper` is shown to the agent only. The disconnect flow says its messages so many
    seconds after the agent has left.
    """

    greeting: str = ""
    bot: bool = False
    queue: str = "Support"
    disconnect_messages: list[str] = []
    disconnect_seconds: float = 0.0
    auto_accept: str = ""
    auto_reply: str = ""
    agent_whisper: str = ""


@dataclass(slots=True)
class Flows:
    """Runs the flows. A flow that nobody configured sends its chats straight to the Support queue."""

    chats: Chats
    desk: Desk
    flows: dict[str, Flow] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.chats.ended_listeners.append(self._chat_ended)

    def flow(self, flow_id: str) -> Flow:
        """Return the flow, else the one called `default`, else an ordinary one."""
        return self.flows.get(flow_id) or self.flows.get("default") or Flow()

    def connected(self, participant: Participant) -> None:
        """Note that a participant is connected; the customer's first connection starts the flow. Idempotent."""
        if participant.connected:
            return
        participant.connected = True
        chat = participant.chat
        if participant.role == "CUSTOM_BOT":
            self.chats.event(chat, "participant.joined", participant)
        if participant.role != "CUSTOMER" or chat.stage != "new":
            return
        chat.connected_at = self.chats.clock()
        self.chats.event(chat, "participant.joined", participant)
        flow = self.flow(chat.flow_id)
        if flow.greeting:
            self.chats.say(chat, flow.greeting)
        if flow.bot:
            self.chats.dismiss_custom(chat)
            chat.stage = "bot"
        else:
            self.to_agents(chat)

    def customer_said(self, chat: Chat, item: Item) -> None:
        """Let the bot, or an automatic agent, answer what the customer said. Items before the flow are dropped."""
        loop = asyncio.get_running_loop()
        if chat.stage == "bot":
            loop.call_soon(self._bot_answers, chat, item)
        elif chat.stage == "agent" and self.flow(chat.flow_id).auto_reply:
            loop.call_soon(self._agent_answers, chat, item)

    def to_agents(self, chat: Chat) -> None:
        """Put the chat into the flow's queue, and hand it to the automatic agent if there is one with room."""
        flow = self.flow(chat.flow_id)
        self.desk.enqueue(chat, flow.queue)
        if flow.auto_accept:
            self._hand_over(chat, flow)

    def agent_ends(self, participant: Participant) -> None:
        """Let the agent leave. After the last one: the disconnect flow's messages, then chat.ended."""
        chat = participant.chat
        if chat.agents() != [participant]:
            self.desk.part(participant)
            self.chats.leave(participant)
            return
        chat.stage = "leaving"
        self.desk.let_go(chat)
        self.chats.leave(participant)
        flow = self.flow(chat.flow_id)
        if flow.disconnect_seconds:
            asyncio.get_running_loop().call_later(flow.disconnect_seconds, self._say_goodbye, chat, flow)
        else:
            self._say_goodbye(chat, flow)

    def _say_goodbye(self, chat: Chat, flow: Flow) -> None:
        if chat.stage != "leaving":
            return
        for text in flow.disconnect_messages:
            self.chats.say(chat, text)
        self.chats.end(chat, "AGENT_DISCONNECT")

    def accepted(self, participant: Participant) -> None:
        """Whisper to the agent who has just accepted what the flow has for them."""
        whisper = self.flow(participant.chat.flow_id).agent_whisper
        if whisper:
            self.chats.say(participant.chat, whisper, visibility="AGENT")

    def _hand_over(self, chat: Chat, flow: Flow) -> None:
        agent = self.desk.hire(flow.auto_accept, flow.auto_accept)
        if not self.desk.has_room(agent):
            return
        self.accepted(self.desk.accept(chat.contact.id, agent))
        if flow.auto_reply:
            for item in [item for item, _ in chat.items[chat.past :] if item.participant_role == "CUSTOMER"]:
                self._agent_answers(chat, item)

    def _chat_ended(self, _chat: Chat) -> None:
        asyncio.get_running_loop().call_soon(self._serve_waiting)

    def _serve_waiting(self) -> None:
        for chat in self.desk.queue():
            flow = self.flow(chat.flow_id)
            if flow.auto_accept and len(chat.contacts) == 1:
                self._hand_over(chat, flow)

    def _bot_answers(self, chat: Chat, item: Item) -> None:
        if chat.stage != "bot" or item.content is None:
            return
        limit = self.chats.world.settings.lex_characters
        if len(item.content) > limit:
            self.chats.world.ledger.append("lex.too_long", contact_id=chat.contact.id, characters=len(item.content))
            self.chats.say(chat, bot.FALLBACK[1], "BOT")
            return
        reply = bot.understand(item.content)
        self.chats.say(chat, reply.text, "BOT")
        if reply.intent == "TalkToAgent":
            self.to_agents(chat)

    def _agent_answers(self, chat: Chat, item: Item) -> None:
        agents = chat.agents()
        if chat.stage != "agent" or item.type != "MESSAGE" or not agents:
            return
        text = self.flow(chat.flow_id).auto_reply.replace("{text}", item.content or "")
        self.chats.publish(chat, self.chats.item(chat, "MESSAGE", TEXT, agents[0], content=text))
