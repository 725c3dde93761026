from __future__ import annotations

from typing import Any

from django.test import Client

from customers.codes import make_link_code
from customers.models import Consent, Merge
from tests.factories import IdentityFactory

NOBODY = "0e4f2a11-0000-4000-8000-000000000000"


def post(api: Client, path: str, **body: Any) -> Any:
    return api.post(f"/api/v1/{path}/", body, content_type="application/json")


def patch(api: Client, path: str, **body: Any) -> Any:
    return api.patch(f"/api/v1/{path}/", body, content_type="application/json")


def rows(api: Client, name: str, **parameters: object) -> list[dict[str, Any]]:
    answer = api.get(f"/api/v1/{name}/", parameters)
    assert answer.status_code == 200, answer.content
    return answer.json()["results"]


def one_of_each() -> None:
    identity, other = IdentityFactory(), IdentityFactory()
    low, high = sorted((identity.home_id, other.home_id))
    Merge.objects.create(
        low_id=low, high_id=high, method="person", made_at=identity.created_at, undone_at=identity.created_at
    )
    make_link_code(identity.home_id, identity.pk, by="ana")
    Consent.objects.create(identity=identity, purpose="marketing", granted=True, source="api", at=identity.created_at)
