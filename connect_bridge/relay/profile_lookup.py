"""Ask the messenger who a customer is, where its webhooks do not say: the agent is to see a name, not "Customer"."""

from __future__ import annotations

import asyncio
import logging
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from channels_app.channel import LooksUpProfile
from channels_app.errors import SendFailed
from connect_bridge.outbox.channel_cache import channel_of

log = logging.getLogger(__name__)

#: Seconds that a new chat waits for a name. Then it starts without one.
LOOK_UP_WITHIN = 2.0
#: Look-ups under way at once; each holds a thread for as long as the provider takes.
THREADS = 8

_threads = ThreadPoolExecutor(THREADS, thread_name_prefix="profile")


async def look_up(account: uuid.UUID, kind: str, version: datetime, external_id: str) -> dict[str, str]:
    """Return what the messenger tells of a customer, {} if it tells nothing in time or refuses."""
    try:
        async with asyncio.timeout(LOOK_UP_WITHIN):
            return await asyncio.get_running_loop().run_in_executor(
                _threads, _look_up, account, kind, version, external_id
            )
    except SendFailed as refusal:
        log.info("account %s: no profile: %s", account, refusal.code)
    except TimeoutError:
        log.info("account %s: no profile within %.0f s", account, LOOK_UP_WITHIN)
    except Exception as bug:  # noqa: BLE001 - a chat without a name is better than none
        log.error("account %s: the profile look-up failed: %s", account, type(bug).__name__)  # noqa: TRY400
    return {}


def _look_up(account: uuid.UUID, kind: str, version: datetime, external_id: str) -> dict[str, str]:
    channel = channel_of(account, kind, version)
    return channel.look_up_profile(external_id) if isinstance(channel, LooksUpProfile) else {}
