"""What a channel declares of its provider: where its API is, how an account is set up there, what its codes mean."""

from __future__ import annotations

from channels_app.types import Struct


class Api(Struct, frozen=True, kw_only=True):
    """Where a provider's API is: the addresses that its SDK calls, the main one first, each without a slash at its end.

    `setting` is the environment variable that sends all of these calls to another address.
    """

    setting: str
    addresses: tuple[str, ...]


class Guide(Struct, frozen=True, kw_only=True):
    """What a person must know who sets an account up: what to have ready, where our address goes, what goes wrong."""

    ready: tuple[str, ...] = ()
    paste: str = "Give this address to the provider as the one for incoming messages."
    trap: str = ""


class Advice(Struct, frozen=True, kw_only=True):
    """What a provider's own error code means, beyond the class of error that it belongs to."""

    cause: str
    fix: str
