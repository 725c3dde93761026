"""Addresses of the event log, below /admin/events/."""

from __future__ import annotations

from django.contrib import admin
from django.urls import path

from connect_bridge.event_log import actions, views

_inside = admin.site.admin_view
urlpatterns = [
    path("", _inside(views.events_page), name="events"),
    path("failures/", _inside(views.failures_page), name="event-failures"),
    path("retry/", _inside(actions.retry_page), name="event-retry"),
    path("reprocess/", _inside(actions.reprocess_page), name="event-reprocess"),
    path("webhook/<uuid:key>/", _inside(views.webhook_page), name="event-webhook"),
    path("send/<uuid:key>/", _inside(views.send_page), name="event-send"),
]
