"""The frame that pages outside the admin share: who sees which task, and colours that can be told from their ground."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import AnonymousUser, Permission, User
from django.template.loader import render_to_string
from django.test import Client, RequestFactory

TOKENS = (Path(settings.BASE_DIR) / "static/parley/tokens.css").read_text()
PAIR = re.compile(r"--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)")
COLOURS = {name: (light, dark) for name, light, dark in PAIR.findall(TOKENS)}
GROUNDS = ("ground", "surface", "raised", "sunken")
TEXTS = ("ink", "dim", "accent", "good", "warn", "bad")
MARKS = ("negative", "neutral", "mixed", "positive", "focus", "line-strong", *(f"series-{n}" for n in range(1, 6)))
ON_THEIR_OWN = (
    ("on-accent", "accent"),
    ("accent", "accent-soft"),
    ("good", "good-soft"),
    ("warn", "warn-soft"),
    ("bad", "bad-soft"),
    ("ink", "negative-soft"),
    ("ink", "positive-soft"),
)


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Return WCAG's ratio of two colours."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def pairs() -> Iterator[tuple[str, str, float]]:
    yield from ((text, ground, 4.5) for text in TEXTS for ground in GROUNDS)
    yield from ((mark, ground, 3.0) for mark in MARKS for ground in ("surface", "raised"))
    yield from ((text, ground, 4.5) for text, ground in ON_THEIR_OWN)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_every_colour_can_be_told_from_what_it_stands_on(theme: int) -> None:
    faint = {
        f"{colour} on {ground}": round(contrast(COLOURS[colour][theme], COLOURS[ground][theme]), 2)
        for colour, ground, least in pairs()
        if contrast(COLOURS[colour][theme], COLOURS[ground][theme]) < least
    }
    assert faint == {}


def frame(user: User | AnonymousUser, **context: object) -> str:
    request = RequestFactory().get("/dashboards/")
    request.user = user
    return render_to_string("base.html", context, request)


@pytest.mark.django_db
def test_a_task_is_shown_to_those_who_may() -> None:
    user = User.objects.create_user("ana", is_staff=True)
    assert "Conversations" not in frame(user)
    user.user_permissions.add(Permission.objects.get(codename="view_conversation"))
    assert "Conversations" in frame(User.objects.get(pk=user.pk))


def test_the_page_says_where_one_is() -> None:
    admin = User(username="root", is_staff=True, is_superuser=True)
    assert frame(admin, section="conversations").count('aria-current="page"') == 1


def test_the_frame_holds_no_script_or_style_that_a_strict_policy_stops() -> None:
    page = frame(User(username="root", is_staff=True, is_superuser=True))
    assert not re.search(r"<script(?![^>]*src=)|<style|\son\w+=|\sstyle=", page)


@pytest.mark.django_db
def test_pages_outside_the_admin_run_our_own_files_alone() -> None:
    policy = Client().get("/").headers["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
