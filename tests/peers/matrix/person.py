"""Somebody who writes to the bot with a Matrix client of their own: the client-server API, and nothing of ii-claw's."""

import json
import time
from urllib.parse import quote

from homeserver import Homeserver

PATIENCE = 40
# Synapse tells ten events of a room at once, if nobody asks for more.
FILTER = json.dumps({"room": {"timeline": {"limit": 1000}}})


class Person:
    def __init__(self, homeserver: Homeserver, name: str, shown: str):
        self.homeserver = homeserver
        self.id, self.token = homeserver.register(name, shown)
        self._since = None
        self._count = 0
        # Everything that this person's client was told, in order.
        self.seen: list[dict] = []

    def call(self, method: str, path: str, body=None, query=None, **more):
        return self.homeserver.call(method, f"_matrix/{path}", self.token, body, query, **more)

    def make_room(self, *invited: str, **more) -> str:
        body = {"preset": "trusted_private_chat" if more.get("is_direct") else "private_chat", "invite": invited}
        return self.call("POST", "client/v3/createRoom", body | more)["room_id"]

    def join(self, room: str) -> None:
        self.call("POST", f"client/v3/join/{quote(room)}", {})

    def put(self, room: str, kind: str, content: dict) -> str:
        self._count += 1
        path = f"client/v3/rooms/{quote(room)}/send/{kind}/{self._count}"
        return self.call("PUT", path, content)["event_id"]

    def say(self, room: str, body: str, **more) -> str:
        return self.put(room, "m.room.message", {"msgtype": "m.text", "body": body, "m.mentions": {}} | more)

    def redact(self, room: str, event: str) -> None:
        self._count += 1
        self.call("PUT", f"client/v3/rooms/{quote(room)}/redact/{quote(event)}/{self._count}", {})

    def upload(self, content: bytes, kind: str) -> str:
        return self.call("POST", "media/v3/upload", content, kind=kind)["content_uri"]

    def download(self, mxc: str) -> bytes:
        return self.call("GET", f"client/v1/media/download/{mxc.removeprefix('mxc://')}")

    def look(self, hold: int = 1_000) -> None:
        """Takes what is new."""
        query = {"timeout": hold, "filter": FILTER} | ({"since": self._since} if self._since else {})
        told = self.call("GET", "client/v3/sync", query=query)
        self._since = told["next_batch"]
        for room, joined in told.get("rooms", {}).get("join", {}).items():
            for part in ("timeline", "ephemeral"):
                self.seen += [event | {"room_id": room} for event in joined[part]["events"]]

    def sees(self, what: str, found, since: int = 0) -> dict:
        """Waits for an event of which `found` holds, behind the first `since` that were seen."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            event = next((event for event in self.seen[since:] if found(event)), None)
            if event:
                return event
            self.look()
        told = "\n".join(f"  {event['type']} {event.get('content')}" for event in self.seen[since:])
        raise AssertionError(f"{self.id} does not see {what}, but:\n{told}")

    def sees_text(self, room: str, body: str, since: int = 0) -> dict:
        return self.sees(f"{body!r}", lambda event: event["room_id"] == room and event["content"].get("body") == body, since)
