from __future__ import annotations

import pytest

from tests import factories
from tests.factories import MessageFactory

EVERY = sorted(name for name in vars(factories) if name.endswith("Factory") and not name.startswith(("Django", "Sub")))


@pytest.mark.django_db
@pytest.mark.parametrize("name", EVERY)
def test_each_factory_makes_two_rows(name: str) -> None:
    first, second = getattr(factories, name).create_batch(2)
    assert first.pk != second.pk


@pytest.mark.django_db
def test_messages_of_one_conversation_follow_each_other() -> None:
    first = MessageFactory()
    assert MessageFactory(conversation=first.conversation).sequence == first.sequence + 1
