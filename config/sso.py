"""The companies' directories by which people may sign in, from the environment."""

from __future__ import annotations

import json
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from config.env import Env


def providers(env: Env) -> dict[str, Any]:
    """Return allauth's SOCIALACCOUNT_PROVIDERS: OpenID Connect and SAML, each if it is configured."""
    apps: dict[str, Any] = {}
    if server := env.str("OIDC_SERVER_URL", ""):
        app = {
            "provider_id": "company",
            "name": env.str("OIDC_NAME", "Company sign-in"),
            "client_id": env.str("OIDC_CLIENT_ID"),
            "secret": env.str("OIDC_CLIENT_SECRET"),
            "settings": {"server_url": server, "oauth_pkce_enabled": True},
        }
        apps["openid_connect"] = {
            "APPS": [app],
            "SCOPE": env.list("OIDC_SCOPE", default=["openid", "profile", "email"]),
        }
    if metadata := env.str("SAML_METADATA_URL", ""):
        app = {
            "provider_id": env.str("SAML_ENTITY_ID"),
            "name": env.str("SAML_NAME", "Company sign-in"),
            "client_id": "company",
            "settings": {
                "idp": {"entity_id": env.str("SAML_ENTITY_ID"), "metadata_url": metadata},
                "attribute_mapping": _attributes(env),
                "advanced": {"want_assertion_signed": True, "reject_deprecated_algorithm": True},
            },
        }
        apps["saml"] = {"APPS": [app]}
    return apps


def groups(env: Env) -> dict[str, str]:
    """Return which group of the directory means which group here: SSO_GROUPS, a JSON object."""
    text = env.str("SSO_GROUPS", "") or "{}"
    try:
        mapping = json.loads(text)
    except ValueError:
        mapping = None
    if not isinstance(mapping, dict) or not all(isinstance(name, str) for name in mapping.values()):
        raise ImproperlyConfigured(
            'SSO_GROUPS is no JSON object of names, as in {"contact-centre-leads": "Supervisor"}'
        )
    return mapping


def _attributes(env: Env) -> dict[str, str]:
    """AWS IAM Identity Center lets one choose the names: give it these, or say here how it calls them."""
    return {
        "uid": env.str("SAML_UID_ATTRIBUTE", "uid"),
        "email": env.str("SAML_EMAIL_ATTRIBUTE", "email"),
        "first_name": env.str("SAML_FIRST_NAME_ATTRIBUTE", "first_name"),
        "last_name": env.str("SAML_LAST_NAME_ATTRIBUTE", "last_name"),
    }
