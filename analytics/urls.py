"""Where the dashboards are."""

from __future__ import annotations

from django.urls import path

import analytics.alerts.views as alert_views
from analytics.dashboards import exports, saved_views, views

app_name = "dashboards"
urlpatterns = [
    path("", views.overview, name="overview"),
    path("parts/", views.parts, name="parts"),
    path("views/", saved_views.save, name="save-view"),
    path("views/<uuid:view>/delete/", saved_views.delete, name="delete-view"),
    path("export/tile/<slug:key>.csv", exports.tile, name="export-tile"),
    path("export/rows/<slug:what>.csv", exports.rows, name="export-rows"),
    path("chat/<uuid:contact>/", views.chat, name="chat"),
    path("alerts/", alert_views.alerts, name="alerts"),
    path("alerts/new/", alert_views.alert, name="new-alert"),
    path("alerts/<uuid:rule>/", alert_views.alert, name="alert"),
    path("alerts/<uuid:rule>/mute/", alert_views.mute, name="mute-alert"),
    path("alerts/<uuid:rule>/delete/", alert_views.delete_alert, name="delete-alert"),
    path("reports/new/", alert_views.report, name="new-report"),
    path("reports/<uuid:report>/", alert_views.report, name="report"),
    path("reports/<uuid:report>/delete/", alert_views.delete_report, name="delete-report"),
    path("<slug:name>/", views.page, name="page"),
]
