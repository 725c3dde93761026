"""How an account's status is drawn: a state as a badge, a day as a line."""

from __future__ import annotations

from collections.abc import Sequence

from django.template import Library
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from channels_app.registry import glyph_of, label_of
from connect_bridge.operations.account_status import State, Verdict
from people.svg import polyline

register = Library()

_TONES = {
    State.LIVE: ("good", "●"),
    State.QUIET: ("", "◐"),
    State.WAITING: ("", "○"),
    State.NOT_SET_UP: ("", "○"),
    State.PAUSED: ("warn", "❚❚"),
    State.OFF: ("", "□"),
    State.DEGRADED: ("warn", "▲"),
    State.BROKEN: ("bad", "✗"),
    State.RECONNECT: ("bad", "⚠"),
}
_SIGNS = {Verdict.OK: "✓", Verdict.BAD: "✗", Verdict.UNSEEN: "○"}
_WIDTH, _HEIGHT = 120, 24


register.filter("channel_label", label_of)


@register.simple_tag
def channel_icon(kind: str) -> SafeString:
    """Draw a channel's glyph beside its name, which says it already."""
    shapes = mark_safe(glyph_of(kind))  # noqa: S308 - it stands in the channel's file
    return format_html('<svg class="icon" viewBox="0 0 24 24" aria-hidden="true">{}</svg>', shapes)


@register.filter
def state_badge(state: State) -> SafeString:
    tone, sign = _TONES[state]
    css = f"p-state is-{tone}" if tone else "p-state"
    return format_html('<span class="{}"><span aria-hidden="true">{}</span> {}</span>', css, sign, state.value)


_FATES = {
    "failed": ("bad", "✗"),
    "quarantined": ("bad", "✗"),
    "uncertain": ("warn", "?"),
    "waiting": ("warn", "…"),
    "stored": ("warn", "…"),
    "parked": ("warn", "…"),
    "noted": ("good", "·"),
    "relayed": ("good", "✓"),
    "accepted": ("good", "✓"),
    "delivered": ("good", "✓✓"),
    "read": ("good", "✓✓"),
}


@register.filter
def event_badge(state: str) -> SafeString:
    """Draw where a webhook or a send is, in its own word."""
    tone, sign = _FATES.get(state, ("", "·"))
    css = f"p-state is-{tone}" if tone else "p-state"
    return format_html('<span class="{}"><span aria-hidden="true">{}</span> {}</span>', css, sign, state)


@register.filter
def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f}"


@register.filter
def verdict_sign(verdict: Verdict) -> str:
    return _SIGNS[verdict]


@register.filter
def sparkline(counts: Sequence[int]) -> SafeString:
    """Draw a day of webhooks by the hour; the label tells what the eye gets from the line."""
    if not counts:
        return SafeString()
    most = max(*counts, 1)
    points = polyline(counts, _WIDTH, lambda count: _HEIGHT - 2 - count / most * (_HEIGHT - 4))
    label = f"Webhooks by the hour, the last day: {sum(counts)} in all, at most {max(counts)} in an hour"
    return format_html(
        '<svg class="p-spark" viewBox="0 0 {} {}" width="{}" height="{}" role="img" aria-label="{}">'
        '<polyline points="{}"/></svg>',
        _WIDTH, _HEIGHT, _WIDTH, _HEIGHT, label, points,
    )  # fmt: skip
