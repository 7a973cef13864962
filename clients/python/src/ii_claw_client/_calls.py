"""Every call of the API, described once; both clients make their methods of these.

A call names its request and what of the answer is handed on. `repeatable` says that making it twice does what making it
once does, so that the clients may repeat it when no answer came.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, Final, Generic, TypeVar, cast
from urllib.parse import quote

from . import models
from .webhook import InboundMessage

T = TypeVar("T")


class Unset(Enum):
    """What `UNSET` is."""

    UNSET = "UNSET"


#: Leave it as it is; `None` means something of its own where this is the default.
UNSET: Final = Unset.UNSET


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request, and how its answer is read."""

    method: str
    path: str
    read: Callable[[Any], T]
    json: Mapping[str, Any] | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    repeatable: bool = False


def _path(*segments: str) -> str:
    return "/" + "/".join(quote(segment, safe="") for segment in segments)


def _given(**values: Any) -> dict[str, Any]:
    """Without what is absent."""
    return {name: _plain(value) for name, value in values.items() if value is not None and value is not UNSET}


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _all(answer: Any) -> Any:
    return answer


def _get(path: str, read: Callable[[Any], T], **params: Any) -> Call[T]:
    return Call("GET", path, read, params=_given(**params), repeatable=True)


def _once(method: str, path: str, body: Mapping[str, Any] | None, key: str | None) -> Call[Any]:
    """Something that must happen once, however often the request is made."""
    headers = {"Idempotency-Key": key or uuid.uuid4().hex}
    return Call(method, path, _all, json=body, headers=headers, repeatable=True)


# --- channels ------------------------------------------------------------------------------------------------------


def health() -> Call[models.Health]:
    """How the gateway is. Needs no key."""
    return _get("/api/health", _all)


def channel_types() -> Call[dict[str, Any]]:
    """The types of channels and their fields."""
    return _get("/api/channels", _all)


def channels(user: str, channel_type: str | None = None) -> Call[list[models.Channel]]:
    """A user's channels, oldest first."""
    return _get(_path("api", "users", user, "channels"), lambda answer: answer["channels"], channel_type=channel_type)


def configure_channel(
    user: str,
    instance: str,
    channel_type: str,
    fields: Mapping[str, Any],
    *,
    instance_name: str | None = None,
    agent_id: str | None = None,
) -> Call[models.Channel]:
    """Makes a channel, or replaces its fields."""
    body = _given(channel_type=channel_type, fields=fields, instance_name=instance_name, agent_id=agent_id)
    return Call("POST", _path("api", "users", user, "channels", instance, "configure"), _all, body, repeatable=True)


def update_channel(
    user: str,
    instance: str,
    *,
    instance_name: str | None = None,
    enabled: bool | None = None,
    agent_id: str | None | Unset = UNSET,
    fields: Mapping[str, Any] | None = None,
) -> Call[models.Channel]:
    """Changes what is given and nothing else: `fields` are merged, and `agent_id=None` unbinds the agent."""
    body = _given(instance_name=instance_name, enabled=enabled, fields=fields)
    if agent_id is not UNSET:
        body["agent_id"] = agent_id
    return Call("PUT", _path("api", "users", user, "channels", instance), _all, body, repeatable=True)


def delete_channel(user: str, instance: str) -> Call[models.DeletedChannel]:
    """Deletes a channel and its secrets."""
    return Call("DELETE", _path("api", "users", user, "channels", instance), _all)


def reload_channels(user: str) -> Call[models.Reloaded]:
    """Has the user's channels looked at again; one that failed is tried at once."""
    return Call("POST", _path("api", "users", user, "channels", "reload"), _all, repeatable=True)


def test_channel(user: str, instance: str) -> Call[models.Tested]:
    """Asks the platform whether the channel's credential works."""
    return Call("POST", _path("api", "users", user, "channels", instance, "test"), _all, repeatable=True)


# --- messages to people --------------------------------------------------------------------------------------------


def send(
    user: str,
    instance: str,
    recipient: str | int,
    message: str | None = None,
    *,
    image_url: str | None = None,
    file_url: str | None = None,
    filename: str | None = None,
    voice_url: str | None = None,
    video_url: str | None = None,
    caption: str | None = None,
    thread_id: str | int | None = None,
    idempotency_key: str | None = None,
    **more: Any,
) -> Call[models.Sent]:
    """Sends a message. When this returns, the message is safe: do not send it again.

    Without an `idempotency_key` a new one is taken, so that the call can be repeated when its answer is lost. `more`
    are further keys of the body, such as `buttons`.
    """
    body = _given(
        recipient=recipient, message=message, image_url=image_url, file_url=file_url, filename=filename,
        voice_url=voice_url, video_url=video_url, caption=caption, thread_id=thread_id, **more,
    )  # fmt: skip
    return _once("POST", _path("api", "users", user, "channels", instance, "send"), body, idempotency_key)


def reply(to: InboundMessage, message: str | None = None, **more: Any) -> Call[models.Sent]:
    """Sends an answer to where the message came from.

    The `webhook-id` is the key: a webhook that comes twice leads to one answer. Give further answers to the same
    message an `idempotency_key` of their own.
    """
    more.setdefault("idempotency_key", to.webhook_id)
    more.setdefault("thread_id", to.reply_to.thread_id)
    return send(to.user_id, to.instance_name, to.reply_to.recipient, message, **more)


def typing(
    user: str, instance: str, recipient: str | int, *, thread_id: str | int | None = None
) -> Call[dict[str, Any]]:
    """Shows the person for some seconds that an answer is being written."""
    body = _given(recipient=recipient, thread_id=thread_id)
    return Call("POST", _path("api", "users", user, "channels", instance, "typing"), _all, body, repeatable=True)


def edit_message(
    user: str,
    instance: str,
    message_id: str,
    message: str | None = None,
    *,
    recipient: str | int | None = None,
    thread_id: str | int | None = None,
    idempotency_key: str | None = None,
    **more: Any,
) -> Call[models.Sent]:
    """Changes a sent message. `message_id` is the gateway's id, or the platform's together with `recipient`."""
    path = _path("api", "users", user, "channels", instance, "messages", message_id)
    body = _given(message=message, recipient=recipient, thread_id=thread_id, **more)
    return _once("PATCH", path, body, idempotency_key)


def delete_message(
    user: str,
    instance: str,
    message_id: str,
    *,
    recipient: str | int | None = None,
    thread_id: str | int | None = None,
    idempotency_key: str | None = None,
) -> Call[models.Sent]:
    """Takes a sent message back."""
    path = _path("api", "users", user, "channels", instance, "messages", message_id)
    call = _once("DELETE", path, None, idempotency_key)
    return cast("Call[models.Sent]", _with_params(call, recipient=recipient, thread_id=thread_id))


def react(
    user: str,
    instance: str,
    message_id: str,
    emoji: str | None,
    *,
    recipient: str | int | None = None,
    thread_id: str | int | None = None,
    idempotency_key: str | None = None,
) -> Call[models.Sent]:
    """Reacts to a message; `None` takes the reaction away."""
    path = _path("api", "users", user, "channels", instance, "messages", message_id, "reaction")
    return _once("PUT", path, _given(emoji=emoji, recipient=recipient, thread_id=thread_id), idempotency_key)


def _with_params(call: Call[T], **params: Any) -> Call[T]:
    return Call(call.method, call.path, call.read, call.json, _given(**params), call.headers, call.repeatable)


# --- what became of messages ---------------------------------------------------------------------------------------


def messages(
    user: str,
    *,
    channel: str | None = None,
    conversation: str | None = None,
    direction: str | None = None,
    state: str | None = None,
    since: datetime | str | None = None,
    until: datetime | str | None = None,
    limit: int | None = None,
    cursor: str | None = None,
) -> Call[models.Messages]:
    """A page of a user's messages, newest first; `cursor` is the `next_cursor` of the page before."""
    return _get(
        _path("api", "users", user, "messages"), _all, channel=channel, conversation=conversation,
        direction=direction, state=state, since=since, until=until, limit=limit, cursor=cursor,
    )  # fmt: skip


def message(user: str, message_id: str) -> Call[models.Message]:
    """One message, with its body and attempts."""
    return _get(_path("api", "users", user, "messages", message_id), _all)


def retry_message(user: str, message_id: str) -> Call[models.Message]:
    """Has a message that ended without success worked on once more."""
    return Call("POST", _path("api", "users", user, "messages", message_id, "retry"), _all)


# --- scheduled jobs ------------------------------------------------------------------------------------------------


def _job(
    name: str,
    schedule: Mapping[str, Any],
    action: Mapping[str, Any],
    one_shot: bool,
    label: str | None,
    channel_type: Mapping[str, Any] | None,
    metadata: Mapping[str, Any] | None,
    enabled: bool | None,
) -> dict[str, Any]:
    return _given(
        name=name, schedule=schedule, action=action, one_shot=one_shot, label=label, channel_type=channel_type,
        metadata=metadata, enabled=enabled,
    )  # fmt: skip


def create_job(
    user: str,
    name: str,
    schedule: Mapping[str, Any],
    action: Mapping[str, Any],
    *,
    one_shot: bool = False,
    label: str | None = None,
    channel_type: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    idempotency_key: str | None = None,
) -> Call[models.CronJob]:
    """Makes a job: `schedule` is like `{"type": "cron", "expr": "0 9 * * 1-5"}`, `action` like
    `{"type": "channel_message", "channel": ..., "recipient": ..., "message": ...}`."""
    body = _job(name, schedule, action, one_shot, label, channel_type, metadata, None)
    return _once("POST", _path("api", "users", user, "cron", "jobs"), body, idempotency_key)


def jobs(user: str, label: str | None = None) -> Call[list[models.CronJob]]:
    """A user's jobs."""
    return _get(_path("api", "users", user, "cron", "jobs"), lambda answer: answer["jobs"], label=label)


def replace_job(
    user: str,
    job_id: str,
    name: str,
    schedule: Mapping[str, Any],
    action: Mapping[str, Any],
    *,
    enabled: bool,
    one_shot: bool = False,
    label: str | None = None,
    channel_type: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Call[models.CronJob]:
    """Replaces all of a job: what is left out is gone."""
    body = _job(name, schedule, action, one_shot, label, channel_type, metadata, enabled)
    return Call("PUT", _path("api", "users", user, "cron", "jobs", job_id), _all, body, repeatable=True)


def enable_job(user: str, job_id: str, enabled: bool = True) -> Call[models.CronJob]:
    """Switches a job on or off."""
    path = _path("api", "users", user, "cron", "jobs", job_id, "enable")
    return Call("PUT", path, _all, {"enabled": enabled}, repeatable=True)


def delete_job(user: str, job_id: str) -> Call[dict[str, Any]]:
    """Deletes a job."""
    return Call("DELETE", _path("api", "users", user, "cron", "jobs", job_id), _all)


def run_job(user: str, job_id: str) -> Call[models.RunNow]:
    """Runs a job now."""
    return Call("POST", _path("api", "users", user, "cron", "jobs", job_id, "test"), _all)


def job_history(user: str, job_id: str) -> Call[list[models.CronRun]]:
    """A job's runs, newest first."""
    return _get(_path("api", "users", user, "cron", "jobs", job_id, "history"), lambda answer: answer["runs"])


def history(user: str) -> Call[list[models.CronRun]]:
    """The runs of all of a user's jobs, newest first."""
    return _get(_path("api", "users", user, "cron", "history"), lambda answer: answer["runs"])


# --- waking agents -------------------------------------------------------------------------------------------------


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
    """Tells an agent of something that happened."""
    body = _given(
        user_id=user, text=text, mode=mode, agent_id=agent_id, channel=channel, recipient=recipient,
        thread_id=thread_id, metadata=metadata,
    )  # fmt: skip
    return _once("POST", "/hooks/wake", body, idempotency_key)


def run_agent(
    user: str,
    message: str,
    *,
    idempotency_key: str | None = None,
    **more: Any,
) -> Call[models.Woken]:
    """Gives an agent a task; `more` are further keys of the body, such as `channel`, `recipient`, `timeout_secs`."""
    return _once("POST", "/hooks/agent", _given(user_id=user, message=message, **more), idempotency_key)


# --- keys ----------------------------------------------------------------------------------------------------------


def create_key(
    name: str,
    *,
    user_id: str | None = None,
    scopes: Sequence[str] | None = None,
    expires_at: datetime | str | None = None,
    idempotency_key: str | None = None,
) -> Call[models.CreatedKey]:
    """Makes a key. It is shown this once; when the answer was lost on the way and the call repeated, `key` is absent:
    revoke that key and make another."""
    body = _given(name=name, user_id=user_id, scopes=scopes, expires_at=expires_at)
    return _once("POST", "/api/keys", body, idempotency_key)


def keys(*, limit: int | None = None, cursor: str | None = None) -> Call[models.Keys]:
    """A page of keys, newest first, without their secrets."""
    return _get("/api/keys", _all, limit=limit, cursor=cursor)


def key(key_id: str) -> Call[models.ApiKey]:
    """One key, without its secret."""
    return _get(_path("api", "keys", key_id), _all)


def revoke_key(key_id: str) -> Call[models.ApiKey]:
    """Takes a key back."""
    return Call("DELETE", _path("api", "keys", key_id), _all, repeatable=True)
