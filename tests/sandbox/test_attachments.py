"""Files in a chat, as a real boto3 client and a plain PUT send them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
import requests

if TYPE_CHECKING:
    from conftest import Chatting, RunningWorld

BODY = b"%PDF-1.4 nothing"


def announced(chat: Chatting, name: str = "bill.pdf", size: int = len(BODY), token: str = "a1") -> dict[str, Any]:
    return chat.aws.participant.start_attachment_upload(
        ContentType="application/pdf",
        AttachmentName=name,
        AttachmentSizeInBytes=size,
        ClientToken=token,
        ConnectionToken=chat.token,
    )


def put(upload: dict[str, Any], body: bytes = BODY, **headers: str) -> int:
    metadata = upload["UploadMetadata"]
    headers = metadata["HeadersToInclude"] | headers
    return requests.put(metadata["Url"], data=body, headers=headers, timeout=20).status_code


def completed(chat: Chatting, upload: dict[str, Any]) -> None:
    chat.aws.participant.complete_attachment_upload(
        AttachmentIds=[upload["AttachmentId"]], ClientToken="c1", ConnectionToken=chat.token
    )


def fetched(chat: Chatting, attachment_id: str, **more: Any) -> requests.Response:
    attachment = chat.aws.participant.get_attachment(AttachmentId=attachment_id, ConnectionToken=chat.token, **more)
    return requests.get(attachment["Url"], timeout=20)


def test_a_file_goes_up_and_comes_down_again(aws: RunningWorld) -> None:
    chat = aws.start()
    upload = announced(chat)

    assert put(upload) == 200
    completed(chat, upload)

    item = chat.transcript()[-1]
    assert (item["Type"], item["ParticipantRole"]) == ("ATTACHMENT", "CUSTOMER")
    assert item["Attachments"] == [
        {
            "AttachmentId": upload["AttachmentId"],
            "AttachmentName": "bill.pdf",
            "ContentType": "application/pdf",
            "Status": "APPROVED",
        }
    ]
    response = fetched(chat, upload["AttachmentId"], UrlContentDisposition="INLINE")
    assert (response.content, response.headers["Content-Type"]) == (BODY, "application/pdf")
    assert response.headers["Content-Disposition"].startswith("inline")


def test_announcing_is_idempotent_and_completing_twice_conflicts(aws: RunningWorld) -> None:
    chat = aws.start()
    upload, again = announced(chat), announced(chat)
    too_early = aws.refused(completed, chat=chat, upload=upload)
    put(upload)
    completed(chat, upload)

    assert upload["AttachmentId"] == again["AttachmentId"]
    assert too_early == ("ValidationException", 400)
    assert aws.refused(completed, chat=chat, upload=upload) == ("ConflictException", 409)


@pytest.mark.parametrize("name", ["voice.ogg", "sticker.webp", "note.amr", "script.exe", "nothing"])
def test_file_types_that_amazon_does_not_take(aws: RunningWorld, name: str) -> None:
    assert aws.refused(announced, chat=aws.start(), name=name) == ("ValidationException", 400)


def test_size_and_number_are_quotas(aws: RunningWorld) -> None:
    chat = aws.start()
    aws.call("PUT", "/world/settings", {"attachments_per_chat": 1})

    exceeded = ("ServiceQuotaExceededException", 402)
    assert aws.refused(announced, chat=chat, size=20 * 1024 * 1024 + 1) == exceeded
    announced(chat)
    assert aws.refused(announced, chat=chat, token="a2") == exceeded


def test_the_upload_must_be_what_was_announced_and_in_time(aws: RunningWorld) -> None:
    chat = aws.start()
    upload = announced(chat)
    assert put(upload, body=BODY + b"more") == 400
    for name in set(upload["UploadMetadata"]["HeadersToInclude"]) - {"Content-Length"}:
        assert put(upload, **{name: "text/plain"}) == 403, name

    aws.call("PUT", "/world/settings", {"upload_url_lifetime": 0.05})
    late = announced(chat, token="late")
    time.sleep(0.1)
    assert put(late) == 403


def test_a_scan_may_reject_a_file_later(aws: RunningWorld) -> None:
    chat = aws.start()
    aws.call("POST", "/world/faults", {"name": "attachment_rejected", "times": 1})
    upload = announced(chat)
    put(upload)
    completed(chat, upload)

    assert [item["Attachments"][0]["Status"] for item in chat.transcript()] == ["IN_PROGRESS", "REJECTED"]
    denied = aws.refused(fetched, chat=chat, attachment_id=upload["AttachmentId"])
    assert denied == ("AccessDeniedException", 403)


def test_a_download_url_is_bound_to_its_signature_and_its_chat(aws: RunningWorld) -> None:
    chat, other = aws.start(), aws.start()
    upload = announced(chat)
    put(upload)
    completed(chat, upload)
    attachment_id = upload["AttachmentId"]

    assert requests.get(f"{aws.url}/attachments/{attachment_id}", timeout=20).status_code == 403
    assert aws.refused(fetched, chat=other, attachment_id=attachment_id) == ("ValidationException", 400)
    long = aws.refused(fetched, chat=chat, attachment_id=attachment_id, UrlExpiryInSeconds=301)
    assert long == ("ValidationException", 400)
