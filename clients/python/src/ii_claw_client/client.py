"""The client for programs that wait."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, TypeVar

import httpx

from . import _retry
from ._api import Api, entries
from ._calls.call import Call
from .errors import ApiError, ConnectionFailed
from .events import Event, Stream

T = TypeVar("T")


class Client(Api):
    """One gateway, or a load balancer before several. May be used by several threads; close it at the end.

    `retries` is how often a call is made again when it does no harm: after 503, 429 and lost connections.
    """

    def __init__(self, url: str, key: str, *, timeout: float = 30.0, retries: int = 4, **httpx_options: Any):
        super().__init__(url, key, timeout, retries)
        self._http = httpx.Client(**self._options(httpx_options))

    def run(self, call: Call[T]) -> T:
        """Makes a call, again where that is safe."""
        attempt = 0
        while True:
            outcome: httpx.Response | httpx.TransportError
            try:
                outcome = self._http.request(**self._request(call))
            except httpx.TransportError as error:
                outcome = error
            wait = _retry.wait(call, outcome, attempt, self.retries)
            if wait is None:
                return self._read(call, outcome)
            time.sleep(wait)
            attempt += 1

    def every(self, pages: Callable[..., Any], *args: Any, **filters: Any) -> Iterator[Any]:
        """Every entry of what comes in pages: `every(client.messages, "ada", direction="out")`."""
        while True:
            page = pages(*args, **filters)
            yield from entries(page)
            if page["next_cursor"] is None:
                return
            filters["cursor"] = page["next_cursor"]

    def events(
        self, user: str | None = None, *, last_event_id: str | None = None, params: Mapping[str, Any] | None = None
    ) -> Iterator[Event]:
        """A user's events as they happen (everybody's without a user), without end.

        Goes on by itself behind the last event when the connection breaks, and waits for a gateway that is away for as
        long as that takes; only a refusal ends it, as `ApiError`. To go on after a restart of yours, keep the `id` of
        the last one. `params` are further keys of the query, such as `types`.
        """
        stream = Stream(user, last_event_id, params)
        while True:
            broken: ApiError | httpx.TransportError | None = None
            try:
                with self._http.stream(**stream.request()) as response:
                    if response.is_error:
                        response.read()
                    stream.opened(response)
                    for chunk in response.iter_bytes():
                        yield from stream.feed(chunk)
            except (ApiError, httpx.TransportError) as error:
                broken = error
            time.sleep(stream.wait(broken))

    def download(self, media_url: str) -> bytes:
        """An attachment, by the `media_url` of a message. Its link is its own key, so ours is not sent along."""
        try:
            response = self._http.send(self._media_request(self._http, media_url))
        except httpx.TransportError as error:
            raise ConnectionFailed(f"the attachment can't be fetched: {error!r}") from error
        return self._attachment(response)

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
