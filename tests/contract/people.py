"""The people on the far side of a channel: how a test writes to the gateway and sees what it sent."""

import base64
import json
import random
import secrets
import string
import struct
import zlib

import httpx

from client import IIClawClient
from receiver import Request, ThirdParty, sign


class Mint:
    """Fresh secrets, remembered so that the end of a test can look for them in every answer."""

    def __init__(self):
        self.secrets: list[str] = []

    def _keep(self, secret: str) -> str:
        self.secrets.append(secret)
        return secret

    def bot_token(self) -> str:
        # The digits are the bot's public id; only the rest is secret.
        return f"{random.randint(10**8, 10**9 - 1)}:{self._keep(_letters(35))}"

    def discord_token(self) -> str:
        public_id = base64.b64encode(str(random.randint(10**17, 10**18 - 1)).encode()).decode()
        return f"{public_id}.G{_letters(5)}.{self._keep(_letters(38))}"

    def slack_token(self, prefix: str) -> str:
        return f"{prefix}-{self._keep(_letters(40, '-_'))}"

    def secret(self) -> str:
        return self._keep(secrets.token_hex(24))


def _letters(count: int, without: str = "") -> str:
    alphabet = [c for c in string.ascii_letters + string.digits + "_-" if c not in without]
    return "".join(secrets.choice(alphabet) for _ in range(count))


def unique(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(4)}"


class WebhookChannel:
    """A configured `webhook` channel and the third-party system that uses it."""

    def __init__(self, anonymous: IIClawClient, world: ThirdParty, channel: dict, secret: str, name: str):
        # The third party has no API key, so it calls the gateway without one.
        self.anonymous, self.world, self.secret, self.name = anonymous, world, secret, name
        self.id, self.slug = channel["id"], channel["instance_name_id"]
        self.person = unique("person")

    def post(self, raw: bytes, **headers: str) -> httpx.Response:
        headers = {"Content-Type": "application/json"} | headers
        return self.anonymous.request("POST", f"/webhooks/webhook/{self.id}", content=raw, headers=headers)

    def post_signed(self, raw: bytes) -> httpx.Response:
        return self.post(raw, **{"X-Webhook-Signature": sign(self.secret, raw)})

    def write(self, text: str | None, sender: dict | None = None, **more) -> httpx.Response:
        message = {"sender": sender or {"id": self.person, "name": "Ada Lovelace"}} | more
        if text is not None:
            message["text"] = text
        return self.post_signed(json.dumps(message).encode())

    def callbacks(self) -> list[Request]:
        return self.world.callbacks(self.name)

    def seen_by(self, recipient: str) -> list[str]:
        bodies = [c.body for c in self.callbacks()]
        return [b.get("text") for b in bodies if b["recipient"] == recipient]


class TelegramEmulator:
    """The control side of the Bot API emulator: acts for the people in the chats."""

    def __init__(self, url: str):
        self.url = url
        self._http = httpx.Client(base_url=url, timeout=30.0, trust_env=False)

    def control(self, action: str, **body) -> None:
        response = self._http.post(f"/control/{action}", json=body)
        assert response.status_code < 300, response.text

    def drop_next(self, token: str, method: str) -> None:
        """Carried out, but its answer never comes."""
        self.control("drop", token=token, method=method, times=1)

    def revoke(self, token: str, revoked: bool = True) -> None:
        self.control("revoke", token=token, revoked=revoked)

    def sent(self, token: str, chat_id: int) -> list[dict]:
        response = self._http.get("/control/sent", params={"token": token, "chat_id": chat_id})
        assert response.status_code == 200, response.text
        return response.json()["messages"]


class TelegramChannel:
    """A configured `telegram` channel, one person's chat with its bot, and one group."""

    def __init__(self, emulator: TelegramEmulator, user: str, slug: str, token: str):
        self.emulator, self.user, self.slug, self.token = emulator, user, slug, token
        self.person = random.randint(10**8, 10**9 - 1)
        self.group = -random.randint(10**12, 2 * 10**12)

    def write(self, text: str, user_id: int | None = None) -> None:
        self._message(text, user_id or self.person, user_id or self.person, "private", None)

    def write_in_group(self, text: str, title: str = "deep_research") -> None:
        """A command, because what does not address the bot is not for it."""
        self._message(f"/ask {text}", self.group, self.person, "supergroup", title)

    def _message(self, text, chat_id, user_id, chat_type, chat_title):
        self.emulator.control(
            "message", token=self.token, chat_id=chat_id, user_id=user_id, first_name="Grace",
            text=text, chat_type=chat_type, chat_title=chat_title,
        )

    def photo(self, content: bytes, caption: str) -> None:
        encoded = base64.b64encode(content).decode()
        self.emulator.control("photo", token=self.token, chat_id=self.person, caption=caption, content_base64=encoded)

    def voice(self, content: bytes, duration: int) -> None:
        self.emulator.control(
            "voice", token=self.token, chat_id=self.person, duration=duration,
            content_base64=base64.b64encode(content).decode(), mime_type="audio/ogg",
        )

    def sent(self, chat_id: int | None = None) -> list[dict]:
        return self.emulator.sent(self.token, chat_id or self.person)

    def seen_by(self, chat_id: int | str) -> list[str]:
        return [m.get("text") for m in self.sent(int(chat_id))]


def png() -> bytes:
    """A whole, tiny picture, different each time."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    pixels = b"".join(b"\0" + secrets.token_bytes(24) for _ in range(8))
    header = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")


def ogg() -> bytes:
    return b"OggS\0\2" + secrets.token_bytes(4000)
