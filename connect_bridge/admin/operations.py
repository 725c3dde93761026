"""Admin pages of the bridge processes, of replays, and of the calls to providers."""

from __future__ import annotations

from django.contrib import admin

from channels_app.admin import ChannelLogAdmin
from channels_app.models import ChannelLog
from connect_bridge.models import Bridge, OutboxEntry, Replay
from people.admin_base import ReadOnlyAdmin
from people.admin_html import json_html, link

admin.site.unregister(ChannelLog)


@admin.register(ChannelLog)
class TracedChannelLogAdmin(ChannelLogAdmin):
    """The calls to providers, each with the way back to what was being sent."""

    fields = [*ChannelLogAdmin.fields, "the_entry"]

    @admin.display(description="sent for")
    def the_entry(self, call: ChannelLog) -> str:
        return link(OutboxEntry.objects.filter(pk=call.outbox_entry).first() if call.outbox_entry else None)


@admin.register(Bridge)
class BridgeAdmin(ReadOnlyAdmin[Bridge]):
    list_display = ["__str__", "started_at", "beat_at"]
    ordering = ["-beat_at"]
    fields = ["id", "host", "pid", "started_at", "beat_at", "see_also"]
    search_fields = ["id", "host"]
    search_help_text = "A bridge's id or host."


@admin.register(Replay)
class ReplayAdmin(ReadOnlyAdmin[Replay]):
    list_display = ["at", "by", "verb", "asked", "counts"]
    list_filter = ["verb", "at"]
    ordering = ["-at"]
    fields = ["id", "at", "by", "verb", "the_choice", "the_counts", "the_rows"]
    search_fields = ["id", "by", "rows__contains"]
    search_help_text = "Who, or the id of an outbox entry or a delivery that was set going again."

    @admin.display(description="asked for")
    def the_choice(self, replay: Replay) -> str:
        return json_html(replay.asked)

    @admin.display(description="came to")
    def the_counts(self, replay: Replay) -> str:
        return json_html(replay.counts)

    @admin.display(description="rows")
    def the_rows(self, replay: Replay) -> str:
        return json_html(replay.rows)
