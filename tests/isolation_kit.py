"""What keeps a test from seeing a running server, or another test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.core.cache import cache
from kombu.transport import memory
from pytest_django.fixtures import Settings

from config import celery_app


@contextmanager
def queues_in_memory(settings: Settings) -> Iterator[None]:
    """Let broker, channel layer and cache live in this process, and empty them afterwards."""
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    celery_app.conf.update(broker_url="memory://", broker_transport_options={})
    yield
    memory.Channel.queues.clear()
    cache.clear()
