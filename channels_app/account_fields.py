"""What a person sets of an account, each field declared once: forms, the admin's page and the API follow from it.

A new field is a column in models.py with its migration, a row here and, where a process reads it besides, one line of
`Account` (webhooks) or `AccountSettings` (the bridges). The test test_account_fields.py holds this.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

#: Columns that are decrypted as they are loaded: they stay in the database wherever an account is only named.
ENCRYPTED = ("credentials", "former_credentials")


def encrypted_at(path: str) -> tuple[str, ...]:
    """Return these columns of the account at `path`, for example "conversation__account"."""
    return tuple(f"{path}__{column}" for column in ENCRYPTED)


class Section(StrEnum):
    """The headings of the account's page in the admin."""

    BASICS = ""
    CONNECT = "Amazon Connect"
    HOURS = "Hours"


class Step(StrEnum):
    """The steps of the set-up that ask for fields of the account."""

    ROUTE = "route"
    HOURS = "hours"


@dataclass(frozen=True, slots=True)
class AccountField:
    """One column. The set-up asks for it in `step`, in a box of so many `lines`; if `api`, the API shows it."""

    name: str
    section: Section
    step: Step | None = None
    lines: int = 1
    api: bool = False


#: In the order in which pages ask for them.
FIELDS = (
    AccountField("name", Section.BASICS, api=True),
    AccountField("enabled", Section.BASICS, api=True),
    AccountField("connect_instance_id", Section.CONNECT, Step.ROUTE, api=True),
    AccountField("connect_contact_flow_id", Section.CONNECT, Step.ROUTE, api=True),
    AccountField("hours", Section.HOURS, Step.HOURS),
    AccountField("closed_starts_chat", Section.HOURS, Step.HOURS),
    AccountField("default_language", Section.HOURS, Step.HOURS),
    AccountField("queue_delay_minutes", Section.HOURS, Step.HOURS),
    AccountField("holding_reply", Section.CONNECT, Step.HOURS, lines=2, api=True),
    AccountField("pause_reply", Section.CONNECT, Step.HOURS, lines=2),
    AccountField("attributes", Section.CONNECT, Step.ROUTE, lines=3, api=True),
    AccountField("when_uncertain", Section.BASICS, Step.HOURS, api=True),
    AccountField("redact", Section.BASICS, api=True),
)


def in_section(section: Section) -> list[str]:
    return [field.name for field in FIELDS if field.section is section]


def in_step(step: Step) -> list[AccountField]:
    return [field for field in FIELDS if field.step is step]


def in_api() -> list[str]:
    return [field.name for field in FIELDS if field.api]
