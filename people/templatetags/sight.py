"""What templates say of persons: as much as whoever the page is for may see."""

from __future__ import annotations

from typing import Any

from django import template

from people import privacy
from people.privacy import Sight

register = template.Library()


@register.filter
def masked_name(name: Any) -> str:
    return privacy.masked_name(str(name or ""))


@register.filter
def masked_id(number: Any) -> str:
    return privacy.masked_id(str(number or ""))


@register.filter
def masked_error(text: Any) -> str:
    return privacy.masked_error(str(text or ""))


@register.filter
def seen_words(text: Any) -> str:
    """Return somebody's or a provider's words; whoever may not read them all sees no number and no address in them."""
    words = str(text or "")
    return words if privacy.current_sight() is Sight.FULL else privacy.redacted(words)
