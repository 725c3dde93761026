"""Tells open dashboards that numbers changed. A page also polls, so a message that is lost delays it by seconds."""

from __future__ import annotations

import asyncio
import logging
import threading

from channels.layers import get_channel_layer

log = logging.getLogger(__name__)

GROUP = "dashboards"
#: Seconds that the channel layer has to take the message.
PATIENCE = 5.0
_making = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None


def announce() -> None:
    """Tell all open dashboards to fetch their tiles again. Never raises."""
    layer = get_channel_layer()
    if layer is None:
        return
    sending = layer.group_send(GROUP, {"type": "numbers.changed"})
    try:
        asyncio.run_coroutine_threadsafe(sending, _layer_loop()).result(PATIENCE)
    except Exception as failure:  # noqa: BLE001 - pages poll anyway
        log.warning("open dashboards were not told (%s): they look by themselves", type(failure).__name__)


def _layer_loop() -> asyncio.AbstractEventLoop:
    """Return this process' own loop: a layer keeps its connections in the loop in which it was first used."""
    global _loop  # noqa: PLW0603 - one for all threads
    with _making:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_loop.run_forever, name="live", daemon=True).start()
        return _loop
