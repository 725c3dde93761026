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
    one, other = IdentityFactory(), IdentityFactory()
    low, high = sorted((one.home_id, other.home_id))
    Merge.objects.create(low_id=low, high_id=high, method="person", made_at=one.created_at, undone_at=one.created_at)
    make_link_code(one.home_id, one.pk, by="ana")
    Consent.objects.create(identity=one, purpose="marketing", granted=True, source="api", at=one.created_at)
