from __future__ import annotations

from django.apps import AppConfig


class ConfigConfig(AppConfig):
    """An app without tables: it brings the command `serve`, which starts every process and so stands above all apps."""

    name = "config"
    verbose_name = "Configuration"
