"""What reaches an agent without a person: wake-ups, tasks, and the hooks that other systems post to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import models
from .call import Call, again, get, given, never_again, once, path


def wake(
    user: str,
    text: str,
    *,
    mode: str | None = None,
    agent_id: str | None = None,
    channel: str | None = None,
    recipient: str | int | None = None,
    thread_id: str | int | None = None,
    metadata: Mapping[str, Any] | None = None,
    idempotency_key: str | None = None,
) -> Call[models.Woken]:
    """Tells an agent of something that happened: `now`, or with the `mode` `next_heartbeat` at the user's next one."""
    body = given(
        user_id=user, text=text, mode=mode, agent_id=agent_id, channel=channel, recipient=recipient,
        thread_id=thread_id, metadata=metadata,
    )  # fmt: skip
    return once("POST", "/hooks/wake", body, idempotency_key)


def run_agent(
    user: str,
    message: str,
    *,
    mode: str | None = None,
    agent_id: str | None = None,
    channel: str | None = None,
    recipient: str | int | None = None,
    thread_id: str | int | None = None,
    deliver: bool | None = None,
    timeout_secs: int | None = None,
    metadata: Mapping[str, Any] | None = None,
    idempotency_key: str | None = None,
) -> Call[models.Woken]:
    """Gives an agent a task. `deliver=False`: in the chat's session, but without an answer to the chat."""
    body = given(
        user_id=user, message=message, mode=mode, agent_id=agent_id, channel=channel, recipient=recipient,
        thread_id=thread_id, deliver=deliver, timeout_secs=timeout_secs, metadata=metadata,
    )  # fmt: skip
    return once("POST", "/hooks/agent", body, idempotency_key)


def user_settings(user: str) -> Call[models.UserSettings]:
    """A user's settings."""
    return get(path("api", "users", user, "settings"))


def set_user_settings(
    user: str,
    *,
    heartbeat_every_secs: int | None = None,
    alert_after: int | None = None,
    pause_after: int | None = None,
    alerts: Mapping[str, Any] | None = None,
    active_hours: Mapping[str, Any] | None = None,
    heartbeat: Mapping[str, Any] | None = None,
) -> Call[models.UserSettings]:
    """Sets all of them; `None`, or what is left out, is the default. `alerts` is a chat like
    `{"channel": ..., "recipient": ...}`, `active_hours` like `{"from": "08:00", "to": "22:00", "tz": "Europe/Berlin"}`,
    `heartbeat` like `{"text": ...}`."""
    body = {
        "heartbeat_every_secs": heartbeat_every_secs, "alert_after": alert_after, "pause_after": pause_after,
        "alerts": alerts, "active_hours": active_hours, "heartbeat": heartbeat,
    }  # fmt: skip
    return again("PUT", path("api", "users", user, "settings"), body)


def hooks(user: str, *, limit: int | None = None, cursor: str | None = None) -> Call[models.Hooks]:
    """A page of a user's hooks, by name; `cursor` is the `next_cursor` of the page before."""
    return get(path("api", "users", user, "hooks"), limit=limit, cursor=cursor)


def hook(user: str, name: str) -> Call[models.Hook]:
    """One hook, without its secret."""
    return get(_hook(user, name))


def create_hook(
    user: str,
    name: str,
    *,
    auth: str | None = None,
    secret: str | None = None,
    enabled: bool | None = None,
    agent_id: str | None = None,
    channel: str | None = None,
    recipient: str | int | None = None,
    thread_id: str | int | None = None,
    text_template: str | None = None,
    fields: Mapping[str, str] | None = None,
    idempotency_key: str | None = None,
) -> Call[models.CreatedHook]:
    """Makes a hook. Without a `secret` the gateway makes one and shows it this once; when the answer was lost and the
    call repeated, it is absent: take `renew_hook_secret`."""
    body = given(
        name=name, auth=auth, secret=secret, enabled=enabled, agent_id=agent_id, channel=channel, recipient=recipient,
        thread_id=thread_id, text_template=text_template, fields=fields,
    )  # fmt: skip
    return once("POST", path("api", "users", user, "hooks"), body, idempotency_key)


def update_hook(user: str, name: str, **changes: Any) -> Call[models.Hook]:
    """Changes what is named, with the names of `create_hook`; `None` takes an optional value away."""
    return again("PUT", _hook(user, name), changes)


def delete_hook(user: str, name: str) -> Call[dict[str, Any]]:
    """Deletes a hook; what it accepted still goes to the backend."""
    return never_again("DELETE", _hook(user, name))


def renew_hook_secret(user: str, name: str) -> Call[models.CreatedHook]:
    """Gives a hook another secret, shown this once; the old one is not good any more."""
    return again("POST", _hook(user, name, "secret"))


def test_hook(
    user: str,
    name: str,
    body: Any,
    *,
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    send: bool = False,
) -> Call[models.TestedHook]:
    """What the hook's templates make of a body; with `send`, the backend gets it."""
    asked = {"body": body, "send": send} | given(headers=headers, query=query)
    make = never_again if send else again
    return make("POST", _hook(user, name, "test"), asked)


def hook_deliveries(
    user: str, name: str, *, limit: int | None = None, cursor: int | None = None
) -> Call[models.HookDeliveries]:
    """A page of the last calls of a hook, newest first."""
    return get(_hook(user, name, "deliveries"), limit=limit, cursor=cursor)


def _hook(user: str, name: str, *segments: str) -> str:
    return path("api", "users", user, "hooks", name, *segments)
