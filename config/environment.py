"""Reads settings from the environment, or from the files that NAME_FILE names: that is how container secrets come."""

from __future__ import annotations

import os
import re
from pathlib import Path

import environ
from environ.fileaware_mapping import FileAwareMapping

#: AWS's variables that may come from a file. Others that end in _FILE are the SDK's own, e.g. AWS_CONFIG_FILE.
_AWS = re.compile(
    "(AWS_(?:ACCESS_KEY_ID|SECRET_ACCESS_KEY|SESSION_TOKEN|REGION|DEFAULT_REGION|ENDPOINT_URL[A-Z_]*?))_FILE"
)


class _Values(FileAwareMapping):  # type: ignore[misc] # django-environ is not typed
    """Values without the line break that ends most files: none of ours has one, and a key with it is another key."""

    def __getitem__(self, name: str) -> str:
        return str(super().__getitem__(name)).rstrip("\r\n")


class Env(environ.FileAwareEnv):  # type: ignore[misc] # django-environ is not typed
    ENVIRON = _Values()


def give_aws_its_files() -> None:
    """Set each of AWS's variables whose NAME_FILE is given: the SDK reads the environment and knows no such files."""
    for name, path in list(os.environ.items()):
        if (found := _AWS.fullmatch(name)) and path:
            os.environ[found[1]] = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
