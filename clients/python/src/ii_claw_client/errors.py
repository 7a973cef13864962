"""What can go wrong. Everything that this package raises by itself is an `IIClawError`."""

from __future__ import annotations

from typing import Any

import httpx


class IIClawError(Exception):
    """Any failure of this package."""


class ConnectionFailed(IIClawError):
    """No gateway answered. What the call asked for may have been done all the same, unless it was repeated under an
    idempotency key."""


class WebhookError(IIClawError):
    """A request that did not come from the gateway, or is too old. Answer it with 401."""


class NobodyToAnswer(IIClawError):
    """A reply to a message whose `reply_to` is `None`: a wake-up, say, or a task whose answer is not for a chat."""


class ApiError(IIClawError):
    """The gateway refused. The attributes are the problem's (RFC 9457)."""

    def __init__(
        self,
        status: int,
        title: str,
        detail: str,
        type: str = "about:blank",
        body: dict[str, Any] | None = None,
        retry_after: float | None = None,
    ):
        super().__init__(f"{status} {title}: {detail}")
        self.status = status
        self.title = title
        #: One sentence that says what to change.
        self.detail = detail
        #: What kind of problem: `/problems/...`.
        self.type = type
        #: The whole answer.
        self.body = body or {}
        #: Seconds after which to try again, where the gateway says so.
        self.retry_after = retry_after

    @property
    def message_id(self) -> str | None:
        """The message that it is about: of a send that was stored and then refused by the platform."""
        return self.body.get("id")


class BadRequest(ApiError):
    """400: the request itself is wrong."""


class Unauthorized(ApiError):
    """401: no key, or a wrong one."""


class Forbidden(ApiError):
    """403: the key is not good for this."""


class NotFound(ApiError):
    """404: it is not there."""


class Conflict(ApiError):
    """409: right in itself, but not in the present state."""


class Refused(ApiError):
    """422: the platform refused it for good, or the idempotency key came with another body before."""


class TooManyRequests(ApiError):
    """429: wait for `retry_after`."""


class ServerError(ApiError):
    """5xx: the gateway, its database or the platform."""


class Unavailable(ServerError):
    """503: the gateway can't reach its database. What the call asked for may or may not have been done."""


_BY_STATUS: dict[int, type[ApiError]] = {
    400: BadRequest, 401: Unauthorized, 403: Forbidden, 404: NotFound, 409: Conflict, 422: Refused,
    429: TooManyRequests, 503: Unavailable,
}  # fmt: skip


def from_response(response: httpx.Response) -> ApiError:
    """The error of an answer of 400 or more. Its body has been read."""
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        # Not the gateway, but something before it.
        body = {"detail": response.text[:200]}
    status = response.status_code
    kind = _BY_STATUS.get(status, ServerError if status >= 500 else ApiError)
    return kind(
        status,
        title=str(body.get("title") or response.reason_phrase),
        detail=str(body.get("detail") or body.get("error") or ""),
        type=str(body.get("type") or "about:blank"),
        body=body,
        retry_after=retry_after(response),
    )


def retry_after(response: httpx.Response) -> float | None:
    """The header of that name, in seconds; dates are not used by the gateway."""
    text = response.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() else None
