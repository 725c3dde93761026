"""Secrets that Parley makes for itself on first use, where the environment names none."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured


def local_secret(folder: Path, name: str) -> str:
    """Return a secret that was made on first use and lies in this folder, readable by its owner alone."""
    try:
        return _read_or_make(folder / name)
    except OSError as problem:
        raise ImproperlyConfigured(
            f"{folder / name}: {problem.strerror}. Parley makes its secrets there on first use: let it"
            " write there, name another folder by PARLEY_VAR, or set SECRET_KEY and FIELD_ENCRYPTION_KEYS"
        ) from None


def _read_or_make(path: Path) -> str:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = path.with_suffix(f".{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(48))
        try:
            os.link(draft, path)  # atomic: of two processes that start together, one wins and both read its secret
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text().strip()
