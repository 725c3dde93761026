"""Where the dashboards are."""

from __future__ import annotations

from django.urls import path

from analytics.alerts import views as alertviews
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
    path("alerts/", alertviews.alerts, name="alerts"),
    path("alerts/new/", alertviews.alert, name="new-alert"),
    path("alerts/<uuid:rule>/", alertviews.alert, name="alert"),
    path("alerts/<uuid:rule>/mute/", alertviews.mute, name="mute-alert"),
    path("alerts/<uuid:rule>/delete/", alertviews.delete_alert, name="delete-alert"),
    path("reports/new/", alertviews.report, name="new-report"),
    path("reports/<uuid:report>/", alertviews.report, name="report"),
    path("reports/<uuid:report>/delete/", alertviews.delete_report, name="delete-report"),
    path("<slug:name>/", views.page, name="page"),
]
