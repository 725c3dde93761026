"""The checks of `manage.py doctor`: what a person would look at first when something does not work, with fixes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from celery import current_app
from django.conf import settings
from django.db import Error, connection
from django.utils import timezone
from kombu.exceptions import OperationalError as BrokerError

from connect_bridge.aws import AwsError, aws_client, aws_errors, credentials_source, has_region, region
from connect_bridge.operations import doctor_accounts, doctor_connect
from connect_bridge.operations.findings import Finding, Level
from connect_bridge.operations.status import SILENT_AFTER, SystemStatus, pending_migrations, read_status

#: How many seconds clocks may differ without a warning.
CLOCKS_DIFFER = 10.0


def diagnose(*, online: bool = False) -> Iterator[Finding]:
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
        yield doctor_accounts.routing()
        yield from doctor_connect.waiting()
        if online:
            yield from doctor_connect.routes()
        yield from doctor_accounts.credentials()
        yield from doctor_accounts.inbound_checks()
        yield from doctor_accounts.provider_points(online=online)


def _database() -> Iterable[Finding]:
    try:
        connection.ensure_connection()
        version = connection.cursor().execute("SHOW server_version").fetchone()[0]
        pending = pending_migrations()
    except Error as problem:
        detail = str(problem).strip().splitlines()[0]
        return [Finding("database", Level.FAILURE, detail, "start PostgreSQL, or correct DATABASE_URL")]
    detail = f"PostgreSQL {version.split()[0]}, {pending} pending migrations"
    if pending:
        return [Finding("database", Level.FAILURE, detail, "run manage.py migrate (serve does it by itself)")]
    return [Finding("database", Level.OK, detail)]


def _clock() -> Finding:
    """Compare this machine's clock with the database's. X refuses what is signed five minutes off."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        seconds = (timezone.now() - cursor.fetchone()[0]).total_seconds()
    if abs(seconds) <= CLOCKS_DIFFER:
        return Finding("clock", Level.OK, "as the database's")
    detail = f"{abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'} the database's"
    return Finding("clock", Level.WARNING, detail, "let NTP set the clocks of this machine and of the database's")


def _secrets() -> Iterator[Finding]:
    for name in ("SECRET_KEY", "FIELD_ENCRYPTION_KEYS"):
        if os.environ.get(name) or os.environ.get(f"{name}_FILE"):
            yield Finding(name, Level.OK, "set")
            continue
        detail = f"made by this machine, in {settings.VAR_DIR / 'secrets'}"
        level = Level.OK if settings.IS_LOCAL else Level.FAILURE
        yield Finding(name, level, detail, "" if settings.IS_LOCAL else f"set {name}, the same for every process")


def _public_url() -> Finding:
    url = settings.PUBLIC_BASE_URL
    if url.startswith("https://"):
        return Finding("public URL", Level.OK, url)
    detail = f"{url} is not HTTPS: messengers will refuse it"
    return Finding("public URL", Level.WARNING, detail, "set PUBLIC_BASE_URL=https://… (fine on a laptop)")


def _broker() -> Finding:
    transport = settings.CELERY_BROKER_URL.partition(":")[0]
    try:
        with current_app.connection_for_write(connect_timeout=3) as broker:
            broker.ensure_connection(max_retries=1, interval_start=0.1)
    except (BrokerError, OSError) as problem:
        detail = f"{transport} does not answer ({type(problem).__name__})"
        return Finding("broker", Level.FAILURE, detail, "start it, or correct CELERY_BROKER_URL")
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
            detail = "never heard of" if age is None else f"silent for {age:.0f} s"
            yield Finding(name, Level.FAILURE, detail, f"run {command}, or manage.py serve for all")
    for name, age, rows in (
        ("intake", status.intake_age, status.intake_rows),
        ("relay", status.relay_age, status.relay_rows),
        ("outbox", status.outbox_age, status.outbox_rows),
    ):
        level = Level.WARNING if age > SILENT_AFTER else Level.OK
        detail = f"{rows} waiting" + (f", the oldest for {age:.0f} s" if rows else "")
        yield Finding(name, level, detail, "look at the log of the bridge and the worker" if level != Level.OK else "")
