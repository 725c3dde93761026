"""What a person would check first when something does not work, with a fix for each."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from uuid import UUID

import msgspec
from celery import current_app
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import Error, connection
from django.utils import timezone
from kombu.exceptions import OperationalError as BrokerError

from channels_app.accounts.provider_checks import ask_all, points_of
from channels_app.errors import AccountProblem
from channels_app.models import AccountHealth, ChannelAccount, InboundCheck
from channels_app.registry import channels
from connect_bridge.aws import AwsError, aws_client, aws_errors, credentials_source, has_region, region
from connect_bridge.operations import doctor_connect
from connect_bridge.operations.account_reasons import WARN_BEFORE
from connect_bridge.operations.findings import Finding, Level
from connect_bridge.operations.status import SILENT_AFTER, SystemStatus, pending_migrations, read_status

#: Seconds by which clocks may differ before somebody should know.
CLOCKS_DIFFER = 10.0
#: Nothing here needs an account's secrets.
UNLOADED = ("account__credentials", "account__former_credentials")


def examine(*, online: bool = False) -> Iterator[Finding]:
    """Yield what was found, most basic first. Calls Amazon and messengers only if `online`."""
    database = list(_database())
    yield from database
    yield from _secrets()
    yield _public_url()
    yield _broker()
    yield from _aws(online=online)
    yield from doctor_connect.way_out()
    if all(finding.level is Level.OK for finding in database):
        yield _clock()
        yield from _processes(read_status())
        yield _routing()
        yield from doctor_connect.waiting()
        if online:
            yield from doctor_connect.routes()
        yield from _accounts()
        yield from _inbound()
        yield from _set_up(online=online)


def _database() -> Iterable[Finding]:
    try:
        connection.ensure_connection()
        version = connection.cursor().execute("SHOW server_version").fetchone()[0]
        pending = pending_migrations()
    except Error as problem:
        said = str(problem).strip().splitlines()[0]
        return [Finding("database", Level.FAILURE, said, "start PostgreSQL, or correct DATABASE_URL")]
    said = f"PostgreSQL {version.split()[0]}, {pending} pending migrations"
    if pending:
        return [Finding("database", Level.FAILURE, said, "run manage.py migrate (serve does it by itself)")]
    return [Finding("database", Level.OK, said)]


def _clock() -> Finding:
    """Compare this machine's clock with the database's. X refuses what is signed five minutes off."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        seconds = (timezone.now() - cursor.fetchone()[0]).total_seconds()
    if abs(seconds) <= CLOCKS_DIFFER:
        return Finding("clock", Level.OK, "as the database's")
    said = f"{abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'} the database's"
    return Finding("clock", Level.WARNING, said, "let NTP set the clocks of this machine and of the database's")


def _secrets() -> Iterator[Finding]:
    for name in ("SECRET_KEY", "FIELD_ENCRYPTION_KEYS"):
        if os.environ.get(name) or os.environ.get(f"{name}_FILE"):
            yield Finding(name, Level.OK, "set")
            continue
        said = f"made by this machine, in {settings.VAR_DIR / 'secrets'}"
        level = Level.OK if settings.IS_LOCAL else Level.FAILURE
        yield Finding(name, level, said, "" if settings.IS_LOCAL else f"set {name}, the same for every process")


def _public_url() -> Finding:
    url = settings.PUBLIC_BASE_URL
    if url.startswith("https://"):
        return Finding("public URL", Level.OK, url)
    said = f"{url} is not HTTPS: messengers will refuse it"
    return Finding("public URL", Level.WARNING, said, "set PUBLIC_BASE_URL=https://… (fine on a laptop)")


def _broker() -> Finding:
    transport = settings.CELERY_BROKER_URL.partition(":")[0]
    try:
        with current_app.connection_for_write(connect_timeout=3) as broker:
            broker.ensure_connection(max_retries=1, interval_start=0.1)
    except (BrokerError, OSError) as problem:
        said = f"{transport} does not answer ({type(problem).__name__})"
        return Finding("broker", Level.FAILURE, said, "start it, or correct CELERY_BROKER_URL")
    return Finding("broker", Level.OK, f"{transport} answers")


def _aws(*, online: bool) -> Iterator[Finding]:
    if has_region():
        yield Finding("AWS region", Level.OK, region())
    else:
        fix = "set AWS_REGION to the region of your Connect instance"
        yield Finding("AWS region", Level.WARNING, f"not set; taking {region()}", fix)
    source = credentials_source()
    if source is None:
        fix = "give the process a role, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        yield Finding("AWS credentials", Level.FAILURE, "none found", fix)
    elif not online:
        yield Finding("AWS credentials", Level.OK, f"found ({source}); --online tries them")
    else:
        yield _ask_aws()


def _ask_aws() -> Finding:
    try:
        with aws_errors("GetCallerIdentity"):
            role = aws_client("sts").get_caller_identity()["Arn"]
    except AwsError as problem:
        return Finding("AWS credentials", Level.FAILURE, f"refused: {problem.detail}", "correct the keys or the role")
    return Finding("AWS credentials", Level.OK, f"accepted, as {role}")


def _processes(status: SystemStatus) -> Iterator[Finding]:
    for name, age, command in (
        ("bridge", status.bridge_age, "manage.py bridge"),
        ("worker", status.worker_age, "celery -A config worker and celery -A config beat"),
    ):
        if age is not None and age <= SILENT_AFTER:
            yield Finding(name, Level.OK, f"heartbeat {age:.0f} s ago")
        else:
            said = "never heard of" if age is None else f"silent for {age:.0f} s"
            yield Finding(name, Level.FAILURE, said, f"run {command}, or manage.py serve for all")
    for name, age, rows in (
        ("intake", status.intake_age, status.intake_rows),
        ("relay", status.relay_age, status.relay_rows),
        ("outbox", status.outbox_age, status.outbox_rows),
    ):
        level = Level.WARNING if age > SILENT_AFTER else Level.OK
        said = f"{rows} waiting" + (f", the oldest for {age:.0f} s" if rows else "")
        yield Finding(name, level, said, "look at the log of the bridge and the worker" if level != Level.OK else "")


def _routing() -> Finding:
    if settings.CONNECT_INSTANCE_ID and settings.CONNECT_CONTACT_FLOW_ID:
        return Finding("Connect routing", Level.OK, "instance and contact flow are set")
    accounts = ChannelAccount.objects.filter(enabled=True).defer("credentials", "former_credentials")
    lost = [
        account.name
        for account in accounts
        if not (account.connect_instance_id or settings.CONNECT_INSTANCE_ID)
        or not (account.connect_contact_flow_id or settings.CONNECT_CONTACT_FLOW_ID)
    ]
    if accounts and not lost:
        return Finding("Connect routing", Level.OK, "every account names its instance and contact flow")
    said = f"no instance or contact flow for {', '.join(lost)}" if lost else "no default instance and contact flow"
    fix = "set CONNECT_INSTANCE_ID and CONNECT_CONTACT_FLOW_ID, or both on the account"
    return Finding("Connect routing", Level.FAILURE if lost else Level.WARNING, said, fix)


def _accounts() -> Iterator[Finding]:
    names = list(ChannelAccount.objects.order_by("kind", "name").values_list("id", "kind", "name"))
    if not names:
        yield Finding("accounts", Level.WARNING, "none yet", "manage.py addaccount, or Channel accounts in the admin")
    for key, kind, name in names:
        problem = _trouble_with(key, kind)
        fix = "open the account in the admin and enter its credentials again" if problem else ""
        yield Finding(name, Level.FAILURE if problem else Level.OK, problem or f"{kind}, credentials readable", fix)


def _inbound() -> Iterator[Finding]:
    """Yield what providers said when they were last asked for what they did not deliver."""
    for check in InboundCheck.objects.exclude(trouble="").select_related("account").defer(*UNLOADED):
        fix = "manage.py missed asks again; with --subscribe it also subscribes our app again"
        yield Finding(f"{check.account.name} inbound", Level.WARNING, check.trouble, fix)


def _set_up(*, online: bool) -> Iterator[Finding]:
    """Yield what is wrong with accounts at their providers, by what these said last, or say now if `online`."""
    accounts = ChannelAccount.objects.filter(enabled=True).order_by("kind", "name")
    if online:
        for account in accounts:
            with suppress(AccountProblem):  # is said among the accounts
                ask_all(account)
    for health in AccountHealth.objects.filter(account__in=accounts).select_related("account").defer(*UNLOADED):
        name = health.account.name
        for point in points_of(health):
            if not point.ok:
                differ = f" Ours: {point.ours}. Theirs: {point.theirs}." if point.theirs else ""
                fix = point.fix or "press Check again on the account's page"
                yield Finding(f"{name}: {point.name}", Level.FAILURE, point.said + differ, fix)
        yield from _expiry(name, health)


def _expiry(name: str, health: AccountHealth) -> Iterator[Finding]:
    ends, now = health.expires_at, timezone.now()
    if ends is None or ends - now > WARN_BEFORE:
        return
    over = ends <= now
    said = f"{'ended' if over else 'ends'} on {ends:%d %B %Y, %H:%M} UTC"
    fix = "get a new token from the provider and put it in: Channels → the account → Credentials"
    yield Finding(f"{name}: token", Level.FAILURE if over else Level.WARNING, said, fix)


def _trouble_with(key: UUID, kind: str) -> str:
    """Return why the account's credentials cannot be used, empty if they can. Never their text."""
    if kind not in channels():
        return f"no channel {kind!r} is installed"
    try:
        channels()[kind].read_config(ChannelAccount.objects.get(pk=key).credentials)
    except ImproperlyConfigured as problem:
        return str(problem)
    except msgspec.ValidationError as problem:
        return f"credentials are not complete: {problem}"
    return ""
