"""Names of Connect's queues and agents by ARN: asked for once, cached for a day; the id where we may not ask."""

from __future__ import annotations

import logging
import re

from django.core.cache import cache

from connect_bridge.aws import AwsError, aws_errors, shared_client

log = logging.getLogger(__name__)

#: Seconds for which a name is remembered, and for which we do not ask again after a refusal.
REMEMBERED, REFUSED_FOR = 86_400, 3_600
MOST = 256
_ARN = re.compile(r"arn:[\w-]+:connect:[\w-]*:\d*:instance/(?P<instance>[\w-]+)/(?P<kind>queue|agent)/(?P<id>[\w./-]+)")


def name_of(arn: str) -> str:
    """Return the name of a queue or an agent; of an agent's own queue "", since nobody waits in it for anybody."""
    match = _ARN.fullmatch(arn)
    if match is None or match["id"].startswith("agent/"):
        return arn.rpartition("/")[2][:MOST] if match is None else ""
    remembered = cache.get(f"analytics.name.{match['id']}")
    if remembered is not None:
        return str(remembered)
    try:
        with aws_errors("the name of a queue or an agent"):
            name = _ask_connect(match["kind"], match["instance"], match["id"])[:MOST]
        cache.set(f"analytics.name.{match['id']}", name, REMEMBERED)
    except AwsError as failure:
        log.info("the name of %s %s is not told (%s)", match["kind"], match["id"], failure.kind)
        name = match["id"][:MOST]
        cache.set(f"analytics.name.{match['id']}", name, REFUSED_FOR)
    return name


def _ask_connect(kind: str, instance: str, identifier: str) -> str:
    connect = shared_client("connect")
    if kind == "queue":
        return str(connect.describe_queue(InstanceId=instance, QueueId=identifier)["Queue"]["Name"])
    user = connect.describe_user(InstanceId=instance, UserId=identifier)["User"]
    about = user.get("IdentityInfo", {})
    full = f"{about.get('FirstName', '')} {about.get('LastName', '')}".strip()
    return full or str(user["Username"])
