"""A DynamoDB on this machine: moto's, over HTTP, and a table in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from moto.server import ThreadedMotoServer

from connect_bridge.projection import copy
from connect_bridge.projection.dynamodb import Table

TABLE = "parley-messages"


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    """Give the address of a DynamoDB in this process."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def dynamo(moto: str, monkeypatch: pytest.MonkeyPatch, settings: Any) -> str:
    """Give the address of a DynamoDB without a table, to which settings point."""
    requests.post(f"{moto}/moto-api/reset", timeout=30)
    for name, value in surroundings(moto).items():
        monkeypatch.setenv(name, value)
    settings.DYNAMODB_TABLE = TABLE
    return moto


def surroundings(url: str) -> dict[str, str]:
    """Return the variables that lead a process there."""
    return {
        "AWS_ENDPOINT_URL_DYNAMODB": url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "DYNAMODB_TABLE": TABLE,
    }


@pytest.fixture
def table(dynamo: str, transactional_db: None) -> Table:
    """Give the table, with changes being noted."""
    made = Table()
    made.create()
    with copy.switched_on():
        return made


def copied(table: Table) -> int:
    """Catch up; return how many messages were copied."""
    with copy.switched_on() as connection:
        return copy.catch_up(connection, table)


def items(table: Table) -> list[dict[str, dict[str, str]]]:
    return [item for page in table.scan() for item in page]
