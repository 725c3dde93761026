"""How each channel account is right now."""

from __future__ import annotations

from django.urls import NoReverseMatch, reverse

from analytics import formatting
from analytics.tiles import live_queries
from analytics.tiles.dashboard_data import DashboardData
from analytics.tiles.registry import OVERVIEW, tile
from analytics.tiles.tile import Column, Row, State, Tile, row
from channels_app.account_fields import ENCRYPTED
from channels_app.models import ChannelAccount
from connect_bridge.operations import account_status, stuck


@tile(
    key="channels",
    title="Channels",
    on={OVERVIEW: 10, "channels": 20, "accounts": 10, "failures": 30},
    form="lights",
    of="accounts",
    formula=(
        "As on the page Channels. Live: webhooks come and sends are taken. Quiet: twice as long without a webhook "
        "as of late, and at least six hours. Degraded: the latest answer did not reach the customer, or the latest "
        "webhook was set aside. Broken: a check failed, signatures are wrong, or Amazon Connect takes nothing. "
        "Needs reconnecting: our credentials are refused."
    ),
    headline=False,
    of_now=True,
)
def channels(data: DashboardData) -> Tile:
    """Show the status of each account, and what the last two hours brought it."""
    accounts = ChannelAccount.objects.defer(*ENCRYPTED)
    statuses = {status.account.pk: status for status in account_status.account_statuses(accounts)}
    columns = [Column("state", "text"), Column("last webhook", "text"), Column("failed, 2 h", "text")]
    columns.append(Column("received, 2 h", "count"))
    rows: list[Row] = []
    for account in live_queries.accounts(data):
        status = statuses[account.id]
        failed = f"{account.failed} of {account.settled}"
        webhook = formatting.ago(status.webhook_at, data.now).replace("never", "none yet")
        values = [str(status.state), webhook, failed, account.received]
        link = reverse("admin:channels_app_channelaccount_change", args=[account.id])
        rows.append(row(status.account.name, columns, values, link=link, mark=status.account.kind))
    held_up = sum(stuck.counts().values())
    return Tile(
        value=held_up,
        n=len(rows),
        columns=columns,
        rows=rows,
        notes=[f"{held_up} held up for more than a minute"] if held_up else ["Nothing is held up"],
        drill=_address("stuck"),
        state=State.OK if rows else State.EMPTY,
    )


def _address(name: str) -> str:
    try:
        return reverse(name)
    except NoReverseMatch:
        return ""
