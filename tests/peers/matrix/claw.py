"""An `ii-claw up` and its backend, which is this test."""

import json
import os
import queue
import re
import secrets
import signal
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PICTURE = b"\x89PNG\r\n\x1a\n a picture"
INHERITED = {"II_CLAW_NATS_BIN", "II_CLAW_POSTGRES_BIN"}
NOT_INHERITED = ("AI_WEBHOOK_", "AWS_", "DATABASE_URL", "II_CLAW_", "NATS_URL")


class Agent(BaseHTTPRequestHandler):
    """Keeps what people wrote; says "Processing..." where `server.placeholder` says so. Anything it is asked for is a picture."""

    def do_POST(self):
        self.server.told.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        answer = {"async_processing": True}
        if self.server.placeholder:
            answer["immediate_reply"] = "Processing..."
        self._answer("application/json", json.dumps(answer).encode())

    def do_GET(self):
        self._answer("image/png", PICTURE)

    def _answer(self, kind: str, body: bytes):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class Claw:
    def __init__(self, folder: str, agent: ThreadingHTTPServer):
        self.folder = folder
        self.agent = agent
        self.agent_url = f"http://127.0.0.1:{agent.server_port}"
        self._key = secrets.token_hex(16)
        self._secret = secrets.token_hex(16)
        self._process = None
        self._url = ""
        self._starts = 0

    def start(self) -> None:
        self._starts += 1
        log = Path(self.folder) / f"log{self._starts}"
        environment = {name: value for name, value in os.environ.items() if not name.startswith(NOT_INHERITED)}
        environment |= {name: os.environ[name] for name in INHERITED & os.environ.keys()}
        environment |= {
            "II_CLAW_DATA": f"{self.folder}/data",
            "II_CLAW_LISTEN": "127.0.0.1:0",
            "II_CLAW_API_KEY": self._key,
            "AI_WEBHOOK_URL": f"{self.agent_url}/inbound",
            "AI_WEBHOOK_SECRET": self._secret,
            "II_CLAW_ALLOW_PRIVATE_URLS": "true",
            "II_CLAW_LOG": os.environ.get("II_CLAW_LOG", "info"),
        }
        binary = os.environ.get("II_CLAW_BIN") or str(ROOT / "target/debug/ii-claw")
        with open(log, "w+b") as output:
            self._process = subprocess.Popen([binary, "up"], env=environment, stdout=output, stderr=output)
        self._url = f"http://{_address(self._process, log)}"

    def stop(self, how=signal.SIGTERM) -> None:
        self._process.send_signal(how)
        self._process.wait(90)

    def call(self, method: str, path: str, body=None, fails: int | None = None) -> dict:
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self._url}/api/{path}", method=method, data=data, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                status, read = answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            status, read = error.code, json.load(error)
        assert (status == fails) if fails else (status < 400), f"{method} {path}: {status} {read}"
        return read

    def send(self, recipient: str, fails: int | None = None, **more) -> dict:
        return self.call("POST", "users/ada/channels/matrix_1/send", {"recipient": recipient} | more, fails)

    def act(self, method: str, recipient: str, target: str, what: str = "", **more) -> dict:
        """Changes a message, takes it back or reacts to it; `target` is the platform's id of it."""
        path = f"users/ada/channels/matrix_1/messages/{urllib.parse.quote(target, safe='')}{what}"
        if method == "DELETE":
            return self.call(method, f"{path}?recipient={urllib.parse.quote(recipient)}")
        return self.call(method, path, {"recipient": recipient} | more)

    def hears(self, patience: float = 40) -> dict:
        """The next message that the backend is told."""
        try:
            return self.agent.told.get(timeout=patience)
        except queue.Empty:
            raise AssertionError(f"the backend is told nothing; logs are in {self.folder}") from None

    def hears_nothing(self) -> None:
        assert self.agent.told.empty(), f"the backend is told more: {self.agent.told.get()}"


@contextmanager
def running():
    agent = ThreadingHTTPServer(("127.0.0.1", 0), Agent)
    agent.daemon_threads, agent.told, agent.placeholder = True, queue.Queue(), False
    threading.Thread(target=agent.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(prefix="ii-claw-matrix-") as folder:
        claw = Claw(folder, agent)
        claw.start()
        try:
            yield claw
        except BaseException:
            for log in sorted(Path(folder).glob("log*")):
                print(f"--- {log.name}\n{log.read_text(errors='replace')[-6_000:]}")
            raise
        finally:
            claw.stop()
            agent.shutdown()


def _address(process: subprocess.Popen, log: Path) -> str:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        text = re.sub(r"\x1b\[[0-9;]*m", "", log.read_text(errors="replace"))
        found = re.search(r"the gateway listens on (?:http://)?([\d.]+:\d+)", text)
        if found and "is up" in text:
            return found[1]
        time.sleep(0.1)
    raise SystemExit(f"ii-claw does not start:\n{log.read_text(errors='replace')[-4_000:]}")
