"""An `ii-claw up` with nothing but what it starts itself, and its backend, which is a third party as well."""

import json
import os
import re
import secrets
import subprocess
import tempfile
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Nothing that was set for another gateway, but for where private servers are found.
NOT_INHERITED = ("AI_WEBHOOK_", "AWS_", "DATABASE_URL", "II_CLAW_", "NATS_URL")
INHERITED = {"II_CLAW_NATS_BIN", "II_CLAW_POSTGRES_BIN"}



def binary() -> str:
    target = os.environ.get("CARGO_TARGET_DIR", ROOT / "target")
    return os.environ.get("II_CLAW_BIN") or str(Path(target) / "debug" / "ii-claw")


@contextmanager
def up(backend: str):
    """The base URL and the operator's key of a gateway that is thrown away afterwards, with all that it started."""
    key = secrets.token_hex(16)
    with tempfile.TemporaryDirectory(prefix="ii-claw-fuzz-") as folder:
        ours = {
            "II_CLAW_DATA": f"{folder}/data",
            "II_CLAW_LISTEN": "127.0.0.1:0",
            "II_CLAW_API_KEY": key,
            "AI_WEBHOOK_URL": backend,
            "AI_WEBHOOK_SECRET": secrets.token_hex(16),
            # The callbacks are on this machine.
            "II_CLAW_ALLOW_PRIVATE_URLS": "true",
            # Most recipients do not exist: nobody waits for them.
            "II_CLAW_SEND_WAIT_MS": "250",
            "II_CLAW_LOG": os.environ.get("II_CLAW_LOG", "warn,claw_gateway=info"),
        }
        log = open(f"{folder}/log", "w+b")
        process = subprocess.Popen([binary(), "up"], env=_inherited() | ours, stdout=log, stderr=log)
        try:
            yield f"http://{_address(process, Path(log.name))}", key
            if process.poll() is not None:
                raise SystemExit(f"the gateway ended while it was fuzzed:\n{_end_of(log.name)}")
            _complain(Path(log.name))
        finally:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            log.close()


def _inherited() -> dict[str, str]:
    taken = {name: value for name, value in os.environ.items() if not name.startswith(NOT_INHERITED)}
    return taken | {name: os.environ[name] for name in INHERITED & os.environ.keys()}


def _address(process: subprocess.Popen, log: Path) -> str:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        text = re.sub(r"\x1b\[[0-9;]*m", "", log.read_text(errors="replace"))
        found = re.search(r"the gateway listens on (?:http://)?([\d.]+:\d+)", text)
        if found and "is up" in text:
            return found[1]
        time.sleep(0.1)
    raise SystemExit(f"ii-claw does not start:\n{_end_of(log)}")


def _complain(log: Path) -> None:
    """A panic is answered with a 500, which the fuzzer finds; the log says where it was."""
    for line in log.read_text(errors="replace").splitlines():
        if "panicked at" in line or " ERROR " in line:
            print(f"gateway: {line}")


def _end_of(log) -> str:
    return Path(log).read_text(errors="replace")[-4_000:]


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/backend":
            message = json.loads(body)
            self.server.links[message.get("media_filename")] = message.get("media_url") or ""
            self._answer("application/json", b'{"async_processing": true}')
        elif self.path == "/refuse":
            self._answer("application/json", b"{}", 400)
        else:
            self._answer("application/json", json.dumps({"id": secrets.token_hex(8)}).encode())

    def do_GET(self):
        if self.path.startswith("/link/"):
            self._answer("text/plain", self.server.links.get(self.path.removeprefix("/link/"), "").encode())
        else:
            self._answer("image/png", b"\x89PNG\r\n\x1a\n a picture")

    def _answer(self, kind: str, body: bytes, status: int = 200):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@contextmanager
def third_party():
    """The URL of a server that is the backend (`/backend`; `/link/{filename}` tells the link to an attachment that it
    got), takes callbacks (`/callback`) or refuses them (`/refuse`), and has a picture anywhere else."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.links = {}
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
