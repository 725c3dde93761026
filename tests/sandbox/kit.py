"""The simulator in a thread of the tests' process, behind a real socket, and clients of it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import aiohttp
import boto3
import pytest
import requests
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from sandbox.world.run import serving
from sandbox.world.settings import Settings
from sandbox.world.world import World

REGION = "us-east-1"
EVENT = "application/vnd.amazonaws.connect.event."
#: Seconds that a test waits for a frame.
PATIENCE = 20.0


@dataclass
class RunningWorld:
    """The world, its address, and real clients for it. Retries are off, so that every refusal is seen."""

    world: World
    url: str

    def client(self, service: str, **config: Any) -> Any:
        config = {"retries": {"total_max_attempts": 1}, **config}
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        return boto3.client(service, endpoint_url=self.url, region_name=REGION, config=Config(**config), **keys)

    @cached_property
    def connect(self) -> Any:
        return self.client("connect")

    @cached_property
    def participant(self) -> Any:
        return self.client("connectparticipant", signature_version=UNSIGNED)

    def refusal(self, path: str, body: Any) -> tuple[int, str]:
        """POST what must fail; return the status and the sentence that says why."""
        response = requests.post(self.url + path, json=body, timeout=30)
        return response.status_code, response.json()["error"]

    def call(self, method: str, path: str, body: Any = None) -> Any:
        response = requests.request(method, self.url + path, json=body, timeout=30)
        response.raise_for_status()
        return response.json()

    def start(self, **more: Any) -> Chatting:
        """Start a chat and connect its customer's token, without opening the websocket."""
        request = {"InstanceId": "instance", "ContactFlowId": "flow", "ParticipantDetails": {"DisplayName": "Jane"}}
        started = self.connect.start_chat_contact(**(request | more))
        return Chatting(self, started, started["ParticipantToken"])

    def stream(self, contact_id: str, topic: str = "chat") -> str:
        """Start streaming a chat, without which no custom participant may join."""
        arn = {"StreamingEndpointArn": f"arn:aws:sns:{REGION}:000000000000:{topic}"}
        params = {"InstanceId": "instance", "ContactId": contact_id, "ClientToken": topic}
        return self.connect.start_contact_streaming(**params, ChatStreamingConfiguration=arn)["StreamingId"]

    def agent(self, name: str = "Ann") -> str:
        return self.call("POST", "/ccp/agents", {"name": name})["agent_id"]

    def accept(self, contact_id: str, agent_id: str) -> Chatting:
        accepted = self.call("POST", f"/ccp/contacts/{contact_id}/accept", {"agent_id": agent_id})
        return Chatting(self, accepted, accepted["participant_token"])

    def refused(self, action: Any, **params: Any) -> tuple[str, int]:
        """Call a client's method that must fail; return the error's code and its HTTP status."""
        with pytest.raises(ClientError) as caught:
            action(**params)
        response = caught.value.response
        return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]

    def lines(self, what: str) -> list[dict[str, Any]]:
        return [line.fields for line in list(self.world.ledger.lines) if line.what == what]


@dataclass
class Chatting:
    """One participant of a chat: what the chat was started or accepted with, and a connection."""

    aws: RunningWorld
    started: dict[str, Any]
    participant_token: str

    def reconnect(self) -> dict[str, Any]:
        return self.aws.participant.create_participant_connection(
            Type=["WEBSOCKET", "CONNECTION_CREDENTIALS"], ParticipantToken=self.participant_token
        )

    @cached_property
    def connection(self) -> dict[str, Any]:
        return self.reconnect()

    @cached_property
    def token(self) -> str:
        return self.connection["ConnectionCredentials"]["ConnectionToken"]

    @property
    def contact_id(self) -> str:
        return self.started.get("ContactId") or self.started["contact_id"]

    def say(self, text: str, **more: Any) -> dict[str, Any]:
        content = {"ContentType": "text/plain", "Content": text, "ConnectionToken": self.token}
        return self.aws.participant.send_message(**(content | more))

    def event(self, name: str, content: str | None = None, **more: Any) -> dict[str, Any]:
        text = {"Content": content} if content else {}
        return self.aws.participant.send_event(ContentType=EVENT + name, ConnectionToken=self.token, **text, **more)

    def transcript(self, **more: Any) -> list[dict[str, Any]]:
        more = {"MaxResults": 100, "SortOrder": "ASCENDING", **more}
        return self.aws.participant.get_transcript(ConnectionToken=self.token, **more)["Transcript"]

    def said(self) -> list[str]:
        return [item["Content"] for item in self.transcript() if item["Type"] == "MESSAGE"]

    @asynccontextmanager
    async def line(self, *, subscribe: bool = True) -> AsyncIterator[Wire]:
        """Open the websocket of a new connection, and subscribe."""
        url = self.reconnect()["Websocket"]["Url"]
        async with aiohttp.ClientSession() as session, session.ws_connect(url) as ws:
            wire = Wire(ws)
            if subscribe:
                await wire.subscribe()
            yield wire


@dataclass
class Wire:
    """An open websocket. `seen` are the chat items that came."""

    ws: aiohttp.ClientWebSocketResponse
    seen: list[dict[str, Any]] = field(default_factory=list)

    async def subscribe(self) -> None:
        await self.ws.send_str('{"topic":"aws/subscribe","content":{"topics":["aws/chat"]}}')
        answer = await self.frame()
        assert answer == {"topic": "aws/subscribe", "content": {"status": "success", "topics": ["aws/chat"]}}

    async def frame(self) -> dict[str, Any]:
        return json.loads(await self.ws.receive_str(timeout=PATIENCE))

    async def item(self) -> dict[str, Any]:
        frame = await self.frame()
        assert (frame["topic"], frame["contentType"]) == ("aws/chat", "application/json")
        self.seen.append(json.loads(frame["content"]))
        return self.seen[-1]

    async def until(self, name: str) -> dict[str, Any]:
        """Return the next item whose content, or the end of whose content type, is this."""
        while True:
            item = await self.item()
            if item.get("Content") == name or item.get("ContentType", "").endswith(f".{name}"):
                return item


@contextmanager
def running(settings: Settings) -> Iterator[RunningWorld]:
    world = World(base_url="", settings=settings)
    ready, loop, stop = threading.Event(), asyncio.new_event_loop(), asyncio.Event()

    async def serve() -> None:
        async with serving(world, "127.0.0.1", 0):
            ready.set()
            await stop.wait()

    def main() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(serve())

    thread = threading.Thread(target=main)
    thread.start()
    assert ready.wait(20), "the simulated world did not start"
    try:
        yield RunningWorld(world, world.base_url)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
