"""What the sandbox pretends: accounts at the messengers, credentials that open nothing, and where everything is."""

from __future__ import annotations

import os
from collections.abc import Mapping

#: kind → (name, credentials). They are known to everybody who can read this, and valid only in the simulated world.
ACCOUNTS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "twitter": (
        "Acme on X",
        {
            "consumer_key": "sandboxConsumerKey0000000",
            "consumer_secret": "sandbox-consumer-secret-that-opens-nothing-0000000",
            "access_token": "1700000000000000001-sandboxAccessToken000000000",
            "access_token_secret": "sandbox-access-secret-that-opens-nothing-000",
            "user_id": "1700000000000000001",
        },
    ),
    "messenger": (
        "Acme on Messenger",
        {
            "app_secret": "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a",
            "page_id": "100000000000001",
            "page_access_token": "EAAsandboxPageAccessTokenThatOpensNothing",
            "verify_token": "sandbox-verify-token",
        },
    ),
    "whatsapp": (
        "Acme on WhatsApp",
        {
            "account_sid": "AC5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a",
            "auth_token": "5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b",
            "number": "+15550100100",
        },
    ),
}
LOGIN = "demo"
DATABASE = "parley_sandbox"
INSTANCE = "5a9d0b0c-0000-4000-8000-000000000001"
FLOW = "5a9d0b0c-0000-4000-8000-000000000002"
GREETING = "Thank you for writing to Acme. Somebody will be with you shortly."
GOODBYE = "This chat has ended. Write again whenever you like."
#: What PUT /world/flows/{FLOW} is given.
FLOW_BODY = {"greeting": GREETING, "disconnect_messages": [GOODBYE]}
#: The SDK's services that Parley calls, as the SDK spells them in AWS_ENDPOINT_URL_<SERVICE>.
SERVICES = ("CONNECT", "CONNECTPARTICIPANT", "COMPREHEND", "LEX_RUNTIME_V2")
#: Variables that would lead to real accounts, or mix the sandbox's tasks with a real Parley's.
LEFT_BEHIND = ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ROLE_ARN", "CELERY_BROKER_URL", "REDIS_URL", "CELERY_QUEUE")


def move_in(world: str, port: int, database_url: str) -> None:
    """Point this process' environment, and so its children's, at the simulated world: no real service is left."""
    ours = environment(world, port, database_url)
    for name in (*LEFT_BEHIND, *ours):
        os.environ.pop(name, None)
        os.environ.pop(f"{name}_FILE", None)
    os.environ.update(ours)
    os.environ.update(dict.fromkeys(("NO_PROXY", "no_proxy"), _without_proxy()))
    os.environ.setdefault("LOG_LEVEL", "WARNING")


def _without_proxy() -> str:
    """Return NO_PROXY with this machine in it: behind a company's proxy the simulated world is not to be sought."""
    listed = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    return ",".join(filter(None, [listed, "localhost", "127.0.0.0/8", "127.0.0.1", "::1"]))


def environment(world: str, port: int, database_url: str) -> dict[str, str]:
    """Return the variables that say where everything is in the sandbox."""
    amazon = dict.fromkeys(["AWS_ENDPOINT_URL", *(f"AWS_ENDPOINT_URL_{name}" for name in SERVICES)], world)
    return amazon | {
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "AKIASANDBOX000000000",
        "AWS_SECRET_ACCESS_KEY": "opens-nothing",
        "AWS_EC2_METADATA_DISABLED": "true",
        "TWILIO_API_BASE_URL": f"{world}/twilio",
        "GRAPH_API_BASE_URL": f"{world}/graph",
        "X_API_BASE_URL": f"{world}/x",
        "CONNECT_INSTANCE_ID": INSTANCE,
        "CONNECT_CONTACT_FLOW_ID": FLOW,
        "SENTIMENT_ENGINE": "simulated Comprehend (lexicon)",
        "SANDBOX_WORLD_URL": world,
        "PUBLIC_BASE_URL": f"http://127.0.0.1:{port}",
        "DATABASE_URL": database_url,
        "PORT": str(port),
    }
