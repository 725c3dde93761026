"""X as it is set up for us: who the keys belong to, the app's webhook, the subscription.

Facts: docs.x.com, "Webhooks" (every endpoint takes the app's bearer token), "Account Activity API" (subscriptions take
the user's OAuth 1.0a), "OAuth 2.0 Application-Only".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from channels_app.declarations import Guide
from channels_app.errors import AuthFailed
from channels_app.platforms import x
from channels_app.toolkit.http import Http
from channels_app.toolkit.payloads import list_at, text_at
from channels_app.types import Checked

GUIDE = Guide(
    ready=(
        "A paid X developer account, and an app in it with “Read, write and direct messages”.",
        "The app's API key and secret, and an access token and secret of the account that customers write to.",
        "The account's numeric id.",
        "A public https address for Parley without a port: X takes no other.",
    ),
    paste="Nothing to paste: Parley registers this address with X, answers X's check and subscribes the account.",
    trap="X drops a webhook whose check failed. Tokens made before the app got direct messages must be made anew.",
)
_REGISTER = "Press “Register our address” in the step Webhook."


class Setup:
    """One account's side of X. `keys` are tweepy's four; `us` is the account's user id; `url` our webhook."""

    def __init__(self, http: Http, keys: dict[str, str], us: str, url: str) -> None:
        self._http, self._keys, self._us, self._url = http, keys, us, url

    def points(self) -> Mapping[str, Callable[[], Checked]]:
        return {
            "Credentials": self._credentials,
            "May read direct messages": self._may_read,
            "Webhook registered": self._webhook,
            "Account subscribed": self._subscription,
        }

    def register(self) -> str:
        """Register our address unless X has it, have X check it, subscribe the account."""
        webhook = self._our_webhook()
        if webhook is None:
            webhook = self._app("POST", "/2/webhooks", json={"url": self._url})
            webhook = webhook.get("data") or webhook
            done = "registered the address"
        else:
            self._app("PUT", f"/2/webhooks/{text_at(webhook, 'id')}")
            done = "had X check the address again"
        if not self._subscribed(text_at(webhook, "id")):
            self._user("POST", _all(text_at(webhook, "id")))
            done += ", subscribed the account"
        return f"Parley {done}."

    def _credentials(self) -> Checked:
        user = self._user("GET", "/2/users/me")
        user_id, name = text_at(user, "data", "id"), text_at(user, "data", "username")
        if user_id != self._us:
            fix = "Enter the user id that the access token belongs to, or the other account's token."
            return Checked(ok=False, said=f"The token belongs to @{name}.", fix=fix, ours=self._us, theirs=user_id)
        return Checked(ok=True, said=f"X knows the keys: they are @{name}'s.")

    def _may_read(self) -> Checked:
        self._user("GET", "/2/dm_events?" + urlencode({"max_results": 1, "event_types": "MessageCreate"}))
        return Checked(ok=True, said="X lists the account's direct messages.")

    def _webhook(self) -> Checked:
        hooks = list_at(self._app("GET", "/2/webhooks"), "data")
        ours = next((hook for hook in hooks if text_at(hook, "url") == self._url), None)
        if ours is None:
            theirs = ", ".join(text_at(hook, "url") for hook in hooks) or "none"
            return Checked(
                ok=False, said="X has no webhook with our address.", fix=_REGISTER, ours=self._url, theirs=theirs
            )
        if not ours.get("valid"):
            said = "X has our address, and calls it invalid: its last check was not answered as it should have been."
            return Checked(ok=False, said=said, fix=f"See that the address can be reached from outside. {_REGISTER}")
        return Checked(ok=True, said="X has our address and its check was answered.")

    def _subscription(self) -> Checked:
        hook = self._our_webhook()
        if hook is None or not self._subscribed(text_at(hook, "id")):
            return Checked(ok=False, said="The account's messages are not sent to our address.", fix=_REGISTER)
        return Checked(ok=True, said="X sends the account's messages to our address.")

    def _our_webhook(self) -> Any:
        hooks = list_at(self._app("GET", "/2/webhooks"), "data")
        return next((hook for hook in hooks if text_at(hook, "url") == self._url), None)

    def _subscribed(self, hook: str) -> bool:
        """Ask for Account Activity, then for X Activity: either brings direct messages."""
        if self._user("GET", _all(hook)).get("data", {}).get("subscribed"):
            return True
        rows = list_at(self._app("GET", "/2/activity/subscriptions"), "data")
        return any(
            text_at(row, "filter", "user_id") == self._us
            and text_at(row, "event_type") in ("dm.received", "chat.received")
            for row in rows
        )

    def _user(self, method: str, route: str) -> dict[str, Any]:
        with x.client(self._http, self._keys) as client:
            return _json(client.request(method, route, user_auth=True))

    def _app(self, method: str, route: str, json: Any = None) -> dict[str, Any]:
        with x.client(self._http, self._keys, self._bearer()) as client:
            return _json(client.request(method, route, json=json))

    def _bearer(self) -> str:
        """Get the app's own token for its key and secret: POST oauth2/token."""
        url, form = f"{x.API.addresses[0]}/oauth2/token", {"grant_type": "client_credentials"}
        keys = self._keys["consumer_key"], self._keys["consumer_secret"]
        answer = self._http.request("POST", url, data=form, auth=keys)
        token = text_at(_json(answer), "access_token") if answer.ok else ""
        if not token:
            raise AuthFailed("X does not know the API key and its secret", provider_code=str(answer.status_code))
        return token


def _all(hook: str) -> str:
    return f"/2/account_activity/webhooks/{hook}/subscriptions/all"


def _json(answer: Any) -> dict[str, Any]:
    try:
        body = answer.json()
    except (ValueError, AttributeError):
        return {}
    return body if isinstance(body, dict) else {}
