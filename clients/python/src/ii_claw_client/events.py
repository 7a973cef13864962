"""What happens, as the gateway tells it: server-sent events, read line by line."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Event:
    """Something that happened."""

    #: Where to go on after it.
    id: str
    #: `message.sent`, `channel.failed`, ...
    type: str
    #: What the gateway says of it.
    data: dict[str, Any] = field(default_factory=dict)


class Reader:
    """Puts lines together to events (the HTML standard, section 9.2)."""

    def __init__(self, last_event_id: str | None):
        #: Where to go on when the connection breaks.
        self.last_event_id = last_event_id
        #: Seconds to wait before that.
        self.pause = 1.0
        self._reset()

    def _reset(self) -> None:
        """A half event of a broken connection is told again."""
        self._id: str | None = None
        self._type = ""
        self._data: list[str] = []

    reset = _reset

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
        self._reset()
        return event


def _object(text: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except ValueError:
        data = text
    return data if isinstance(data, dict) else {"data": data}
