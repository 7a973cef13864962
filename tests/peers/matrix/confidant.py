"""Somebody who writes to the bot in encrypted rooms, with a client that others wrote: matrix-nio (https://github.com/matrix-nio/matrix-nio)."""

import asyncio
import io
import time
from urllib.parse import quote

import nio
from homeserver import Homeserver
from nio.crypto.attachments import decrypt_attachment
from person import PATIENCE


class Confidant:
    def __init__(self, homeserver: Homeserver, name: str, shown: str, folder: str):
        self.homeserver = homeserver
        self.id, self.token = homeserver.register(name, shown)
        self.device = self.call("GET", "client/v3/account/whoami")["device_id"]
        self.seen: list[nio.Event] = []
        self._loop = asyncio.new_event_loop()
        self._client = self._loop.run_until_complete(self._open(folder))
        self.look(0)

    async def _open(self, folder: str) -> nio.AsyncClient:
        config = nio.AsyncClientConfig(encryption_enabled=True, store_sync_tokens=False)
        client = nio.AsyncClient(self.homeserver.url, self.id, self.device, store_path=folder, config=config)
        client.restore_login(self.id, self.device, self.token)
        client.add_event_callback(lambda room, event: self._note(room, event), nio.Event)
        return client

    def _note(self, room: nio.MatrixRoom, event: nio.Event) -> None:
        event.room_id = room.room_id
        self.seen.append(event)

    def close(self) -> None:
        self._loop.run_until_complete(self._client.close())
        self._loop.close()

    def call(self, method: str, path: str, body=None, query=None):
        return self.homeserver.call(method, f"_matrix/{path}", self.token, body, query)

    def make_room(self, *invited: str, **encryption) -> str:
        content = {"algorithm": "m.megolm.v1.aes-sha2"} | encryption
        state = [{"type": "m.room.encryption", "state_key": "", "content": content}]
        body = {"preset": "private_chat", "invite": invited, "initial_state": state}
        return self.call("POST", "client/v3/createRoom", body)["room_id"]

    def join(self, room: str) -> None:
        self.call("POST", f"client/v3/join/{quote(room)}", {})

    def leave(self, room: str) -> None:
        self.call("POST", f"client/v3/rooms/{quote(room)}/leave", {})

    def put(self, room: str, kind: str, content: dict) -> str:
        async def send():
            return await self._client.room_send(room, kind, content, ignore_unverified_devices=True)

        sent = self._loop.run_until_complete(send())
        assert isinstance(sent, nio.RoomSendResponse), sent
        return sent.event_id

    def say(self, room: str, body: str, **more) -> str:
        return self.put(room, "m.room.message", {"msgtype": "m.text", "body": body, "m.mentions": {}} | more)

    def upload(self, content: bytes, kind: str) -> dict:
        """Encrypts and uploads an attachment; what a message says of it."""
        async def upload():
            return await self._client.upload(io.BytesIO(content), kind, "a", encrypt=True, filesize=len(content))

        uploaded, about = self._loop.run_until_complete(upload())
        return about | {"url": uploaded.content_uri}

    def download(self, file: dict) -> bytes:
        sealed = self.call("GET", f"client/v1/media/download/{file['url'].removeprefix('mxc://')}")
        return decrypt_attachment(sealed, file["key"]["k"], file["hashes"]["sha256"], file["iv"])

    def look(self, hold: int = 1_000) -> None:
        """Takes what is new, and does with keys what it asks for."""
        async def once():
            told = await self._client.sync(timeout=hold, full_state=False)
            assert isinstance(told, nio.SyncResponse), told
            if self._client.should_upload_keys:
                await self._client.keys_upload()
            if self._client.should_query_keys:
                await self._client.keys_query()
            await self._client.send_to_device_messages()

        self._loop.run_until_complete(once())

    def sees(self, what: str, found, since: int = 0) -> dict:
        """Waits for an event that could be read and of which `found` holds; its content, with `event_id` and `room_id`."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            for event in self.seen[since:]:
                content = event.source.get("content", {}) | {"event_id": event.event_id, "room_id": event.room_id}
                if not isinstance(event, nio.MegolmEvent) and found(content):
                    return content
            self.look()
        told = "\n".join(f"  {event.source}" for event in self.seen[since:])
        raise AssertionError(f"{self.id} does not see {what}, but:\n{told}")

    def sees_text(self, room: str, body: str, since: int = 0) -> dict:
        return self.sees(f"{body!r}", lambda said: said["room_id"] == room and said.get("body") == body, since)

    def written(self, room: str, by: str) -> list[dict]:
        """What somebody wrote in a room, as the homeserver has it."""
        query = {"dir": "b", "limit": 1000}
        told = self.call("GET", f"client/v3/rooms/{quote(room)}/messages", query=query)
        return [event for event in reversed(told["chunk"]) if event["sender"] == by and "state_key" not in event]
