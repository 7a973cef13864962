"""The client for programs that do something else meanwhile (asyncio)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from types import TracebackType
from typing import Any, TypeVar

import httpx

from . import _retry
from ._api import Api, entries
from ._calls.call import Call
from .errors import ApiError, ConnectionFailed
from .events import Event, Stream

T = TypeVar("T")


class AsyncClient(Api):
    """One gateway, or a load balancer before several. May be used by several tasks; close it at the end.

    `retries` is how often a call is made again when it does no harm: after 503, 429 and lost connections.
    """

    def __init__(self, url: str, key: str, *, timeout: float = 30.0, retries: int = 4, **httpx_options: Any):
        super().__init__(url, key, timeout, retries)
        self._http = httpx.AsyncClient(**self._options(httpx_options))

    async def run(self, call: Call[T]) -> T:
        """As `Client.run`."""
        attempt = 0
        while True:
            outcome: httpx.Response | httpx.TransportError
            try:
                outcome = await self._http.request(**self._request(call))
            except httpx.TransportError as error:
                outcome = error
            wait = _retry.wait(call, outcome, attempt, self.retries)
            if wait is None:
                return self._read(call, outcome)
            await asyncio.sleep(wait)
            attempt += 1

    async def every(self, pages: Callable[..., Any], *args: Any, **filters: Any) -> AsyncIterator[Any]:
        """As `Client.every`."""
        while True:
            page = await pages(*args, **filters)
            for entry in entries(page):
                yield entry
            if page["next_cursor"] is None:
                return
            filters["cursor"] = page["next_cursor"]

    async def events(
        self, user: str | None = None, *, last_event_id: str | None = None, params: Mapping[str, Any] | None = None
    ) -> AsyncIterator[Event]:
        """As `Client.events`."""
        stream = Stream(user, last_event_id, params)
        while True:
            broken: ApiError | httpx.TransportError | None = None
            try:
                async with self._http.stream(**stream.request()) as response:
                    if response.is_error:
                        await response.aread()
                    stream.opened(response)
                    async for chunk in response.aiter_bytes():
                        for event in stream.feed(chunk):
                            yield event
            except (ApiError, httpx.TransportError) as error:
                broken = error
            await asyncio.sleep(stream.wait(broken))

    async def download(self, media_url: str) -> bytes:
        """As `Client.download`."""
        try:
            response = await self._http.send(self._media_request(self._http, media_url))
        except httpx.TransportError as error:
            raise ConnectionFailed(f"the attachment can't be fetched: {error!r}") from error
        return self._attachment(response)

    async def close(self) -> None:
        """As `Client.close`."""
        await self._http.aclose()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
