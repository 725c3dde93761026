"""Python runs this when it starts, in processes that have this folder on their path: only the rig's. Plants a bug."""

from __future__ import annotations

import os

if os.environ.get("PARLEY_PLANTED_BUG"):
    from tests.chaos.bugs import plant

    plant(os.environ["PARLEY_PLANTED_BUG"])
