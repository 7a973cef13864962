"""Talks to an ii-claw gateway: its REST API, its events, and the webhooks that it posts."""

from ._calls.call import UNSET
from .async_client import AsyncClient
from .client import Client
from .errors import (
    ApiError,
    BadRequest,
    Conflict,
    ConnectionFailed,
    Forbidden,
    IIClawError,
    NobodyToAnswer,
    NotFound,
    Refused,
    ServerError,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    WebhookError,
)
from .events import Event
from .webhook import InboundMessage, ReplyTo, Sender, verify_webhook

__all__ = [
    "UNSET",
    "ApiError",
    "AsyncClient",
    "BadRequest",
    "Client",
    "Conflict",
    "ConnectionFailed",
    "Event",
    "Forbidden",
    "IIClawError",
    "InboundMessage",
    "NobodyToAnswer",
    "NotFound",
    "Refused",
    "ReplyTo",
    "Sender",
    "ServerError",
    "TooManyRequests",
    "Unauthorized",
    "Unavailable",
    "WebhookError",
    "verify_webhook",
]
