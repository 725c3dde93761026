from __future__ import annotations

from django.urls import path

from connect_bridge.customer_page import views

app_name = "customers"

urlpatterns = [
    path("", views.index, name="index"),
    path("merges/<uuid:pk>/undo/", views.undo, name="undo"),
    path("<uuid:pk>/", views.page, name="page"),
    path("<uuid:pk>/join/", views.join, name="join"),
    path("<uuid:pk>/dismiss/", views.dismiss, name="dismiss"),
    path("<uuid:pk>/code/", views.code, name="code"),
    path("<uuid:pk>/export/", views.download, name="export"),
    path("<uuid:pk>/erase/", views.forget, name="erase"),
]
