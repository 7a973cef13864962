"""The client for programs that do something else meanwhile (asyncio)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Any, TypeVar

import httpx

from . import _calls as calls
from . import _retry, models
from ._base import Base, stream_request
from ._calls import Call
from ._methods import async_method
from .errors import ConnectionFailed, from_response
from .events import Event, Reader

T = TypeVar("T")


class AsyncClient(Base):
    """One gateway, or a load balancer before several. May be used by several tasks; close it at the end.

    `retries` is how often a call is made again when it does no harm: after 503, 429 and lost connections.
    """

    def __init__(self, url: str, key: str, *, timeout: float = 30.0, retries: int = 4, **httpx_options: Any):
        super().__init__(url, key, timeout, retries)
        self._http = httpx.AsyncClient(**self._options(httpx_options))

    health = async_method(calls.health)
    channel_types = async_method(calls.channel_types)
    channels = async_method(calls.channels)
    configure_channel = async_method(calls.configure_channel)
    update_channel = async_method(calls.update_channel)
    delete_channel = async_method(calls.delete_channel)
    reload_channels = async_method(calls.reload_channels)
    test_channel = async_method(calls.test_channel)

    send = async_method(calls.send)
    reply = async_method(calls.reply)
    typing = async_method(calls.typing)
    edit_message = async_method(calls.edit_message)
    delete_message = async_method(calls.delete_message)
    react = async_method(calls.react)

    messages = async_method(calls.messages)
    message = async_method(calls.message)
    retry_message = async_method(calls.retry_message)

    create_job = async_method(calls.create_job)
    jobs = async_method(calls.jobs)
    replace_job = async_method(calls.replace_job)
    enable_job = async_method(calls.enable_job)
    delete_job = async_method(calls.delete_job)
    run_job = async_method(calls.run_job)
    job_history = async_method(calls.job_history)
    history = async_method(calls.history)

    wake = async_method(calls.wake)
    run_agent = async_method(calls.run_agent)

    create_key = async_method(calls.create_key)
    keys = async_method(calls.keys)
    key = async_method(calls.key)
    revoke_key = async_method(calls.revoke_key)

    async def run(self, call: Call[T]) -> T:
        """Makes a call, again where that is safe."""
        attempt = 0
        while True:
            try:
                response = await self._http.request(**self._request(call))
            except httpx.TransportError as error:
                wait = _retry.after_error(call, error, attempt, self.retries)
                if wait is None:
                    raise ConnectionFailed(f"{call.method} {call.path}: {error!r}") from error
            else:
                wait = _retry.after_answer(call, response, attempt, self.retries)
                if wait is None:
                    return self._read(call, response)
            await asyncio.sleep(wait)
            attempt += 1

    async def all_messages(self, user: str, **filters: Any) -> AsyncIterator[models.Message]:
        """Every message that fits, page after page; the filters are those of `messages`."""
        while True:
            page = await self.messages(user, **filters)
            for message in page["messages"]:
                yield message
            if not (cursor := page["next_cursor"]):
                return
            filters["cursor"] = cursor

    async def events(
        self, user: str | None = None, *, last_event_id: str | None = None, params: Mapping[str, Any] | None = None
    ) -> AsyncIterator[Event]:
        """A user's events as they happen (everybody's without a user), without end.

        Goes on by itself behind the last event when the connection breaks. To go on after a restart of yours, keep
        the `id` of the last one. `params` are further keys of the query, such as `types`.
        """
        reader, failures = Reader(last_event_id), 0
        while True:
            try:
                async with self._http.stream(**stream_request(user, reader.last_event_id, params)) as response:
                    if response.status_code >= 400:
                        await response.aread()
                        raise from_response(response)
                    failures = 0
                    async for line in response.aiter_lines():
                        if (event := reader.feed(line)) is not None:
                            yield event
                wait = reader.pause
            except Exception as error:
                wait = self._resume_after(error, reader, failures)
                failures += 1
            reader.reset()
            await asyncio.sleep(wait)

    async def download(self, media_url: str) -> bytes:
        """An attachment, by the `media_url` of a message. Its link is its own key, so ours is not sent along."""
        try:
            response = await self._http.send(self._media_request(self._http, media_url))
        except httpx.TransportError as error:
            raise ConnectionFailed(f"the attachment can't be fetched: {error!r}") from error
        return self._attachment(response)

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
