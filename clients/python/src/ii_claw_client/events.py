"""What happens, as the gateway tells it: server-sent events, read line by line."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx

from . import _retry
from .errors import ApiError, ConnectionFailed, IIClawError, from_response

#: A stream on which nothing was heard for so many seconds is dead: the gateway sends a comment more often.
SILENCE = 60.0
#: Longest wait, in seconds, before a stream is opened again, unless the gateway asks for a longer one.
LONGEST = 60.0


@dataclass(frozen=True)
class Event:
    """Something that happened."""

    #: Where to go on after it.
    id: str
    #: `message.sent`, `channel.failed`, ...
    type: str
    #: What the gateway says of it.
    data: dict[str, Any] = field(default_factory=dict)


class Stream:
    """A stream of events over however many connections it takes. Knows no sockets: a client makes the requests and
    hands over what comes."""

    def __init__(self, user: str | None, last_event_id: str | None, params: Mapping[str, Any] | None):
        self._path = "/api/events" if user is None else f"/api/users/{quote(user, safe='')}/events"
        self._params = params
        self._reader = Reader(last_event_id)
        self._lines = Lines()
        self._failures = 0

    def request(self) -> dict[str, Any]:
        """The next request; it goes on behind the last event."""
        last = self._reader.last_event_id
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last} if last else {})
        timeout = httpx.Timeout(30.0, read=SILENCE)
        return {"method": "GET", "url": self._path, "params": self._params, "headers": headers, "timeout": timeout}

    def opened(self, response: httpx.Response) -> None:
        """The answer has begun; the body of a refusal has been read."""
        if response.is_error:
            raise from_response(response)
        kind = response.headers.get("content-type", "")
        if response.status_code != 200 or not kind.startswith("text/event-stream"):
            raise IIClawError(f"GET {self._path}: not a stream of events: {response.status_code}, {kind or 'no type'}")
        self._failures = 0
        self._lines = Lines()
        self._reader.reset()

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that these bytes complete."""
        found = [self._reader.feed(line) for line in self._lines.feed(chunk)]
        return [event for event in found if event is not None]

    def wait(self, error: ApiError | httpx.TransportError | None) -> float:
        """Seconds until the next request, after this one ended; raises what would end each of them."""
        if error is None:
            return self._reader.pause
        if isinstance(error, ApiError) and error.status != 429 and error.status < 500:
            raise error
        if isinstance(error, httpx.TransportError) and _retry.hopeless(error):
            raise ConnectionFailed(f"the stream of events can't be opened: {error!r}") from error
        asked = (error.retry_after if isinstance(error, ApiError) else None) or 0.0
        wait = _retry.backoff(self._failures, first=self._reader.pause, longest=LONGEST)
        self._failures += 1
        return max(asked, wait)


class Lines:
    """Cuts bytes into lines at CR LF, LF and CR, and at nothing else: what people call their channels may hold other
    characters that Unicode takes for the end of a line."""

    def __init__(self) -> None:
        self._rest = b""
        # A line feed may be the second half of a line's end that came in two chunks.
        self._after_cr = False

    def feed(self, chunk: bytes) -> list[str]:
        """The lines that these bytes complete."""
        if self._after_cr and chunk:
            chunk = chunk.removeprefix(b"\n")
            self._after_cr = False
        if not chunk:
            return []
        self._after_cr = chunk.endswith(b"\r")
        *lines, self._rest = re.split(rb"\r\n|\n|\r", self._rest + chunk)
        return [line.decode(errors="replace") for line in lines]


class Reader:
    """Puts lines together to events (the HTML standard, section 9.2)."""

    def __init__(self, last_event_id: str | None):
        #: Where to go on when the connection breaks.
        self.last_event_id = last_event_id
        #: Seconds to wait before that.
        self.pause = 1.0
        self.reset()

    def reset(self) -> None:
        """Forgets the half event of a broken connection: it is told again."""
        self._id: str | None = None
        self._type = ""
        self._data: list[str] = []

    def feed(self, line: str) -> Event | None:
        """The event that this line completes."""
        if not line:
            return self._complete()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._type = value
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and value.isascii() and value.isdigit():
            self.pause = int(value) / 1000
        return None

    def _complete(self) -> Event | None:
        # An id without data says where the stream stands.
        if self._id is not None:
            self.last_event_id = self._id
        text, kind = "\n".join(self._data), self._type
        event = None
        if self._data:
            data = _object(text)
            event = Event(self.last_event_id or "", kind or str(data.get("type") or "message"), data)
        self.reset()
        return event


def _object(text: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except ValueError:
        data = text
    return data if isinstance(data, dict) else {"data": data}
