"""Long answers are made while they are sent, under ASGI too, and are given up when nobody reads on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from django.test import AsyncClient, AsyncRequestFactory, RequestFactory

from people.streaming import streamed
from tests.factories import CustomerFactory


class Pieces:
    """Remembers how many were made, and whether it was closed."""

    made = 0
    closed = False

    def __call__(self) -> Iterator[str]:
        try:
            for number in range(1000):
                self.made += 1
                yield f"{number}\n"
        finally:
            self.closed = True


async def test_a_piece_is_made_when_the_one_before_has_gone() -> None:
    pieces = Pieces()
    sent = streamed(AsyncRequestFactory().get("/"), pieces())

    assert [await anext(sent), await anext(sent)] == ["0\n", "1\n"]
    assert pieces.made == 2
    await sent.aclose()
    assert pieces.closed


@pytest.mark.slow
async def test_all_of_it_arrives() -> None:
    assert len([piece async for piece in streamed(AsyncRequestFactory().get("/"), Pieces()())]) == 1000


def test_elsewhere_the_pieces_are_sent_as_they_are() -> None:
    pieces = Pieces()()

    assert streamed(RequestFactory().get("/"), pieces) is pieces


@pytest.mark.django_db(transaction=True)
async def test_the_exports_are_sent_so() -> None:
    boss = await User.objects.acreate(username="boss", is_staff=True, is_superuser=True)
    customer = await CustomerFactory._meta.model.objects.acreate(display_name="Ana")
    client = AsyncClient()
    await client.aforce_login(boss)

    for path in ("/dashboards/export/rows/chats.csv", f"/api/v1/customers/{customer.pk}/export/"):
        answer = await client.get(path)
        assert answer.status_code == 200
        assert answer.is_async
        assert b"".join([piece async for piece in answer]) != b""
