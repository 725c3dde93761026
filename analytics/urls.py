"""Where the dashboards are."""

from __future__ import annotations

from django.urls import path

from analytics import exports, saved, views

app_name = "dashboards"
urlpatterns = [
    path("", views.overview, name="overview"),
    path("parts/", views.parts, name="parts"),
    path("views/", saved.save, name="save-view"),
    path("views/<uuid:view>/delete/", saved.delete, name="delete-view"),
    path("export/tile/<slug:key>.csv", exports.tile, name="export-tile"),
    path("export/rows/<slug:what>.csv", exports.rows, name="export-rows"),
    path("chat/<uuid:contact>/", views.chat, name="chat"),
    path("<slug:name>/", views.page, name="page"),
]
