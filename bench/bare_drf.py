"""The comparison: a Django REST Framework view as tutorials write it, doing the same durable work and nothing more."""

from __future__ import annotations

import hashlib
import hmac
import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import django

django.setup()

from django.core.asgi import get_asgi_application
from django.db import connection, models
from django.urls import path
from rest_framework import permissions, serializers, views
from rest_framework.request import Request
from rest_framework.response import Response

from config import urls

SECRET = b"bench-app-secret"


class Bare(models.Model):
    key = models.CharField(max_length=255, unique=True)
    body = models.JSONField()
    objects: models.Manager[Bare]

    class Meta:
        app_label = "bench"
        db_table = "bench_bare"

    def __str__(self) -> str:
        return self.key


class BareSerializer(serializers.Serializer[Bare]):
    object = serializers.CharField()
    entry = serializers.ListField(child=serializers.DictField())


class BareView(views.APIView):
    authentication_classes: list[type] = []
    permission_classes = [permissions.AllowAny]

    def get(self, _request: Request) -> Response:
        return Response({})

    def post(self, request: Request) -> Response:
        digest = hmac.new(SECRET, request.body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(f"sha256={digest}", request.headers.get("X-Hub-Signature-256", "")):
            return Response({"error": "bad_signature"}, status=401)
        payload = BareSerializer(data=request.data)
        payload.is_valid(raise_exception=True)
        key = payload.validated_data["entry"][0]["messaging"][0]["message"]["mid"]
        Bare.objects.bulk_create([Bare(key=key, body=request.data)], ignore_conflicts=True)
        return Response({"status": "accepted"})


if "bench_bare" not in connection.introspection.table_names():
    with connection.schema_editor() as editor:
        editor.create_model(Bare)
urls.urlpatterns.append(path("bare/", BareView.as_view()))
application = get_asgi_application()
