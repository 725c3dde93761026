#!/usr/bin/env python
"""Parley's commands. With no DATABASE_URL, a private PostgreSQL is started for as long as it is needed."""

from __future__ import annotations

import os
import signal
import sys

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from config import embedded, env

    env.forget_blanks()
    # A command that is asked to end leaves through its `finally` blocks: the private PostgreSQL stops with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with embedded.running_for(sys.argv[1:]):
        from django.core.exceptions import ImproperlyConfigured
        from django.core.management import execute_from_command_line

        try:
            execute_from_command_line(sys.argv)
        except ImproperlyConfigured as wrong:
            sys.exit(f"Parley's settings: {wrong}")
