"""Channels, and what is sent through them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import models
from ..errors import NobodyToAnswer
from ..webhook import InboundMessage
from .call import UNSET, Call, Unset, again, get, given, never_again, once, path


def health() -> Call[models.Health]:
    """How the gateway is. Needs no key."""
    return get("/api/health")


def channel_types() -> Call[dict[str, Any]]:
    """The types of channels and their fields."""
    return get("/api/channels")


def channels(user: str, channel_type: str | None = None) -> Call[list[models.Channel]]:
    """A user's channels, oldest first."""
    return get(path("api", "users", user, "channels"), lambda answer: answer["channels"], channel_type=channel_type)


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
    body = given(channel_type=channel_type, fields=fields, instance_name=instance_name, agent_id=agent_id)
    return again("POST", _channel(user, instance, "configure"), body)


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
    body = given(instance_name=instance_name, enabled=enabled, fields=fields)
    if agent_id is not UNSET:
        body["agent_id"] = agent_id
    return again("PUT", _channel(user, instance), body)


def delete_channel(user: str, instance: str) -> Call[models.DeletedChannel]:
    """Deletes a channel and its secrets."""
    return never_again("DELETE", _channel(user, instance))


def reload_channels(user: str) -> Call[models.Reloaded]:
    """Has the user's channels looked at again; one that failed is tried at once."""
    return again("POST", path("api", "users", user, "channels", "reload"))


def test_channel(user: str, instance: str) -> Call[models.Tested]:
    """Asks the platform whether the channel's credential works."""
    return again("POST", _channel(user, instance, "test"))


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
    body = given(
        recipient=recipient, message=message, image_url=image_url, file_url=file_url, filename=filename,
        voice_url=voice_url, video_url=video_url, caption=caption, thread_id=thread_id, **more,
    )  # fmt: skip
    return once("POST", _channel(user, instance, "send"), body, idempotency_key)


def reply(to: InboundMessage, message: str | None = None, **more: Any) -> Call[models.Sent]:
    """Sends an answer to where the message came from; `NobodyToAnswer` when its `reply_to` is `None`.

    The `webhook-id` is the key: a webhook that comes twice leads to one answer. Give further answers to the same
    message an `idempotency_key` of their own.
    """
    if to.reply_to is None:
        raise NobodyToAnswer(f"nobody waits for an answer to {to.webhook_id}: send one to a chat with `send`")
    more.setdefault("idempotency_key", to.webhook_id)
    more.setdefault("thread_id", to.reply_to.thread_id)
    return send(to.user_id, to.instance_name, to.reply_to.recipient, message, **more)


def typing(
    user: str, instance: str, recipient: str | int, *, thread_id: str | int | None = None
) -> Call[dict[str, Any]]:
    """Shows the person for some seconds that an answer is being written."""
    return again("POST", _channel(user, instance, "typing"), given(recipient=recipient, thread_id=thread_id))


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
    body = given(message=message, recipient=recipient, thread_id=thread_id, **more)
    return once("PATCH", _channel(user, instance, "messages", message_id), body, idempotency_key)


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
    where = _channel(user, instance, "messages", message_id)
    return once("DELETE", where, None, idempotency_key, recipient=recipient, thread_id=thread_id)


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
    body = given(emoji=emoji, recipient=recipient, thread_id=thread_id)
    return once("PUT", _channel(user, instance, "messages", message_id, "reaction"), body, idempotency_key)


def _channel(user: str, instance: str, *segments: str) -> str:
    return path("api", "users", user, "channels", instance, *segments)
