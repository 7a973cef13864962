"""Two small HTTP servers: the backend's webhook receiver, and a third-party system (callbacks and files).

Both keep the raw bytes of what they got, because a signature is over bytes, not over parsed JSON.
"""

import base64
import hashlib
import hmac
import json
import threading
from collections import defaultdict, deque
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

INBOUND_PATH = "/ii-claw/webhook/inbound"
PROCESSING = {"immediate_reply": "Processing...", "async_processing": True}


def sign(secret: str, body: bytes) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def standard_signature(secret: str, message_id: str, timestamp: str, body: bytes) -> str:
    """Standard Webhooks: `v1,` and the base64 HMAC of "{id}.{timestamp}.{body}"."""
    key = base64.b64decode(secret[len("whsec_"):]) if secret.startswith("whsec_") else secret.encode()
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]  # lower-case names
    raw: bytes

    @property
    def body(self) -> dict:
        return json.loads(self.raw)

    def is_signed_with(self, secret: str) -> bool:
        given = self.headers.get("x-webhook-signature", "")
        return hmac.compare_digest(given.encode(), sign(secret, self.raw).encode())

    def has_standard_signature(self, secret: str) -> bool:
        message_id = self.headers.get("webhook-id", "")
        timestamp = self.headers.get("webhook-timestamp", "")
        expected = standard_signature(secret, message_id, timestamp, self.raw)
        return bool(message_id) and expected in self.headers.get("webhook-signature", "").split(" ")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and content leave together

    def _handle(self):
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, self.path, headers, self._read_body())
        status, content_type, content, *more = self.server.owner.answer(request)
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(content)))
        for name, value in more[0].items() if more else ():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_HEAD = do_POST = do_PUT = _handle

    def _read_body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", "").lower():
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(chunks)

    def log_message(self, *args):
        pass


class _Httpd(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


class _Server:
    """Listens on 127.0.0.1 from construction to `stop`."""

    def __init__(self, port: int):
        self._lock = threading.Lock()
        self._requests: list[Request] = []
        self._httpd = _Httpd(("127.0.0.1", port), _Handler)
        self._httpd.owner = self
        self.url = f"http://127.0.0.1:{self._httpd.server_port}"
        threading.Thread(target=self._httpd.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._httpd.shutdown()
        self._httpd.server_close()

    def requests(self) -> list[Request]:
        with self._lock:
            return list(self._requests)

    def answer(self, request: Request) -> tuple[int, str, bytes] | tuple[int, str, bytes, dict[str, str]]:
        """Status, content type, content, and further headers if any."""
        raise NotImplementedError


class Receiver(_Server):
    """The backend's side of the webhook. What it answers can be set for each user."""

    def __init__(self, port: int, secret: str):
        self.secret = secret
        self._usual: dict[str, tuple[int, dict]] = {}
        self._next: dict[str, deque] = defaultdict(deque)
        super().__init__(port)

    def answer_with(self, user: str, body: dict, status: int = 200) -> None:
        """From now on."""
        with self._lock:
            self._usual[user] = (status, body)

    def answer_next_with(self, user: str, body: dict, status: int) -> None:
        """To the next request only; calls add up."""
        with self._lock:
            self._next[user].append((status, body))

    def attempts(self, user: str) -> list[Request]:
        """Every well-signed delivery for this user, oldest first, whatever it was answered."""
        good = [r for r in self.requests() if r.is_signed_with(self.secret)]
        return [r for r in good if r.body.get("user_id") == user]

    def badly_signed(self) -> list[Request]:
        return [r for r in self.requests() if not r.is_signed_with(self.secret)]

    def answer(self, request):
        if request.method != "POST" or request.path != INBOUND_PATH:
            return _json(404, {"detail": "not here"})
        with self._lock:
            self._requests.append(request)
        if not request.is_signed_with(self.secret):
            return _json(401, {"detail": "bad signature"})
        user = request.body.get("user_id")
        with self._lock:
            planned = self._next[user].popleft() if self._next[user] else None
            status, body = planned or self._usual.get(user, (200, PROCESSING))
        return _json(status, body)


class ThirdParty(_Server):
    """Takes the callbacks of `webhook` channels and serves files to be sent."""

    def __init__(self):
        self._files: dict[str, tuple[str, bytes]] = {}
        self._refusals: dict[str, deque] = defaultdict(deque)
        self._held: dict[str, threading.Event] = {}
        super().__init__(0)

    def callback_url(self, name: str) -> str:
        return f"{self.url}/callback/{name}"

    def callbacks(self, name: str) -> list[Request]:
        return [r for r in self.requests() if r.path == f"/callback/{name}"]

    def refuse_next(self, name: str, status: int, **headers: str) -> None:
        """The next callback of this name; calls add up."""
        with self._lock:
            self._refusals[f"/callback/{name}"].append((status, headers))

    @contextmanager
    def holding(self, name: str):
        """Callbacks of this name are not answered before the block ends."""
        with self._lock:
            end = self._held[f"/callback/{name}"] = threading.Event()
        try:
            yield
        finally:
            end.set()

    def serve(self, name: str, content_type: str, content: bytes) -> str:
        with self._lock:
            self._files[f"/files/{name}"] = (content_type, content)
        return f"{self.url}/files/{name}"

    def answer(self, request):
        with self._lock:
            self._requests.append(request)
            file, held = self._files.get(request.path), self._held.get(request.path)
            refusal = self._refusals[request.path].popleft() if self._refusals.get(request.path) else None
        if held:
            held.wait(30)
        if refusal:
            status, headers = refusal
            return *_json(status, {"ok": False}), {name.replace("_", "-"): value for name, value in headers.items()}
        if file:
            return 200, *file
        if request.method == "POST" and request.path.startswith("/callback/"):
            return _json(200, {"ok": True})
        return _json(404, {"detail": "not here"})


def _json(status: int, body: dict) -> tuple[int, str, bytes]:
    return status, "application/json", json.dumps(body).encode()
