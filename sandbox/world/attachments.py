"""Files in a chat: upload in three steps, scan, download."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from aiohttp import hdrs, web
from aiohttp.helpers import content_disposition_header

from sandbox.world.amazon import Amazon
from sandbox.world.aws_errors import AwsError, access_denied
from sandbox.world.aws_front import Call, Handler
from sandbox.world.chat import AttachmentItem, Chat, Participant, iso, new_id
from sandbox.world.participant import note, participant_front

#: What may be sent (Amazon Connect administrator guide). No voice notes (.ogg, .amr) and no stickers (.webp).
EXTENSIONS = frozenset({
    ".csv", ".doc", ".docx", ".heic", ".jfif", ".jpeg", ".jpg", ".mov", ".mp4",
    ".pdf", ".png", ".ppt", ".pptx", ".rtf", ".txt", ".wav", ".xls", ".xlsx",
})  # fmt: skip


@dataclass(slots=True)
class Attachment:
    """A file: announced, then uploaded (`body`), then completed. Times are Unix seconds."""

    id: str
    name: str
    content_type: str
    size: int
    chat: Chat
    upload_before: float
    body: bytes | None = None
    completed: bool = False
    status: str = "IN_PROGRESS"
    grants: dict[str, tuple[float, str]] = field(default_factory=dict)
    """Signature of a download URL to its expiry and its Content-Disposition."""


class Attachments:
    """The operations on attachments, and the storage behind their URLs."""

    def __init__(self, amazon: Amazon) -> None:
        self.amazon = amazon
        self.chats = amazon.chats
        self.files: dict[str, Attachment] = {}
        self._answers: dict[tuple[str, str], dict[str, Any]] = {}
        amazon.forgetters += [self.files.clear, self._answers.clear]

    def handlers(self) -> dict[str, Handler]:
        """Return the operations by name."""
        return {
            "StartAttachmentUpload": self.start,
            "CompleteAttachmentUpload": self.complete,
            "GetAttachment": self.get,
        }

    def start(self, call: Call) -> dict[str, Any]:
        """Announce a file and get the URL to PUT it to, with the headers that the PUT must have.

        Idempotent by ClientToken on a connection. Too large a file, or the 36th of a chat, is 402.
        """
        participant = self._participant(call)
        key = (call.bearer, call.params["ClientToken"])
        if key in self._answers:
            return self._answers[key]
        self._check(participant.chat, call.params)
        expires = time.time() + self.amazon.world.settings.upload_url_lifetime
        name, kind = call.params["AttachmentName"], call.params["ContentType"]
        size = call.params["AttachmentSizeInBytes"]
        attachment = Attachment(new_id(), name, kind, size, participant.chat, expires)
        self.files[attachment.id] = attachment
        participant.chat.attachments += 1
        call.notes |= {"attachment_id": attachment.id, "name": name}
        upload = {
            "Url": f"{self.amazon.world.base_url}/attachments/{attachment.id}",
            "UrlExpiry": iso(expires),
            "HeadersToInclude": _signed_headers(attachment),
        }
        result = self._answers[key] = {"AttachmentId": attachment.id, "UploadMetadata": upload}
        return result

    def complete(self, call: Call) -> dict[str, Any]:
        """Put the uploaded file into the chat. A second time is ConflictException.

        The fault attachment_rejected lets the scan reject it: the item says IN_PROGRESS, a later one REJECTED.
        """
        participant = self._participant(call)
        attachment = self._file(participant, call.params["AttachmentIds"][0])
        call.notes |= {"attachment_id": attachment.id, "name": attachment.name}
        if attachment.completed:
            raise AwsError("ConflictException", "The attachment was already completed")
        if attachment.body is None:
            raise AwsError("ValidationException", "The attachment has not been uploaded")
        attachment.completed = True
        rejected = self.amazon.world.faults.fires("attachment_rejected", participant.role)
        if rejected is None:
            attachment.status = "APPROVED"
        self._publish(participant, attachment)
        if rejected is not None:
            attachment.status = "REJECTED"
            self._publish(participant, attachment)
        return {}

    def get(self, call: Call) -> dict[str, Any]:
        """Give out a URL to download a file from, for 5 to 300 s. Custom bots and rejected files get none."""
        participant = self._participant(call)
        attachment = self._file(participant, call.params["AttachmentId"])
        call.notes["attachment_id"] = attachment.id
        if participant.role == "CUSTOM_BOT" or attachment.status != "APPROVED":
            raise access_denied()
        expires = time.time() + (call.params.get("UrlExpiryInSeconds") or 300)
        signature = new_id()
        disposition = (call.params.get("UrlContentDisposition") or "ATTACHMENT").lower()
        attachment.grants[signature] = (expires, disposition)
        url = f"{self.amazon.world.base_url}/attachments/{attachment.id}?X-Amz-Signature={signature}"
        return {"Url": url, "UrlExpiry": iso(expires), "AttachmentSizeInBytes": attachment.size}

    async def put(self, request: web.Request) -> web.Response:
        """Take the file. The size and the type must be those that were announced; the URL expires."""
        attachment = self.files.get(request.match_info["attachment_id"])
        if attachment is None or time.time() >= attachment.upload_before:
            return _storage_error(403, "AccessDenied", "Request has expired")
        body = await request.read()
        if len(body) != attachment.size:
            return _storage_error(400, "EntityTooLarge", f"{attachment.size} bytes were announced, not {len(body)}")
        for name, value in _signed_headers(attachment).items():
            if request.headers.get(name) != value:
                return _storage_error(403, "SignatureDoesNotMatch", f"{name} is not the one that was signed")
        attachment.body = body
        self._note("attachment.put", attachment)
        return web.Response(headers={"ETag": f'"{attachment.id}"'})

    async def download(self, request: web.Request) -> web.Response:
        """Give out the file to whoever has a URL that has not expired."""
        attachment = self.files.get(request.match_info["attachment_id"])
        grant = attachment.grants.get(request.query.get("X-Amz-Signature", "")) if attachment else None
        if attachment is None or grant is None or time.time() >= grant[0]:
            return _storage_error(403, "AccessDenied", "Request has expired")
        self._note("attachment.get", attachment)
        headers = {
            hdrs.CONTENT_TYPE: attachment.content_type,
            hdrs.CONTENT_DISPOSITION: content_disposition_header(grant[1], filename=attachment.name),
        }
        return web.Response(body=attachment.body, headers=headers)

    def _note(self, what: str, attachment: Attachment) -> None:
        self.amazon.world.ledger.append(
            what, contact_id=attachment.chat.contact.id, attachment_id=attachment.id, bytes=attachment.size
        )

    def _participant(self, call: Call) -> Participant:
        connection = self.chats.connection(call.bearer, call.operation)
        note(call, connection.participant)
        return connection.participant

    def _file(self, participant: Participant, attachment_id: str) -> Attachment:
        attachment = self.files.get(attachment_id)
        if attachment is None or attachment.chat is not participant.chat:
            raise AwsError("ValidationException", f"There is no attachment {attachment_id} in this chat")
        return attachment

    def _check(self, chat: Chat, params: dict[str, Any]) -> None:
        settings = self.amazon.world.settings
        if PurePath(params["AttachmentName"]).suffix.lower() not in EXTENSIONS:
            raise AwsError("ValidationException", f"Files like {params['AttachmentName']} are not supported")
        if params["AttachmentSizeInBytes"] > settings.attachment_bytes:
            raise AwsError("ServiceQuotaExceededException", f"A file may have {settings.attachment_bytes} bytes")
        if chat.attachments >= settings.attachments_per_chat:
            raise AwsError("ServiceQuotaExceededException", f"A chat may have {settings.attachments_per_chat} files")

    def _publish(self, sender: Participant, attachment: Attachment) -> None:
        shown = AttachmentItem(
            attachment_id=attachment.id,
            attachment_name=attachment.name,
            content_type=attachment.content_type,
            status=attachment.status,
        )
        item = self.chats.item(sender.chat, "ATTACHMENT", attachment.content_type, sender, attachments=[shown])
        self.chats.publish(sender.chat, item)


def _signed_headers(attachment: Attachment) -> dict[str, str]:
    """Return what the PUT must carry, each to the letter (amazon-connect-streams, issue 712)."""
    chat = attachment.chat
    return {
        "Content-Type": attachment.content_type,
        "Content-Length": str(attachment.size),
        "Content-Disposition": content_disposition_header("attachment", filename=attachment.name),
        "x-amz-acl": "bucket-owner-full-control",
        "x-amz-meta-contact_id": chat.contact.id,
        "x-amz-meta-initial_contact_id": chat.initial_id,
        "x-amz-meta-account_id": "000000000000",
        "x-amz-meta-organization_id": chat.instance_id,
    }


def _storage_error(status: int, code: str, message: str) -> web.Response:
    text = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return web.Response(status=status, text=text, content_type="application/xml")


def routes(amazon: Amazon) -> Iterable[web.AbstractRouteDef]:
    """Return the routes of the operations and of the storage."""
    attachments = Attachments(amazon)
    yield from participant_front(amazon).routes(attachments.handlers())
    yield web.put("/attachments/{attachment_id}", attachments.put)
    yield web.get("/attachments/{attachment_id}", attachments.download)
