"""The client for programs that wait."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, TypeVar

import httpx

from . import _calls as calls
from . import _retry, models
from ._base import Base, stream_request
from ._calls import Call
from ._methods import method
from .errors import ConnectionFailed, from_response
from .events import Event, Reader

T = TypeVar("T")


class Client(Base):
    """One gateway, or a load balancer before several. May be used by several threads; close it at the end.

    `retries` is how often a call is made again when it does no harm: after 503, 429 and lost connections.
    """

    def __init__(self, url: str, key: str, *, timeout: float = 30.0, retries: int = 4, **httpx_options: Any):
        super().__init__(url, key, timeout, retries)
        self._http = httpx.Client(**self._options(httpx_options))

    health = method(calls.health)
    channel_types = method(calls.channel_types)
    channels = method(calls.channels)
    configure_channel = method(calls.configure_channel)
    update_channel = method(calls.update_channel)
    delete_channel = method(calls.delete_channel)
    reload_channels = method(calls.reload_channels)
    test_channel = method(calls.test_channel)

    send = method(calls.send)
    reply = method(calls.reply)
    typing = method(calls.typing)
    edit_message = method(calls.edit_message)
    delete_message = method(calls.delete_message)
    react = method(calls.react)

    messages = method(calls.messages)
    message = method(calls.message)
    retry_message = method(calls.retry_message)

    create_job = method(calls.create_job)
    jobs = method(calls.jobs)
    replace_job = method(calls.replace_job)
    enable_job = method(calls.enable_job)
    delete_job = method(calls.delete_job)
    run_job = method(calls.run_job)
    job_history = method(calls.job_history)
    history = method(calls.history)

    wake = method(calls.wake)
    run_agent = method(calls.run_agent)

    create_key = method(calls.create_key)
    keys = method(calls.keys)
    key = method(calls.key)
    revoke_key = method(calls.revoke_key)

    def run(self, call: Call[T]) -> T:
        """Makes a call, again where that is safe."""
        attempt = 0
        while True:
            try:
                response = self._http.request(**self._request(call))
            except httpx.TransportError as error:
                wait = _retry.after_error(call, error, attempt, self.retries)
                if wait is None:
                    raise ConnectionFailed(f"{call.method} {call.path}: {error!r}") from error
            else:
                wait = _retry.after_answer(call, response, attempt, self.retries)
                if wait is None:
                    return self._read(call, response)
            time.sleep(wait)
            attempt += 1

    def all_messages(self, user: str, **filters: Any) -> Iterator[models.Message]:
        """Every message that fits, page after page; the filters are those of `messages`."""
        while True:
            page = self.messages(user, **filters)
            yield from page["messages"]
            if not (cursor := page["next_cursor"]):
                return
            filters["cursor"] = cursor

    def events(
        self, user: str | None = None, *, last_event_id: str | None = None, params: Mapping[str, Any] | None = None
    ) -> Iterator[Event]:
        """A user's events as they happen (everybody's without a user), without end.

        Goes on by itself behind the last event when the connection breaks. To go on after a restart of yours, keep
        the `id` of the last one. `params` are further keys of the query, such as `types`.
        """
        reader, failures = Reader(last_event_id), 0
        while True:
            try:
                with self._http.stream(**stream_request(user, reader.last_event_id, params)) as response:
                    if response.status_code >= 400:
                        response.read()
                        raise from_response(response)
                    failures = 0
                    for line in response.iter_lines():
                        if (event := reader.feed(line)) is not None:
                            yield event
                wait = reader.pause
            except Exception as error:
                wait = self._resume_after(error, reader, failures)
                failures += 1
            reader.reset()
            time.sleep(wait)

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
