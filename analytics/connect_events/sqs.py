"""Contact events out of an SQS queue that EventBridge fills."""

from __future__ import annotations

import logging
import time

from django.conf import settings

from analytics.connect_events.events import EventOutcome, Unreadable, parse_event, store_event
from connect_bridge.aws import AwsError, aws_errors, shared_client

log = logging.getLogger(__name__)

#: Messages of one call (the most that SQS gives), and seconds of one task.
BATCH, LONGEST = 10, 20.0


def drain() -> int:
    """Store what waits in the queue; return how many events were stored. An event of a chat that is to come stays."""
    queue = settings.CONTACT_EVENTS_QUEUE_URL
    ends, stored = time.monotonic() + LONGEST, 0
    while time.monotonic() < ends:
        try:
            sqs = shared_client("sqs")
            with aws_errors("the queue of contact events"):
                answer = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=BATCH)
                messages = answer.get("Messages", [])
                done = [message for message in messages if _store(message["Body"]) is not EventOutcome.LATER]
                for message in done:
                    sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        except AwsError as failure:
            log.warning("the queue of contact events does not answer: %s", failure.kind)
            break
        stored += len(done)
        if not done:
            break
    return stored


def _store(body: str) -> EventOutcome:
    try:
        return store_event(parse_event(body.encode()))
    except Unreadable:
        log.warning("the queue of contact events holds something else; it is thrown away")
        return EventOutcome.IGNORED
