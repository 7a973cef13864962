"""The two sides that a drill looks from: people who write, and the backend that must hear all of it."""

import hashlib
import hmac
import json
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from servers import Failed

USER, CHANNEL, SECRET = "drill", "hook_1", "a-secret-of-the-channel"
CHATS = 20


def sign(secret: str, body: bytes) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


class Backend:
    """Takes webhooks, and what is sent to people; refuses what is not signed. `away` has it answer 503."""

    def __init__(self, secret: str, listen: str = "127.0.0.1"):
        self.secret, self.away = secret, False
        self.heard: dict[str, list[int]] = {}
        self.ids: dict[str, str] = {}
        # Messages that came once more, and of those the ones under another id.
        self.again = self.renamed = 0
        self.sent: list[str] = []
        self.lock = threading.Lock()
        backend = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(backend.take(self.path, self.headers, body))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_) -> None:
                pass

        self.server = ThreadingHTTPServer((listen, 0), Handler)
        self.port = self.server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, path: str, headers, body: bytes) -> int:
        secret = SECRET if path == "/callback" else self.secret
        if not hmac.compare_digest(headers.get("X-Webhook-Signature", ""), sign(secret, body)):
            return 401
        try:
            message = json.loads(body)
            text = message["text"]
        except (ValueError, KeyError):
            # Signed, and no message: the doctor asks so whether signatures are looked at.
            return 400
        with self.lock:
            if path == "/callback":
                self.sent.append(text)
            elif self.away:
                return 503
            else:
                chat, number = text.split("/")
                seen = self.heard.setdefault(chat, [])
                name = self.ids.setdefault(text, headers["webhook-id"])
                if int(number) in seen:
                    self.again += 1
                    self.renamed += name != headers["webhook-id"]
                else:
                    seen.append(int(number))
        return 204

    def count(self) -> int:
        with self.lock:
            return sum(map(len, self.heard.values()))

    def out_of_order(self) -> int:
        with self.lock:
            return sum(a > b for seen in self.heard.values() for a, b in zip(seen, seen[1:]))


class People:
    """Writes numbered messages to the gateway, and knows which of them it accepted."""

    def __init__(self, gateway: str, api_key: str):
        self.gateway, self.api_key = gateway, api_key
        self.channel = ""
        self.numbers = [0] * CHATS
        self.accepted: list[tuple[str, int]] = []

    def call(self, method: str, path: str, body: dict | None = None) -> dict:
        request = urllib.request.Request(
            self.gateway + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.api_key}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise Failed(f"{method} {path}: {error.code} {error.read().decode()}") from error

    def configure(self, callback: str | None = None) -> None:
        fields = {"secret_env": SECRET} | ({"callback_url": callback} if callback else {})
        body = {"channel_type": "webhook", "fields": fields}
        self.channel = self.call("POST", f"/api/users/{USER}/channels/{CHANNEL}/configure", body)["id"]

    def write(self, count: int) -> None:
        """`count` messages, in turn from each chat; all must be accepted."""
        for at in range(count):
            chat = at % CHATS
            self.numbers[chat] += 1
            text = f"chat-{chat}/{self.numbers[chat]}"
            if (status := self.post(f"chat-{chat}", text)) != 200:
                raise Failed(f"message {text} was answered with {status}")
            self.accepted.append((f"chat-{chat}", self.numbers[chat]))

    def post(self, chat: str, text: str) -> int:
        body = json.dumps({"sender": {"id": chat}, "text": text, "message_id": text}).encode()
        request = urllib.request.Request(
            f"{self.gateway}/webhooks/webhook/{self.channel}",
            data=body,
            headers={"X-Webhook-Signature": sign(SECRET, body)},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def send(self, text: str) -> str:
        """A message to a person; the state that it is answered with."""
        path = f"/api/users/{USER}/channels/{CHANNEL}/send"
        return self.call("POST", path, {"recipient": "chat-0", "message": text})["status"]
