"""What `manage.py doctor` says about the way to Amazon Connect: the proxy, the flows, and what Connect refuses."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from django.conf import settings
from django.db.models import Count, Min
from django.utils import timezone

from channels_app.account_fields import ENCRYPTED
from channels_app.accounts.explanations import explain
from channels_app.models import ChannelAccount, RoutingRule
from channels_app.toolkit.certificates import UnusableBundle, ca_bundle
from channels_app.toolkit.outbound_proxy import UnusableProxy, proxy_for, shown
from connect_bridge.aws import (
    ONE_ATTEMPT,
    AwsNoWayOut,
    AwsRefused,
    AwsUnanswered,
    aws_client,
    aws_errors,
    endpoint_of,
)
from connect_bridge.models import Message
from connect_bridge.operations.findings import Finding, Level
from connect_bridge.operations.stuck_reasons import NEEDS_A_PERSON
from people.durations import duration

#: One attempt, and not for long: a person waits.
PATIENCE: Mapping[str, Any] = {"connect_timeout": 4, "read_timeout": 10, "retries": ONE_ATTEMPT}
SERVICES: Mapping[str, str] = {"connect": "Amazon Connect", "connectparticipant": "the participant service"}
#: What DescribeContactFlow says of a flow that is not to be used, and what to do.
_REFUSALS: Mapping[str, str] = {
    "ResourceNotFoundException": "correct the id, or AWS_REGION: there is no such instance or flow in this region",
    "ContactFlowNotPublishedException": "publish the flow in Amazon Connect",
    "InvalidParameterException": "correct the id: it is none of Amazon Connect's",
    "InvalidRequestException": "correct the id: it is none of Amazon Connect's",
}


def way_out() -> Iterator[Finding]:
    """Yield by which proxy Amazon is reached, and whose certificates count. Credentials are not shown."""
    try:
        proxies = {name: proxy_for(endpoint_of(service)) for service, name in SERVICES.items()}
        bundle = ca_bundle()
    except (UnusableProxy, UnusableBundle) as problem:
        yield Finding("way out", Level.FAILURE, str(problem), "correct the variable for every process, or leave it out")
        return
    ways = [f"{name} {f'through {shown(proxy)}' if proxy else 'directly'}" for name, proxy in proxies.items()]
    trusted = f"; trusting {bundle}" if bundle else ""
    yield Finding("way out", Level.OK, f"{', '.join(ways)}{trusted}")


def waiting() -> Iterator[Finding]:
    """Yield what customers' messages wait for that somebody has to mend."""
    waiting_messages = Message.objects.filter(direction="in", status="stored", error_code__in=NEEDS_A_PERSON)
    for row in waiting_messages.values("error_code").annotate(
        number=Count("id"), oldest=Min("created_at"), said=Min("error_detail")
    ):
        explanation = explain(row["error_code"])
        age = duration(timezone.now() - row["oldest"])
        detail = f"{row['number']} waiting, the oldest for {age}. {explanation.happened} {row['said']}"
        yield Finding("customers' messages", Level.FAILURE, detail, explanation.fix)


def routes() -> Iterator[Finding]:
    """Ask Connect for each flow that an account or a rule names. One call each."""
    client = None
    for (instance, flow), users in sorted(_routes().items()):
        name = f"flow of {', '.join(sorted(users))}"[:80]
        try:
            client = client or aws_client("connect", **PATIENCE)
            with aws_errors("DescribeContactFlow"):
                flow_there = client.describe_contact_flow(InstanceId=instance, ContactFlowId=flow)["ContactFlow"]
        except AwsNoWayOut as problem:
            yield Finding(name, Level.FAILURE, str(problem), "correct the variable, or leave it out")
        except AwsRefused as refusal:
            yield _refused(name, refusal)
        except AwsUnanswered as failure:
            detail = f"Amazon Connect does not answer: {failure.reason}"
            yield Finding(name, Level.FAILURE, detail, "check AWS_REGION and the network; see “way out” above")
        else:
            yield _judged(name, flow_there)


def _refused(name: str, refusal: AwsRefused) -> Finding:
    code = refusal.code
    if code == "AccessDeniedException":
        fix = "allow connect:DescribeContactFlow to Parley's role, if doctor is to look"
        return Finding(name, Level.WARNING, "Parley's role may not look at it", fix)
    fix = _REFUSALS.get(code, "check the AWS credentials, the region and the ids")
    return Finding(name, Level.FAILURE, f"Amazon Connect refuses it: {code}", fix)


def _judged(name: str, flow: Mapping[str, str]) -> Finding:
    kind, state = flow.get("Type", "CONTACT_FLOW"), flow.get("State", "ACTIVE")
    if kind != "CONTACT_FLOW":
        fix = "name an inbound flow: no other kind begins a chat"
        return Finding(name, Level.FAILURE, f"it is a flow of the type {kind}", fix)
    if state != "ACTIVE" or flow.get("Status", "PUBLISHED") != "PUBLISHED":
        return Finding(name, Level.FAILURE, "it is archived or not published", "publish it in Amazon Connect")
    return Finding(name, Level.OK, "is there and published")


def _routes() -> dict[tuple[str, str], set[str]]:
    """Return who names which instance and flow."""
    users_by_route: dict[tuple[str, str], set[str]] = defaultdict(set)
    accounts = ChannelAccount.objects.filter(enabled=True).defer(*ENCRYPTED)
    instances = {account.pk: account.connect_instance_id or settings.CONNECT_INSTANCE_ID for account in accounts}
    for account in accounts:
        flow = account.connect_contact_flow_id or settings.CONNECT_CONTACT_FLOW_ID
        users_by_route[instances[account.pk], flow].add(account.name)
    rules = RoutingRule.objects.filter(enabled=True, account__in=instances).exclude(connect_contact_flow_id="")
    for rule in rules.values_list("account", "account__name", "connect_contact_flow_id"):
        users_by_route[instances[rule[0]], rule[2]].add(f"{rule[1]} (rule)")
    return {route: users for route, users in users_by_route.items() if all(route)}
