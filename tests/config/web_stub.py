"""An application for the web process that counts what reaches it."""

from __future__ import annotations

import json
from typing import Any

calls = 0


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Say what came; GET /calls says how many requests came before it. Websockets are echoed."""
    if scope["type"] == "websocket":
        await _echo(receive, send)
        return
    global calls  # noqa: PLW0603
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    said = {"calls": calls, "size": size, "path": scope["path"], "root": scope["root_path"]}
    calls += scope["path"] != "/calls"
    body = json.dumps(said).encode()
    headers = [(b"Content-Type", b"application/json"), (b"Content-Length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _echo(receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})
