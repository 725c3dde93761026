from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from tests.sandbox.page_kit import front

WORLD = "http://127.0.0.1:9999"


@pytest.mark.parametrize(("world", "target"), [(WORLD, "/sandbox/"), ("", "/admin/")])
def test_the_front_door_leads_to_the_sandbox_only_where_there_is_one(settings: Any, world: str, target: str) -> None:
    front(settings, world)

    answer = Client().get("/")

    assert (answer.status_code, answer.headers["Location"]) == (302, target)


def test_there_is_no_sandbox_page_without_a_simulated_world(settings: Any) -> None:
    front(settings, "")

    assert Client(raise_request_exception=False).get("/sandbox/").status_code == 404


def test_the_page_may_run_its_own_files_and_speak_with_the_simulated_world_alone(settings: Any) -> None:
    front(settings, WORLD)

    policy = Client().get("/sandbox/").headers["Content-Security-Policy"].split("; ")

    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "style-src 'self'" in policy
    assert f"connect-src {WORLD} ws://127.0.0.1:9999" in policy


def test_the_page_says_on_its_face_that_everything_is_simulated(settings: Any) -> None:
    front(settings, WORLD)

    page = Client().get("/sandbox/").content.decode()

    assert "everything outside Parley is simulated; no AWS, X, Meta or Twilio account is used" in page
