"""The list pages of the admin with a hundred thousand rows in every table that grows.

Each page is opened as it stands, at its last page, by a search, by each of its filters and sorted by each of its
columns: whole requests in this process, sign-in, rights, queries and HTML. Of several tries the least counts: what the
page costs, not what else the machine does. The floor is the same page with as many rows as it shows at once.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

import django

from bench.admin_rows import fill
from bench.lab import database, manage

QUICK: dict[str, Any] = {"rows": 500, "rounds": 1}
#: Rows of the floor: what one page shows.
ONE_PAGE = 50
#: Milliseconds that a list page may take.
GOAL = 200.0
#: Lists that are no lists of the admin's, and what one does with them.
OTHERS = {
    "events": (
        *("q={conversation}", "q=%2B34{middle}", "q=handle{middle}", "q=no-such-thing"),
        *("fate=failed", "fate=waiting", "fate=done", "since=7d", "direction=in&fate=done"),
        *("account={account}", "direction=out&account={account}"),
    ),
    "event-failures": (),
    "stuck": (),
    "channels": (),
    "audit": ("by=ana", "model=auth.user"),
    "customers:index": ("q=%2B34{middle}", "q=First7", "q=handle{middle}"),
    "dashboards:alerts": (),
}

Times = dict[str, float]


def run(rows: int = 100_000, rounds: int = 5) -> dict[str, object]:
    """Print and return for each list what it takes in milliseconds, and the slowest thing that one can ask of it."""
    floor = _measured(ONE_PAGE, rounds, asked=False)
    figures = _measured(rows, rounds, asked=True)
    print(f"  lists with {rows:,} rows; ms, against the same with {ONE_PAGE}: as it stands | the slowest otherwise")
    results: dict[str, object] = {}
    slow = []
    for page, times in figures.items():
        plain, worst = times[""], max(times, key=lambda how: times[how])
        ratio = plain / floor[page][""]
        print(f"  {page:<28} {plain:6.0f}  {ratio:4.1f} times | {times[worst]:6.0f}  {worst or 'as it stands'}")
        results[page] = {"ms": plain, "ratio": ratio, "worst_ms": times[worst], "worst": worst}
        slow += [f"{page}?{how}: {taken:.0f} ms" for how, taken in times.items() if taken > GOAL]
    print(f"  above {GOAL:.0f} ms: {len(slow)} of {sum(map(len, figures.values()))}", *slow, sep="\n    ")
    return {**results, "above": slow}


def _measured(rows: int, rounds: int, *, asked: bool) -> dict[str, Times]:
    """Return what each page takes with so many rows in each table, by its name and by what was `asked` of it."""
    address = os.environ.get("DATABASE_URL")
    with database("bench_admin") as url:
        os.environ |= {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "config.settings", "LOG_LEVEL": "ERROR"}
        manage("migrate", "-v0", env={"DATABASE_URL": url})
        django.setup()
        fill(url, rows)
        try:
            return _times(rows, rounds, asked=asked)
        finally:
            _hang_up()
            os.environ.pop("DATABASE_URL")
            os.environ |= {"DATABASE_URL": address} if address else {}


def _hang_up() -> None:
    """Leave the database, so that it can be dropped, and the next of its name be another."""
    from django.db import connection

    pooled: Any = connection
    connection.close()
    pooled.close_pool()


def _times(rows: int, rounds: int, *, asked: bool) -> dict[str, Times]:
    from django.contrib.auth.models import User
    from django.test import Client

    client = Client(SERVER_NAME="localhost")
    client.force_login(User.objects.create_superuser("bench"))
    times: dict[str, Times] = {}
    for name, address, queries in _pages(client, rows):
        chosen = queries if asked else queries[:1]
        times[name] = {query: min(_timed(client, f"{address}?{query}") for _ in range(rounds)) for query in chosen}
        print(f"  {name}, {rows:,} rows: {times[name]['']:.0f} ms", flush=True)
    return times


def _pages(client: Any, rows: int) -> Iterator[tuple[str, str, list[str]]]:
    """Yield the name of each list page, its address, and what is asked of it. Each is opened once, unmeasured."""
    from django.contrib import admin
    from django.urls import reverse

    for model, model_admin in admin.site._registry.items():  # noqa: SLF001 - there is no public list
        address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        yield str(model._meta.verbose_name_plural), address, list(_of_list(client.get(address), model_admin))
    from channels_app.models import ChannelAccount
    from connect_bridge.models import Conversation

    last = Conversation.objects.order_by("last_message_at").values_list("pk", flat=True)[0]
    known = {
        "account": ChannelAccount.objects.values_list("pk", flat=True)[0],
        "middle": rows // 2,
        "conversation": last,
    }
    for name, queries in OTHERS.items():
        client.get(reverse(name))
        yield name, reverse(name), ["", *(query.format(**known) for query in queries)]


def _of_list(opened: Any, model_admin: Any) -> Iterator[str]:
    """Yield what one can ask of a list: nothing, its last page, a search, each filter, each column to sort by."""
    shown = opened.context_data["cl"]
    yield ""
    yield f"p={shown.paginator.num_pages}"
    row = shown.queryset.last()
    yield from (f"q={term}" for term in (row.pk, "First7", "no-such-thing") if model_admin.search_fields and row)
    for spec in shown.filter_specs:
        choices = [choice["query_string"].removeprefix("?") for choice in spec.choices(shown)]
        yield from (choice for choice in (choices[1:2] + choices[-1:]))
    yield from (f"o={place}" for place, name in enumerate(shown.list_display) if name in shown.sortable_by)


def _timed(client: Any, address: str) -> float:
    began = time.perf_counter()
    answer = client.get(address)
    took = (time.perf_counter() - began) * 1000
    assert answer.status_code == 200 or "?q=" in address, (address, answer.status_code)  # who is found is gone to
    return took
