"""The webhook that the gateway posts: whether it is genuine, and what it says."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from .errors import WebhookError

#: Seconds that the time of a request may be off.
TOLERANCE = 300
#: `webhook-signature` (Standard Webhooks): covers the time, so nobody can play an old request back later.
STANDARD = "standard"
#: `X-Webhook-Signature`: covers the body alone.
SIMPLE = "simple"


def verify_webhook(
    body: bytes,
    headers: Mapping[str, str],
    secret: str,
    *,
    tolerance: float = TOLERANCE,
    schemes: Collection[str] = (STANDARD, SIMPLE),
    now: float | None = None,
) -> InboundMessage:
    """The message of a genuine webhook. `body` are the bytes as they arrived.

    A request that has the headers of Standard Webhooks must fit them; only one without them is judged by
    `X-Webhook-Signature`, which has no time in it. The gateway always sends both: with `schemes=["standard"]` an old
    request is refused even when somebody took those headers away.

    Raises `WebhookError` for anything else; answer that with 401.
    """
    given = {name.lower(): value for name, value in headers.items()}
    if STANDARD in schemes and "webhook-signature" in given:
        _check_standard(body, given, secret, tolerance, time.time() if now is None else now)
    elif SIMPLE in schemes and "x-webhook-signature" in given:
        _check_simple(body, given["x-webhook-signature"], secret)
    else:
        raise WebhookError("the request is not signed")
    return InboundMessage.parse(body, given)


def _check_simple(body: bytes, given: str, secret: str) -> None:
    wanted = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    if not _same(wanted, given):
        raise WebhookError("the signature is wrong")


def _check_standard(body: bytes, headers: Mapping[str, str], secret: str, tolerance: float, now: float) -> None:
    message_id, sent_at = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    signed = f"{message_id}.{sent_at}.".encode() + body
    mac = hmac.new(_standard_key(secret), signed, hashlib.sha256).digest()
    wanted = "v1," + base64.b64encode(mac).decode()
    # Every one is compared, so that the time taken tells nothing.
    if not any([_same(wanted, one) for one in headers["webhook-signature"].split(" ")]):
        raise WebhookError("the signature is wrong")
    # Only now the time is known to be the gateway's.
    if not message_id or not (sent_at.isascii() and sent_at.isdigit()):
        raise WebhookError("the request names no id or time")
    if abs(now - int(sent_at)) > tolerance:
        raise WebhookError("the request is too old, or a clock is wrong")


def _standard_key(secret: str) -> bytes:
    if not secret.startswith("whsec_"):
        return secret.encode()
    try:
        return base64.b64decode(secret[len("whsec_") :], validate=True)
    except binascii.Error as error:
        raise ValueError("the secret begins with whsec_, but what follows is not base64") from error


def _same(wanted: str, given: str) -> bool:
    return hmac.compare_digest(wanted.encode(), given.encode(errors="replace"))


@dataclass(frozen=True)
class Sender:
    """Who wrote: a person, never the chat."""

    platform_id: str
    display_name: str
    internal_user: str | None = None


@dataclass(frozen=True)
class ReplyTo:
    """Where the answer belongs; in a group it is the group, not the person."""

    channel: str
    recipient: str
    thread_id: str | None = None


@dataclass(frozen=True)
class InboundMessage:
    """What the gateway posts: a person's message, or a wake-up, a hook's event or a task, which no person wrote."""

    #: The message's id, the same at every attempt: remember it, a message may come twice.
    webhook_id: str
    user_id: str
    #: The channel's type; `hook` for what belongs to no chat.
    channel: str
    #: The channel's `instance`: the answer is sent there.
    instance_name: str
    #: `text`, `image`, ...; take one that you do not know as `other`.
    content_type: str
    is_group: bool
    #: Where the answer belongs; `None` when nobody waits for one.
    reply_to: ReplyTo | None = None
    sender: Sender | None = None
    agent_id: str | None = None
    platform_message_id: str | None = None
    text: str | None = None
    #: A link to the attachment, good for some hours.
    media_url: str | None = None
    media_filename: str | None = None
    media_duration_seconds: float | None = None
    thread_id: str | None = None
    timestamp: datetime | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    #: All of it, with what this class does not know.
    raw: dict[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def parse(cls, body: bytes, headers: Mapping[str, str]) -> InboundMessage:
        """Reads a request without asking whether it is genuine; names of headers in lower case."""
        try:
            raw = json.loads(body)
            sender, reply_to = raw.get("sender"), raw.get("reply_to")
            return cls(
                webhook_id=headers.get("webhook-id", ""),
                user_id=raw["user_id"],
                channel=raw["channel"],
                instance_name=raw["instance_name"],
                content_type=raw["content_type"],
                is_group=raw["is_group"],
                sender=sender and _sender(sender),
                reply_to=_reply_to(raw, reply_to, sender),
                agent_id=raw.get("agent_id"),
                platform_message_id=raw.get("platform_message_id"),
                text=raw.get("text"),
                media_url=raw.get("media_url"),
                media_filename=raw.get("media_filename"),
                media_duration_seconds=raw.get("media_duration_seconds"),
                thread_id=raw.get("thread_id"),
                timestamp=_time(raw.get("timestamp")),
                metadata=raw.get("metadata") or {},
                raw=raw,
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise WebhookError(f"the body is not a message: {error!r}") from error

    @property
    def session_key(self) -> str | None:
        """What the conversation is known by: stable, and a text on every platform."""
        names = ("thread_id", "message_thread_id", "channel_id", "chat_id")
        return next((self.metadata[name] for name in names if self.metadata.get(name) is not None), None)


def _sender(given: Mapping[str, Any]) -> Sender:
    return Sender(given["platform_id"], given.get("display_name") or "", given.get("internal_user"))


def _reply_to(
    raw: Mapping[str, Any], given: Mapping[str, Any] | None, sender: Mapping[str, Any] | None
) -> ReplyTo | None:
    if given:
        return ReplyTo(given.get("channel") or raw["channel"], given["recipient"], given.get("thread_id"))
    if sender:
        return ReplyTo(raw["channel"], sender["platform_id"], raw.get("thread_id"))
    return None


def _time(text: str | None) -> datetime | None:
    """RFC 3339 with up to nine decimals; Python before 3.11 reads three or six, none reads nine."""
    if not text:
        return None
    head, _, rest = text.replace("Z", "+00:00").partition(".")
    if not rest:
        return datetime.fromisoformat(head)
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    return datetime.fromisoformat(f"{head}.{digits[:6]:0<6}{rest[len(digits) :]}")
