"""Addresses of the set-up, below /admin/channels/."""

from __future__ import annotations

from django.contrib import admin
from django.urls import path

from connect_bridge.setup import views

_inside = admin.site.admin_view
urlpatterns = [
    path("", _inside(views.channels_page), name="channels"),
    path("add/", _inside(views.add_page), name="channel-add"),
    path("<uuid:key>/check/", _inside(views.check_point), name="channel-check"),
    path("<uuid:key>/test/status/", _inside(views.test_status), name="channel-test-status"),
    path("<uuid:key>/pause/", _inside(views.pause), name="channel-pause"),
    path("<uuid:key>/drop/", _inside(views.drop_draft), name="channel-drop"),
    path("<uuid:key>/<slug:step>/", _inside(views.step_page), name="channel-step"),
]
