"""The demo's history shows only what real traffic leaves behind."""

from __future__ import annotations

import pytest

from channels_app.errors import SendFailed
from channels_app.registry import channels
from sandbox.chatter import REFUSALS, refusal_of


@pytest.mark.parametrize("kind", REFUSALS)
def test_a_made_up_refusal_has_the_class_that_its_code_has_in_an_answer(kind: str) -> None:
    refusal = refusal_of(kind)
    assert refusal.provider_code in channels()[kind].codes
    assert refusal.code == channels()[kind].codes[refusal.provider_code].code
    assert refusal.code in {known.code for known in SendFailed.__subclasses__()}
