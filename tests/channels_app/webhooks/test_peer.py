from __future__ import annotations

import pytest
from django.test import RequestFactory

from channels_app.webhooks.views import _raw_request


@pytest.fixture
def _proxied(settings):
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")


def test_without_a_proxy_nobody_is_believed_about_whom_they_speak_for(settings):
    settings.SECURE_PROXY_SSL_HEADER = None
    request = RequestFactory().get("/webhooks/x/y/", headers={"x-forwarded-for": "203.0.113.9"})
    assert _raw_request(request).peer == "127.0.0.1"


@pytest.mark.usefixtures("_proxied")
def test_behind_a_proxy_only_what_the_proxy_itself_wrote_counts():
    request = RequestFactory().get("/webhooks/x/y/", headers={"x-forwarded-for": "10.0.0.1, 203.0.113.9"})
    assert _raw_request(request).peer == "203.0.113.9"
