"""What admin pages show, as HTML: links between rows, texts from outside, what is masked for some."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.db.models import Model
from django.urls import reverse
from django.utils.html import format_html

from people.json_masking import masked_json
from people.privacy import Sight, current_sight, masked_text

#: Characters of a stored text that a page shows.
MOST_SHOWN = 20_000


def link(target: Model | None, text: str = "") -> str:
    """Return a link to the row's page; a dash if there is no row."""
    if target is None:
        return "-"
    options = target._meta
    url = reverse(f"admin:{options.app_label}_{options.model_name}_change", args=[target.pk])
    return format_html('<a href="{}">{}</a>', url, text or str(target))


def list_link(model: type[Model], text: str, **filters: Any) -> str:
    """Return a link to the list of a model's rows that pass the filters."""
    options = model._meta
    url = reverse(f"admin:{options.app_label}_{options.model_name}_changelist")
    return format_html('<a href="{}?{}">{}</a>', url, urlencode(filters), text)


def text_html(text: str) -> str:
    """Return text from outside as HTML: escaped, cut at MOST_SHOWN, kept from reordering or covering its neighbours."""
    cut = text[:MOST_SHOWN]
    more = f"… and {len(text) - len(cut):,} more characters" if len(cut) < len(text) else ""
    return format_html('<pre dir="auto" class="p-text">{}</pre>{}', cut, more)


def sight_on(row: Any) -> Sight:
    """Return how much of its words whoever opened a row's page may see: it was put there by the page."""
    sight: Sight = getattr(row, "sight", Sight.NONE)
    return sight


def message_html(row: Any, text: str) -> str:
    """Return what somebody wrote as HTML, as far as whoever opened the row's page may read it."""
    return text_html(masked_text(text, sight_on(row)))


def message_json_html(row: Any, value: Any) -> str:
    """Return a JSON value with what somebody wrote as HTML, as far as whoever opened the row's page may read it."""
    return "-" if value is None else json_html(masked_json(value, sight_on(row)))


def personal_json_html(value: Any) -> str:
    """Return a JSON value that may speak of persons as HTML, as far as whoever asks may see them."""
    return "-" if value is None else json_html(masked_json(value, current_sight()))


def json_html(value: Any) -> str:
    """Return a JSON value as HTML, indented."""
    return "-" if value is None else text_html(json.dumps(value, indent=2, ensure_ascii=False))


def masked_column(name: str, mask: Callable[[str], str]) -> Callable[[Any, Any], str]:
    """Return what an admin page shows of a column that says who somebody is. It cannot be sorted by."""

    def show(_page: Any, row: Any) -> str:
        return mask(getattr(row, name)) or "-"

    return admin.display(description=name.replace("_", " "))(show)
