from __future__ import annotations

import pytest

from tests.connect_bridge.customer_page.kit import Past, ana


@pytest.fixture
def past() -> Past:
    return ana()
