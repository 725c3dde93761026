from __future__ import annotations

from django.urls import path

from connect_bridge.customer_page import actions, views

app_name = "customers"

urlpatterns = [
    path("", views.index, name="index"),
    path("merges/<uuid:pk>/undo/", actions.undo, name="undo"),
    path("<uuid:pk>/", views.page, name="page"),
    path("<uuid:pk>/join/", actions.join, name="join"),
    path("<uuid:pk>/dismiss/", actions.dismiss, name="dismiss"),
    path("<uuid:pk>/code/", actions.code, name="code"),
    path("<uuid:pk>/export/", actions.download, name="export"),
    path("<uuid:pk>/erase/", actions.erase_customer, name="erase"),
]
