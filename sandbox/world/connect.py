"""Amazon Connect's control plane: starting chats and everything that is done to a contact."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aiohttp import web

from sandbox.world.amazon import Amazon
from sandbox.world.aws_errors import AwsError
from sandbox.world.aws_front import Call, Front, Handler
from sandbox.world.chat import Chat, iso, new_id
from sandbox.world.contact_view import ATTRIBUTE_BYTES, check_attributes, described
from sandbox.world.metrics import Metrics
from sandbox.world.start_chat import StartChat, check_route

CUSTOM_BOTS = 1


class ConnectService:
    """The operations (Amazon Connect API Reference)."""

    def __init__(self, amazon: Amazon) -> None:
        self.amazon = amazon
        self.chats = amazon.chats
        self.start = StartChat(amazon)
        self.metrics = Metrics(amazon)

    def handlers(self) -> dict[str, Handler]:
        """Return the operations by name."""
        return {
            "StartChatContact": self.start.start,
            "StopContact": self.stop,
            "StartContactStreaming": self.start_streaming,
            "StopContactStreaming": self.stop_streaming,
            "UpdateContactAttributes": self.update_attributes,
            "GetContactAttributes": self.get_attributes,
            "DescribeContact": self.describe,
            "CreatePersistentContactAssociation": self.start.associate,
            "CreateParticipant": self.create_participant,
            "UpdateParticipantRoleConfig": self.update_timers,
            "UpdateContactRoutingData": self.update_routing,
            "DescribeInstance": self.describe_instance,
            "DescribeContactFlow": self.describe_flow,
            "GetCurrentMetricData": self.metrics.current,
            "GetMetricDataV2": self.metrics.historical,
        }

    def stop(self, call: Call) -> dict[str, Any]:
        """End a chat in any state. One that is over is ContactNotFoundException (410)."""
        chat = self.chats.by_contact.get(call.params["ContactId"])
        if chat is None or chat.stage == "ended":
            raise AwsError("ContactNotFoundException", "The contact with the specified ID does not exist or is over")
        self._note(call, chat)
        code = (call.params.get("DisconnectReason") or {}).get("Code") or "API"
        self.chats.end(chat, code)
        return {}

    def start_streaming(self, call: Call) -> dict[str, Any]:
        """Stream a chat to an SNS topic, at most two topics a contact. Nothing is published in this world."""
        chat = self._open_chat(call)
        arn = call.params["ChatStreamingConfiguration"]["StreamingEndpointArn"]
        for streaming_id, known in chat.streams.items():
            if known == arn:
                return {"StreamingId": streaming_id}
        if len(chat.streams) >= self.amazon.world.settings.streaming_endpoints:
            raise AwsError("LimitExceededException", "The contact already streams to two endpoints")
        streaming_id = new_id()
        chat.streams[streaming_id] = arn
        return {"StreamingId": streaming_id}

    def stop_streaming(self, call: Call) -> dict[str, Any]:
        """Stop one stream of a chat."""
        chat = self._chat(call)
        if chat.streams.pop(call.params["StreamingId"], None) is None:
            raise AwsError("ResourceNotFoundException", "The stream was not found")
        return {}

    def update_attributes(self, call: Call) -> dict[str, Any]:
        """Add attributes, or replace them; 32 KB in all. Works on chats that are over."""
        chat = self._chat(call, "InitialContactId")
        merged = chat.attributes | call.params["Attributes"]
        check_attributes(merged, ATTRIBUTE_BYTES)
        chat.attributes = merged
        return {}

    def get_attributes(self, call: Call) -> dict[str, Any]:
        """Return the attributes of a chat."""
        return {"Attributes": self._chat(call, "InitialContactId").attributes}

    def describe(self, call: Call) -> dict[str, Any]:
        """Describe one contact of a chain, also one that is over."""
        chat = self._chat(call)
        return {"Contact": described(chat, call.params["ContactId"])}

    def create_participant(self, call: Call) -> dict[str, Any]:
        """Add a custom bot, who has 15 s to connect. Idempotent by ClientToken.

        Only while neither an agent nor a Lex bot is there, in a chat that is streamed; one at most.
        """
        chat = self._open_chat(call)
        key = (f"participant of {chat.initial_id}", call.params.get("ClientToken") or "")
        if known := self.chats.by_client_token.get(key):
            call.notes["repeated"] = True
            return known
        details = call.params["ParticipantDetails"]
        self._check_addable(chat, details)
        participant = self.chats.join(chat, "CUSTOM_BOT", details["DisplayName"])
        self.chats.await_arrival(participant)
        expiry = iso(self.chats.clock() + self.amazon.world.settings.chat_duration)
        credentials = {"ParticipantToken": participant.token, "Expiry": expiry}
        result = {"ParticipantId": participant.id, "ParticipantCredentials": credentials}
        if key[1]:
            self.chats.by_client_token[key] = result
        return result

    def _check_addable(self, chat: Chat, details: dict[str, Any]) -> None:
        """Refuse what the administrator guide rules out (chat-customize-flow). By which error is not documented."""
        if details.get("ParticipantRole") != "CUSTOM_BOT" or not (details.get("DisplayName") or "").strip():
            raise AwsError("InvalidRequestException", "Only CUSTOM_BOT with a DisplayName can be added to a chat")
        if not chat.streams:
            raise AwsError("InvalidRequestException", "StartContactStreaming must be called first")
        if chat.agents() or chat.stage == "bot":
            raise AwsError("InvalidRequestException", "An agent or an Amazon Lex bot is already present on the contact")
        if sum(participant.role == "CUSTOM_BOT" for participant in chat.present()) >= CUSTOM_BOTS:
            raise AwsError("ServiceQuotaExceededException", "The chat already has a custom participant")

    def update_timers(self, call: Call) -> dict[str, Any]:
        """Accept a configuration of idle timers, which this world does not run."""
        self._open_chat(call)
        return {}

    def update_routing(self, call: Call) -> dict[str, Any]:
        """Change a waiting contact's priority or its time in the queue, never both at once."""
        chat = self._open_chat(call)
        priority, seconds = call.params.get("QueuePriority"), call.params.get("QueueTimeAdjustmentSeconds")
        if (priority is None) == (seconds is None):
            raise AwsError("InvalidParameterException", "Give either QueuePriority or QueueTimeAdjustmentSeconds")
        if priority is not None:
            chat.contact.priority = priority
        if seconds is not None:
            chat.contact.queued_at -= seconds
        return {}

    def describe_instance(self, call: Call) -> dict[str, Any]:
        """Describe the instance, if there is one of this id."""
        instance_id = call.params["InstanceId"]
        check_route(self.amazon.world.settings, instance_id)
        return {
            "Instance": {
                "Id": instance_id,
                "Arn": f"arn:aws:connect:us-east-1:000000000000:instance/{instance_id}",
                "IdentityManagementType": "CONNECT_MANAGED",
                "InstanceAlias": "sandbox",
                "InstanceStatus": "ACTIVE",
                "InboundCallsEnabled": True,
                "OutboundCallsEnabled": True,
            }
        }

    def describe_flow(self, call: Call) -> dict[str, Any]:
        """Describe a flow, if there is one of this id that is published."""
        flow_id = call.params["ContactFlowId"]
        settings = self.amazon.world.settings
        if flow_id in settings.unpublished_flows:
            raise AwsError("ContactFlowNotPublishedException", "The flow has not been published")
        check_route(settings, call.params["InstanceId"], flow_id)
        return {
            "ContactFlow": {
                "Id": flow_id,
                "Arn": f"arn:aws:connect:us-east-1:000000000000:instance/sandbox/contact-flow/{flow_id}",
                "Name": flow_id,
                "Type": "CONTACT_FLOW",
                "State": "ACTIVE",
                "Status": "PUBLISHED",
            }
        }

    def _chat(self, call: Call, member: str = "ContactId") -> Chat:
        chat = self.chats.by_contact.get(call.params[member])
        if chat is None:
            raise AwsError("ResourceNotFoundException", "The specified contact was not found")
        self._note(call, chat)
        return chat

    def _open_chat(self, call: Call) -> Chat:
        chat = self._chat(call)
        if chat.stage == "ended":
            raise AwsError("ResourceNotFoundException", "The specified contact is over")
        return chat

    def _note(self, call: Call, chat: Chat) -> None:
        call.notes |= {"contact_id": chat.contact.id, "initial_contact_id": chat.initial_id}


def routes(amazon: Amazon) -> Iterable[web.AbstractRouteDef]:
    """Return the routes of Connect's operations. Rates of the control plane count for the whole account."""
    service = ConnectService(amazon)
    front = Front(amazon.world, "connect", "connect", lambda _call: "account", amazon.quotas)
    return front.routes(service.handlers())
