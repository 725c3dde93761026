"""Messages as items of one DynamoDB table: the client, the table, and what an item holds.

One table, two ways to read it (docs/reference/dynamodb.md): a conversation's messages in their order by the table's own
key, an identity's messages by time through the index `by_identity`.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from django.conf import settings

from channels_app.infrastructure.backoff import full_jitter
from connect_bridge.aws import AwsError, AwsRefused, aws_client, aws_errors

#: Seconds. The SDK repeats what is throttled; what lasts longer is the next pass's.
CLIENT: dict[str, Any] = {
    "connect_timeout": 4,
    "read_timeout": 10,
    "retries": {"mode": "standard", "total_max_attempts": 4},
}
#: Items of one BatchWriteItem, its limit; and how often what it did not take is sent again.
BATCH, MOST_OFFERS = 25, 8
#: Seconds before the second offer at most, and before any.
OFFER_FIRST, OFFER_MOST = 0.05, 2.0
#: Bytes of text that an item holds: DynamoDB takes 400 kB for all of an item.
LONGEST_TEXT = 350_000
INDEX = "by_identity"

Item = dict[str, dict[str, str]]


class Unavailable(Exception):
    """DynamoDB did not take or give what was asked. `str()` is safe to show."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A message as the database has it. Without an `id` it was deleted there."""

    message: uuid.UUID
    conversation: uuid.UUID
    sequence: int
    version: int
    id: uuid.UUID | None = None
    identity: uuid.UUID | None = None
    account: uuid.UUID | None = None
    channel: str | None = None
    contact: uuid.UUID | None = None
    direction: str | None = None
    role: str | None = None
    author: str | None = None
    content_type: str | None = None
    text: str | None = None
    status: str | None = None
    error_code: str | None = None
    error_detail: str | None = None
    occurred_at: datetime | None = None
    created_at: datetime | None = None


def key_of(conversation: uuid.UUID, sequence: int) -> Item:
    """Return the table's own key. Sequences are padded, so that their order as text is their order."""
    return {"PK": {"S": f"CONVERSATION#{conversation}"}, "SK": {"S": f"MESSAGE#{sequence:012}"}}


def place_of(item: Item) -> tuple[uuid.UUID, int]:
    """Return the conversation and sequence that an item's key names."""
    return uuid.UUID(item["PK"]["S"].partition("#")[2]), int(item["SK"]["S"].partition("#")[2])


def item_of(row: Row) -> Item:
    """Return the item of a message. It is a function of the row alone, so that copies can be compared."""
    assert row.created_at is not None
    assert row.occurred_at is not None
    text = (row.text or "").encode()
    fields = {
        "GSI1PK": f"IDENTITY#{row.identity}",
        "GSI1SK": f"{_utc(row.created_at)}#{row.sequence:012}",
        "id": str(row.id),
        "conversation": str(row.conversation),
        "identity": str(row.identity),
        "account": str(row.account),
        "channel": row.channel or "",
        "contact": str(row.contact or ""),
        "direction": row.direction or "",
        "role": row.role or "",
        "author": row.author or "",
        "content_type": row.content_type or "",
        "text": text[:LONGEST_TEXT].decode(errors="ignore"),
        "status": row.status or "",
        "error_code": row.error_code or "",
        "error_detail": row.error_detail or "",
        "occurred_at": _utc(row.occurred_at),
        "created_at": _utc(row.created_at),
    }
    item: Item = {**key_of(row.conversation, row.sequence), **{name: {"S": value} for name, value in fields.items()}}
    item["sequence"] = {"N": str(row.sequence)}
    if len(text) > LONGEST_TEXT:
        item["text_bytes"] = {"N": str(len(text))}
    return item


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


class Table:
    """The table that DYNAMODB_TABLE names. Every method raises Unavailable."""

    def __init__(self) -> None:
        self.name: str = settings.DYNAMODB_TABLE
        try:
            self._client: Any = aws_client("dynamodb", **CLIENT)
        except AwsError as problem:
            raise Unavailable(f"DynamoDB cannot be asked: {problem.kind}") from None

    def create(self) -> bool:
        """Make the table, paid by request, and wait until it is ready. Return False if it was there."""
        keys = [{"AttributeName": "PK", "KeyType": "HASH"}, {"AttributeName": "SK", "KeyType": "RANGE"}]
        index = [{"AttributeName": "GSI1PK", "KeyType": "HASH"}, {"AttributeName": "GSI1SK", "KeyType": "RANGE"}]
        names = ("PK", "SK", "GSI1PK", "GSI1SK")
        try:
            with aws_errors("CreateTable"):
                self._client.create_table(
                    TableName=self.name,
                    KeySchema=keys,
                    AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in names],
                    GlobalSecondaryIndexes=[
                        {"IndexName": INDEX, "KeySchema": index, "Projection": {"ProjectionType": "ALL"}}
                    ],
                    BillingMode="PAY_PER_REQUEST",
                )
                self._client.get_waiter("table_exists").wait(TableName=self.name)
        except AwsError as failure:
            if isinstance(failure, AwsRefused) and failure.code == "ResourceInUseException":
                return False
            raise _unavailable("CreateTable", failure) from None
        return True

    def write(self, puts: Sequence[Item], deletes: Sequence[Item]) -> None:
        """Put and delete items, in whatever order: no key may come twice. Returns when all are taken."""
        requests = [
            *({"PutRequest": {"Item": item}} for item in puts),
            *({"DeleteRequest": {"Key": key}} for key in deletes),
        ]
        for start in range(0, len(requests), BATCH):
            self._write(requests[start : start + BATCH])

    def _write(self, requests: list[Any]) -> None:
        for offer in range(MOST_OFFERS):
            answer = self._call("batch_write_item", RequestItems={self.name: requests})
            requests = answer.get("UnprocessedItems", {}).get(self.name, [])
            if not requests:
                return
            time.sleep(full_jitter(offer, OFFER_FIRST, OFFER_MOST))
        raise Unavailable(f"DynamoDB takes no more for now: {len(requests)} items are left for the next pass")

    def scan(self) -> Iterator[list[Item]]:
        """Yield all items, page by page, as they are at that moment."""
        yield from self._pages("scan", ConsistentRead=True)

    def conversation(self, conversation: uuid.UUID) -> list[Item]:
        """Return a conversation's items in their order."""
        pages = self._pages(
            "query",
            ConsistentRead=True,
            KeyConditionExpression="PK = :pk",
            ExpressionAttributeValues={":pk": key_of(conversation, 0)["PK"]},
        )
        return [item for page in pages for item in page]

    def _pages(self, operation: str, **params: Any) -> Iterator[list[Item]]:
        start: dict[str, Any] = {}
        while True:
            answer = self._call(operation, TableName=self.name, **params, **start)
            yield answer.get("Items", [])
            if "LastEvaluatedKey" not in answer:
                return
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def _call(self, operation: str, **params: Any) -> Any:
        try:
            with aws_errors(operation):
                return getattr(self._client, operation)(**params)
        except AwsError as failure:
            raise _unavailable(operation, failure) from None


def _unavailable(operation: str, failure: AwsError) -> Unavailable:
    if not isinstance(failure, AwsRefused):
        return Unavailable(f"DynamoDB did not answer {operation}: {failure.kind}")
    code = failure.code
    help_ = {
        "ResourceNotFoundException": "there is no such table; make it with `manage.py projection create`",
        "AccessDeniedException": "the AWS credentials may not do that",
        "UnrecognizedClientException": "the AWS credentials are not valid",
    }
    return Unavailable(f"DynamoDB refused {operation}: {help_.get(code, code)}")
