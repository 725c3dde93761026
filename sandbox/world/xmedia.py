"""X's media: uploads in v1.1 and v2, and the private files of direct messages.

Sources: docs.x.com, "Media upload"; v1.1 media/upload (simple and chunked).
"""

from __future__ import annotations

import base64
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from sandbox.world.accounts import File, Phones
from sandbox.world.calls import Provider, Refusal, note, reply
from sandbox.world.threads import x_id
from sandbox.world.world import World
from sandbox.world.xauth import XAuth

#: An upload can be attached for 24 hours.
MEDIA_LIFE = 86_400


@dataclass(slots=True)
class XMedia:
    """Uploaded files by media id; a chunked upload is a list of pieces until it is finalized."""

    world: World
    uploads: dict[str, File] = field(default_factory=dict)
    pieces: dict[str, dict[int, bytes]] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)

    def reset(self) -> None:
        self.uploads.clear()
        self.pieces.clear()
        self.types.clear()

    async def close(self) -> None:
        """Nothing is open here."""

    def url(self, media_id: str) -> str:
        """Return where the phone shows an uploaded file from."""
        file = self.uploads[media_id]
        return f"{self.world.base_url}/phones/media/{file.id}/{file.name}"

    def keep(self, media_id: str, body: bytes, mime: str, name: str) -> None:
        self.uploads[media_id] = self.world.part(Phones).put(body, mime, name)


class MediaApi:
    def __init__(self, world: World) -> None:
        self.auth = world.part(XAuth)
        self.media = world.part(XMedia)
        self.phones = world.part(Phones)

    async def upload_v1(self, request: web.Request) -> web.Response:
        """Take a simple upload, or one of INIT, APPEND, FINALIZE, STATUS. `command` may be in query or form."""
        self.auth.user(request, await _signed_body(request))
        form = dict(request.query) | dict(await request.post())
        return self._command(request, str(form.get("command", "")), form, v2=False)

    async def upload_v2(self, request: web.Request) -> web.Response:
        self.auth.user(request, await _signed_body(request))
        form: dict[str, Any] = dict(request.query)
        form |= await request.json() if request.content_type == "application/json" else dict(await request.post())
        form["media_id"] = request.match_info.get("id", "")
        return self._command(request, request.match_info.get("step", "").upper(), form, v2=True)

    def _command(self, request: web.Request, command: str, form: Mapping[str, Any], *, v2: bool) -> web.Response:
        media_id = str(form.get("media_id") or "")
        if command in ("INIT", "INITIALIZE"):
            media_id = x_id()
            self.media.pieces[media_id] = {}
            self.media.types[media_id] = str(form.get("media_type", "application/octet-stream"))
            return _answer(media_id, 0, v2=v2, status=202)
        if command and media_id not in self.media.pieces and media_id not in self.media.uploads:
            raise Refusal(400, {"errors": [{"code": 324, "message": "Invalid media id"}]}, 324)
        if command == "APPEND":
            body, _mime, _name = _file(form)
            self.media.pieces[media_id][int(form.get("segment_index", 0))] = body
            return reply({"data": {"expires_at": int(time.time()) + MEDIA_LIFE}}) if v2 else web.Response(status=204)
        if command == "FINALIZE":
            whole = b"".join(piece for _, piece in sorted(self.media.pieces.pop(media_id, {}).items()))
            mime = self.media.types.pop(media_id, "application/octet-stream")
            self.media.keep(media_id, whole, mime, "upload." + mime.rsplit("/", 1)[-1])
        elif not command:
            media_id = x_id()
            self.media.keep(media_id, *_file(form))
        note(request, media_id=media_id)
        return _answer(media_id, len(self.media.uploads[media_id].body), v2=v2, status=200 if v2 else 201)

    async def dm_file(self, request: web.Request) -> web.StreamResponse:
        """Serve a direct message's file, to the account's owner only (user context)."""
        self.auth.user(request, await request.read())
        file = self.phones.files.get(request.match_info["file_id"])
        if file is None:
            raise Refusal(404, {"errors": [{"code": 34, "message": "Sorry, that page does not exist."}]}, 34)
        return web.Response(body=file.body, headers={"Content-Type": file.mime})


async def _signed_body(request: web.Request) -> bytes:
    """Return what OAuth signs of the body: only a plain form. A multipart body must stay unread until it is parsed."""
    return b"" if request.content_type == "multipart/form-data" else await request.read()


def _file(form: Mapping[str, Any]) -> tuple[bytes, str, str]:
    part = form.get("media")
    if isinstance(part, web.FileField):
        return part.file.read(), part.content_type, part.filename
    if isinstance(part, (bytes, bytearray)):
        return bytes(part), "application/octet-stream", "upload"
    encoded = str(part or form.get("media_data") or "")
    if not encoded:
        raise Refusal(400, {"errors": [{"code": 38, "message": "media parameter is missing."}]}, 38)
    return base64.b64decode(encoded), str(form.get("media_type", "image/jpeg")), "upload"


def _answer(media_id: str, size: int, *, v2: bool, status: int) -> web.Response:
    if v2:
        data = {"id": media_id, "media_key": f"3_{media_id}", "size": size, "expires_after_secs": MEDIA_LIFE}
        return reply({"data": data}, 200)
    body = {"media_id": int(media_id), "media_id_string": media_id, "size": size, "expires_after_secs": MEDIA_LIFE}
    return reply(body, status)


def routes(world: World, provider: Provider) -> Iterable[web.AbstractRouteDef]:
    api, serve = MediaApi(world), provider.serve
    return [
        web.post("/x/1.1/media/upload.json", serve("media", api.upload_v1)),
        web.post("/x/2/media/upload", serve("media", api.upload_v2)),
        web.post("/x/2/media/upload/{step:initialize}", serve("media", api.upload_v2)),
        web.post("/x/2/media/upload/{id}/{step:append|finalize}", serve("media", api.upload_v2)),
        web.get("/x/1.1/ton/data/dm/{event_id}/{file_id}/{name}", serve("dm_file", api.dm_file)),
    ]
