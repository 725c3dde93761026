"""Amazon Connect Participant Service: everything that is done with a bearer token."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec
from aiohttp import web

from sandbox.world.amazon import Amazon
from sandbox.world.aws_errors import AwsError
from sandbox.world.aws_front import Call, Front, Handler
from sandbox.world.chat import INTERACTIVE, TEXT, Chat, MessageMetadata, Participant, Visibility
from sandbox.world.chats import Connection
from sandbox.world.receipts import send_event
from sandbox.world.transcript import page

JSON_CONTENT = ("application/json", INTERACTIVE, f"{INTERACTIVE}.response")


class ParticipantService:
    """The operations (Amazon Connect Participant Service API Reference)."""

    def __init__(self, amazon: Amazon) -> None:
        self.amazon = amazon
        self.chats = amazon.chats

    def handlers(self) -> dict[str, Handler]:
        """Return the operations by name."""
        return {
            "CreateParticipantConnection": self.create_connection,
            "SendMessage": self.send_message,
            "SendEvent": self.send_event,
            "GetTranscript": self.get_transcript,
            "DisconnectParticipant": self.disconnect,
            "DescribeView": self.describe_view,
        }

    def create_connection(self, call: Call) -> dict[str, Any]:
        """Exchange a participant token for a websocket URL and a connection token.

        ConnectParticipant marks an agent as connected, and a customer whose chat is streamed to SNS.
        """
        participant = self.chats.participant(call.bearer)
        note(call, participant)
        types = call.params.get("Type") or []
        connect = call.params.get("ConnectParticipant") is True
        if not types and not connect:
            raise AwsError("ValidationException", "Type must be given unless ConnectParticipant is true")
        if "WEBRTC_CONNECTION" in types:
            raise AwsError("ValidationException", "WEBRTC_CONNECTION is not supported for this contact")
        if connect and participant.role == "CUSTOMER" and not participant.chat.streams:
            raise AwsError("ValidationException", "ConnectParticipant needs StartContactStreaming for a customer")
        participant.asked = True
        if connect:
            self.amazon.flows.connected(participant)
        return self.chats.connection_details(participant, types)

    def send_message(self, call: Call) -> dict[str, Any]:
        """Say something. Repeating a ClientToken on the same connection gives the first answer, and says nothing."""
        connection = self._connection(call)
        token = call.params.get("ClientToken")
        key = ("message", token)
        if token and key in connection.said:
            call.notes["repeated"] = True
            return connection.said[key]
        participant, kind, content = connection.participant, call.params["ContentType"], call.params["Content"]
        check_content(self.amazon, participant.chat, kind, content)
        processed = self._processed(content) if kind == TEXT else content
        item = self.chats.item(participant.chat, "MESSAGE", kind, participant, content=processed)
        refused = self._refused_in_flight(content) if kind == TEXT else ""
        if refused:
            item.message_metadata = MessageMetadata(message_id=item.id, message_processing_status=refused)
        own: Visibility = "CUSTOMER" if participant.role == "CUSTOMER" else "AGENT"
        self.chats.publish(participant.chat, item, own if refused else "ALL")
        call.notes |= {"item_id": item.id, "text": processed}
        result: dict[str, Any] = {"Id": item.id, "AbsoluteTime": item.absolute_time}
        settings = self.amazon.world.settings
        if settings.rewrites or settings.refuses_in_flight:
            status = refused if settings.told_in_answer and refused else "PROCESSING"
            result["MessageMetadata"] = {"MessageProcessingStatus": status}
        if token:
            connection.said[key] = result
        if participant.role == "CUSTOMER" and not refused:
            self.amazon.flows.customer_said(participant.chat, item)
        return result

    def send_event(self, call: Call) -> dict[str, Any]:
        """Send typing or a receipt. Idempotent by (ClientToken, ContentType, Content).

        The token alone would not do: amazon-connect-chatjs sends the same one with every read receipt.
        """
        connection = self._connection(call)
        kind, content = call.params["ContentType"], call.params.get("Content")
        token = call.params.get("ClientToken")
        call.notes |= {"content_type": kind, "content": content}
        key = ("event", token, kind, content)
        if token and key in connection.said and not kind.endswith(".typing"):
            call.notes["repeated"] = True
            return connection.said[key]
        result = connection.said[key] = send_event(self.chats, connection.participant, kind, content)
        return result

    def get_transcript(self, call: Call) -> dict[str, Any]:
        """Return a page of what was said, as far as this participant may see it."""
        connection = self._connection(call)
        contact_id = call.params.get("ContactId")
        chat = connection.participant.chat
        if contact_id and self.chats.by_contact.get(contact_id) is not chat:
            raise AwsError("ValidationException", f"ContactId {contact_id} is not part of this chat")
        result = page(connection.participant, call.params, self.amazon.world.faults)
        call.notes["items"] = len(result["Transcript"])
        return result

    def disconnect(self, call: Call) -> dict[str, Any]:
        """Leave. A customer's leaving ends the chat; an agent's is followed by the disconnect flow."""
        participant = self._connection(call).participant
        if participant.role == "AGENT":
            self.amazon.flows.agent_ends(participant)
        else:
            self.chats.leave(participant)
        if participant.role == "CUSTOMER":
            self.chats.end(participant.chat, "CUSTOMER_DISCONNECT")
        return {}

    def describe_view(self, call: Call) -> dict[str, Any]:
        """Answer that there is no such view: the simulated flows show none."""
        self._connection(call)
        raise AwsError("ResourceNotFoundException", "View not found", ResourceType="VIEW")

    def _processed(self, content: str) -> str:
        """Return the text as a message processor leaves it, for everybody in the chat (StartContactMediaProcessing)."""
        for pattern, instead in self.amazon.world.settings.rewrites.items():
            content = re.sub(pattern, instead, content)
        return content

    def _refused_in_flight(self, content: str) -> str:
        """Return FAILED or REJECTED for a text that a message processor does not pass on, "" for any other."""
        statuses = self.amazon.world.settings.refuses_in_flight
        return next((status for pattern, status in statuses.items() if re.search(pattern, content)), "")

    def _connection(self, call: Call) -> Connection:
        connection = self.chats.connection(call.bearer, call.operation)
        note(call, connection.participant)
        return connection


def note(call: Call, participant: Participant) -> None:
    """Say in the ledger whose call this was."""
    chat = participant.chat
    call.notes |= {
        "contact_id": chat.contact.id,
        "initial_contact_id": chat.initial_id,
        "participant_id": participant.id,
        "role": participant.role,
        "client_token": call.params.get("ClientToken"),
    }


def check_content(amazon: Amazon, chat: Chat, kind: str, content: str) -> None:
    """Refuse with ValidationException what this chat cannot carry: unknown types, too many bytes, broken JSON."""
    limit = amazon.world.settings.message_bytes
    if kind != TEXT and kind not in chat.content_types:
        raise AwsError("ValidationException", f"ContentType {kind} is not supported in this chat")
    if not content.strip():
        raise AwsError("ValidationException", "Content must not be blank")
    if len(content.encode()) > limit:
        raise AwsError("ValidationException", f"Content must not be longer than {limit} bytes")
    if kind in JSON_CONTENT:
        try:
            msgspec.json.decode(content)
        except (ValueError, RecursionError):
            raise AwsError("ValidationException", "Content is not valid JSON") from None


def participant_front(amazon: Amazon) -> Front:
    """Return what serves this service's operations; their rates count for each instance."""

    def scope(call: Call) -> str:
        holder = amazon.chats.participants.get(call.bearer)
        if holder is None and call.bearer in amazon.chats.connections:
            holder = amazon.chats.connections[call.bearer].participant
        return holder.chat.instance_id if holder else "unknown"

    return Front(amazon.world, "connectparticipant", "participant", scope, amazon.quotas)


def routes(amazon: Amazon) -> Iterable[web.AbstractRouteDef]:
    """Return the routes of the operations, those on attachments excepted."""
    return participant_front(amazon).routes(ParticipantService(amazon).handlers())
