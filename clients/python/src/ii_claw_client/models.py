"""What the gateway answers, as types.

The answers are plain dictionaries: what a newer gateway adds is simply there, and no type stands in its way. Keys that
are not always there are in the `...Extra` classes.
"""

from __future__ import annotations

from typing import Any, TypedDict


class Channel(TypedDict):
    """A user's connection to a platform."""

    id: str
    #: The `instance` of the calls; never changes.
    instance_name_id: str
    instance_name: str
    channel_type: str
    #: `running`, `configured` (meant to run, but does not at the moment) or `stopped` (switched off).
    status: str
    #: The fields that are not secret.
    config_json: dict[str, Any]
    enabled: bool
    #: Empty when none.
    agent_id: str
    created_at: str
    state: str
    last_error: str | None
    last_inbound_at: str | None
    owner: str | None
    webhook_path: str


class DeletedChannel(TypedDict):
    status: str
    id: str
    instance_name_id: str


class Reloaded(TypedDict):
    status: str
    channels: int


class Tested(TypedDict):
    """What the platform said about a channel's credential."""

    #: `ok` or `error`.
    status: str
    account: str | None
    details: dict[str, Any]
    error: str | None
    duration_ms: int


class Health(TypedDict):
    #: `ok` or `degraded`.
    status: str
    version: str
    database: bool
    nats: bool


class SentExtra(TypedDict, total=False):
    platform_message_id: str | None
    platform_message_ids: list[str] | None
    #: Why it is not certain.
    detail: str | None
    #: Whether the call repeats an earlier one.
    duplicate: bool | None
    #: What the platform does not have, and what happens instead.
    degraded: list[dict[str, Any]] | None


class Sent(SentExtra):
    """A message that is safe: do not send it again."""

    id: str
    #: `sent`, `queued` or `uncertain`.
    status: str


class CronJob(TypedDict):
    id: str
    name: str
    label: str | None
    enabled: bool
    #: `every`, `cron` or `at`.
    schedule_type: str
    schedule: dict[str, Any]
    #: `channel_message` or `assistant_task`.
    action_type: str
    action: dict[str, Any]
    one_shot: bool
    channel_type: dict[str, Any] | None
    metadata: dict[str, Any] | None
    created_at: str
    updated_at: str


class CronRun(TypedDict):
    id: str
    job_id: str
    #: `running`, `ok`, `error` or `timeout`.
    status: str
    started_at: str
    finished_at: str | None
    duration_ms: int | None
    error_message: str | None
    action_type: str
    schedule_type: str
    metadata: dict[str, Any] | None


class RunNowExtra(TypedDict, total=False):
    message: str | None
    error: str | None


class RunNow(RunNowExtra):
    """A run that was asked for."""

    #: `ok` or `error`.
    status: str
    id: str
    name: str
    action_type: str
    enabled: bool


class ApiKey(TypedDict):
    """A key without its secret."""

    id: str
    name: str
    user_id: str | None
    scopes: list[str]
    created_by: str
    created_at: str
    expires_at: str | None
    revoked_at: str | None
    last_used_at: str | None


class CreatedKeyExtra(TypedDict, total=False):
    #: The key itself, shown this once. Absent when the call repeats an earlier one.
    key: str
    duplicate: bool


class CreatedKey(ApiKey, CreatedKeyExtra):
    """A new key."""


class Keys(TypedDict):
    keys: list[ApiKey]
    next_cursor: str | None


class Message(TypedDict, total=False):
    """What became of a message, in either direction."""

    id: str
    user_id: str
    #: `in` or `out`.
    direction: str
    channel: dict[str, Any]
    conversation: str
    recipient: str | None
    text: str | None
    content_type: str | None
    state: str
    attempts: int
    error: str | None
    platform_message_ids: list[str]
    accepted_at: str
    finished_at: str | None


class Messages(TypedDict):
    messages: list[Message]
    next_cursor: str | None


class Woken(TypedDict, total=False):
    """Something that the backend will hear of."""

    id: str
    status: str
