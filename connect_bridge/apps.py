from __future__ import annotations

from django.apps import AppConfig


class ConnectBridgeConfig(AppConfig):
    name = "connect_bridge"
    verbose_name = "Connect bridge"
