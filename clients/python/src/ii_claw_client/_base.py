"""What both clients have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import quote, urljoin

import httpx

from ._calls import Call
from .errors import ApiError, ConnectionFailed, IIClawError, from_response
from .events import Reader

T = TypeVar("T")

#: A stream on which nothing was heard for so long is dead: the gateway sends a comment more often.
SILENCE = 60.0


class Base:
    """Where the gateway is, and how its answers are read."""

    def __init__(self, url: str, key: str, timeout: float, retries: int):
        self.url = url.rstrip("/")
        self.retries = retries
        self._timeout = timeout
        self._key = key

    def _options(self, given: Mapping[str, Any]) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._key}"} | dict(given.get("headers") or {})
        return {"timeout": self._timeout, **given, "base_url": self.url, "headers": headers}

    def _request(self, call: Call[Any]) -> dict[str, Any]:
        return {
            "method": call.method,
            "url": call.path,
            "json": call.json,
            "params": call.params,
            "headers": call.headers,
        }

    def _read(self, call: Call[T], response: httpx.Response) -> T:
        if response.status_code >= 400:
            raise from_response(response)
        try:
            return call.read(response.json())
        except (ValueError, KeyError, TypeError) as error:
            raise IIClawError(f"{call.method} {call.path}: not an answer of the gateway: {error!r}") from error

    def _resume_after(self, error: Exception, reader: Reader, failures: int) -> float:
        """How long to wait before a stream is opened again; raises what it can't be opened after."""
        if isinstance(error, ApiError):
            passing = error.status == 429 or error.status >= 500
            if not passing or failures >= self.retries:
                raise error
            return max(error.retry_after or 0.0, reader.pause)
        if not isinstance(error, httpx.TransportError):
            raise error
        if failures >= self.retries:
            raise ConnectionFailed(f"the stream of events can't be opened: {error!r}") from error
        return reader.pause * 2.0**failures

    def _media_request(self, http: httpx.Client | httpx.AsyncClient, media_url: str) -> httpx.Request:
        request = http.build_request("GET", urljoin(self.url + "/", media_url))
        del request.headers["Authorization"]
        return request

    def _attachment(self, response: httpx.Response) -> bytes:
        if response.status_code >= 400:
            raise from_response(response)
        return response.content


def stream_request(user: str | None, last_event_id: str | None, params: Mapping[str, Any] | None) -> dict[str, Any]:
    """The request of a stream of events."""
    path = "/api/events" if user is None else f"/api/users/{quote(user, safe='')}/events"
    headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last_event_id} if last_event_id else {})
    return {
        "method": "GET",
        "url": path,
        "params": params,
        "headers": headers,
        "timeout": httpx.Timeout(30.0, read=SILENCE),
    }
