"""The other side of a `webhook` channel: a third party that takes callbacks, and servers that misbehave."""

import hashlib
import hmac
import json
import secrets
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

PICTURE = b"\x89PNG\r\n\x1a\n a picture"


def unique(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(4)}"


def eventually(ask, timeout: float = 20.0, what: str = "the expected event"):
    """The first true answer of `ask`, or a failure at the deadline."""
    deadline = time.monotonic() + timeout
    while not (answer := ask()):
        assert time.monotonic() < deadline, f"{what} did not happen within {timeout} s"
        time.sleep(0.05)
    return answer


def assert_fits(answer: dict, model: type) -> None:
    """An answer has the keys that its type says, and the type has all of them."""
    assert model.__required_keys__ <= answer.keys(), f"{model.__name__} promises more than {answer}"
    unknown = answer.keys() - model.__required_keys__ - model.__optional_keys__
    assert not unknown, f"{model.__name__} lacks {unknown}"


class Server:
    """Listens on 127.0.0.1 from construction to `stop`; `handle` answers with status, headers, body."""

    def __init__(self):
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                owner.handle(self, body)

            do_GET = do_POST = do_PUT = do_DELETE = answer

            def reply(self, status: int, body: bytes, kind: str = "application/json", **headers: str) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                self.wfile.write(body)

            def hang_up(self) -> None:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)

            def log_message(self, *args):
                pass

        self._httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._httpd.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._httpd.server_port}"
        threading.Thread(target=self._httpd.serve_forever, daemon=True).start()

    def handle(self, request, body: bytes) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        self._httpd.shutdown()
        self._httpd.server_close()


class ThirdParty(Server):
    """Takes callbacks, but at `/refuse`, and has a picture to fetch."""

    def __init__(self):
        self.callbacks: list[dict] = []
        super().__init__()

    def handle(self, request, body):
        if request.command == "GET":
            request.reply(200, PICTURE, "image/png")
            return
        if request.path == "/refuse":
            request.reply(400, b"{}")
            return
        self.callbacks.append(json.loads(body))
        request.reply(200, b"{}")

    def texts(self, recipient: str) -> list[str]:
        return [one.get("text") for one in list(self.callbacks) if one["recipient"] == recipient]


class Flaky(Server):
    """Before a gateway: takes the first requests away from it, or their answers.

    `plan` is taken one by one: `503` answers so without asking the gateway, `lost` asks it and loses the answer, `cut`
    closes the connection without asking.
    """

    def __init__(self, gateway: str, plan: list[str]):
        self.plan = list(plan)
        self.keys: list[str | None] = []
        self._gateway = httpx.Client(base_url=gateway, trust_env=False)
        super().__init__()

    def handle(self, request, body):
        self.keys.append(request.headers.get("Idempotency-Key"))
        step = self.plan.pop(0) if self.plan else ""
        if step == "503":
            request.reply(503, b'{"title": "Service Unavailable", "detail": "as told"}', "application/problem+json")
            return
        if step == "cut":
            request.hang_up()
            return
        kept = {name: value for name, value in request.headers.items() if name.lower() not in ("host", "connection")}
        answer = self._gateway.request(request.command, request.path, content=body, headers=kept)
        if step == "lost":
            request.hang_up()
        else:
            request.reply(answer.status_code, answer.content, answer.headers["content-type"])


class Person:
    """Somebody who writes through a `webhook` channel."""

    def __init__(self, url: str, channel: dict, secret: str, third_party: ThirdParty):
        self._address = url + channel["webhook_path"]
        self._secret, self._third_party = secret, third_party
        self.id = unique("person")

    def write(self, text: str | None = None, **more) -> str:
        """Answers the message's id."""
        message = {"sender": {"id": self.id, "name": "Ada"}, "message_id": unique("m")} | more
        body = json.dumps(message | ({} if text is None else {"text": text})).encode()
        signature = "sha256=" + hmac.new(self._secret.encode(), body, hashlib.sha256).hexdigest()
        headers = {"X-Webhook-Signature": signature}
        answer = httpx.post(self._address, content=body, headers=headers, trust_env=False)
        assert answer.status_code == 200, answer.text
        return answer.json()["id"]

    def sees(self) -> list[str]:
        return self._third_party.texts(self.id)
