from __future__ import annotations

import os
import subprocess
import sys

import pytest
from msgspec import Struct, ValidationError

from channels_app.toolkit.msgspec_tools import convert

#: Threads that all use types which nobody has used before, as workers do with accounts' credentials when they start.
RACE = """
import sys, threading, types
from channels_app.toolkit.msgspec_tools import convert
SOURCE = '''
from __future__ import annotations
from typing import Annotated
import msgspec
class Piece(msgspec.Struct):
    a: Annotated[str, msgspec.Meta(description="a")]
class Whole(msgspec.Struct, kw_only=True):
    a: Annotated[str, msgspec.Meta(description="a")]
    b: Annotated[str, msgspec.Meta(pattern="x*")]
    c: str
    d: list[Piece]
'''
RAW = {"a": "x", "b": "x", "c": "x", "d": [{"a": "x"}]}
sys.setswitchinterval(1e-6)
for _ in range(400):
    module = sys.modules["fresh"] = types.ModuleType("fresh")
    exec(SOURCE, module.__dict__)
    start = threading.Barrier(8)
    def use():
        start.wait()
        convert(RAW, module.Whole)
    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
print("all read")
"""


def test_many_threads_may_use_a_type_for_the_first_time_together() -> None:
    done = subprocess.run(
        [sys.executable, "-c", RACE], env=os.environ, capture_output=True, text=True, timeout=100, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "all read"), done.stderr


def test_what_does_not_fit_is_refused_again_and_again() -> None:
    class Named(Struct):
        name: str

    for _ in range(2):
        with pytest.raises(ValidationError, match="name"):
            convert({}, Named)
    assert convert({"name": "x"}, Named).name == "x"
