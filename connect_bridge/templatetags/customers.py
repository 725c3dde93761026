"""Small drawings and words of the customer pages. Our policy takes no inline style, so drawings are SVG."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from channels_app.registry import glyph_of, label_of
from connect_bridge.customer_page.sentiment import MessageSentiment, Trend
from people.svg import polyline

register = template.Library()

#: Pixels of the drawings.
SPARK_WIDTH, SPARK_HEIGHT = 240, 36
BAR, MAP_HEIGHT = 6, 28
_WORDS = {
    "phone": "Phone number",
    "bsuid": "WhatsApp user id",
    "external_id": "Id",
    "display_name": "Name",
    "handle": "Handle",
    "picture_url": "Picture",
}


@register.simple_tag
def glyph(kind: str) -> SafeString:
    """Draw a channel's glyph; its name is there for who does not see it."""
    shapes = mark_safe(glyph_of(kind))  # noqa: S308 - it stands in the channel's file
    return format_html(
        '<svg class="icon tiny" viewBox="0 0 24 24" role="img" aria-label="{}">{}</svg>', label_of(kind), shapes
    )


@register.filter
def alias_word(name: str) -> str:
    """Return what people call a kind of name."""
    return _WORDS.get(name, name.replace("_", " ").capitalize())


@register.simple_tag
def sentiment_mark(sentiment: MessageSentiment) -> SafeString:
    """Show a message's sentiment: glyph, number, and more in the title."""
    return format_html(
        '<span class="mark {}{}" title="{}">{}</span>',
        sentiment.label,
        " unsure" if sentiment.unsure else "",
        sentiment.detail,
        f"{sentiment.score * 100:+.0f}",
    )


@register.simple_tag
def sentiment_mean(trend: Trend) -> SafeString:
    return format_html('<span class="mark {0}">{0} {1}</span>', trend.label, f"{trend.mean * 100:+.0f}")


@register.simple_tag
def spark(trend: Trend) -> SafeString:
    """Draw the days' means around a common zero."""
    points = polyline([mean for _, mean, _ in trend.days], SPARK_WIDTH, lambda mean: SPARK_HEIGHT / 2 * (1 - mean))
    first, last = trend.days[0], trend.days[-1]
    label = f"From {first[1] * 100:+.0f} on {first[0]:%-d %b} to {last[1] * 100:+.0f} on {last[0]:%-d %b}"
    return format_html(
        '<svg class="spark" viewBox="0 -2 {0} {2}" role="img" aria-label="{3}"><path class="zero" d="M0 {1}H{0}"/>'
        '<polyline points="{4}"/></svg>',
        SPARK_WIDTH,
        SPARK_HEIGHT / 2,
        SPARK_HEIGHT + 4,
        label,
        points,
    )


@register.simple_tag
def minimap(days: Sequence[tuple[date, int]]) -> SafeString:
    """Draw the active days as bars that lead to them."""
    most = max(number for _, number in days)
    bars = format_html_join(
        "",
        '<a href="?day={0}"><title>{1}: {2}</title><rect class="hit" x="{3}" y="0" width="{4}" height="{5}"/>'
        '<rect x="{3}" y="{6}" width="{7}" height="{8}"/></a>',
        (
            (
                day.isoformat(),
                f"{day:%-d %b %Y}",
                number,
                place * BAR,
                BAR,
                MAP_HEIGHT,
                MAP_HEIGHT - tall,
                BAR - 1,
                tall,
            )
            for place, (day, number) in enumerate(days)
            for tall in [max(3, round(MAP_HEIGHT * number / most))]
        ),
    )
    wide = len(days) * BAR
    return format_html(
        '<svg class="minimap" viewBox="0 0 {0} {1}" width="{0}" height="{1}" role="group" aria-label="Active days">'
        "{2}</svg>",
        wide,
        MAP_HEIGHT,
        bars,
    )
