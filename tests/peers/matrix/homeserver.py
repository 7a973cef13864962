"""A homeserver of its own: Synapse, unmodified and written by others, with a database that is thrown away."""

import hashlib
import hmac
import json
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager
from pathlib import Path

NAME = "localhost"
# People in this test write faster than anybody does.
UNLIMITED = {"per_second": 1000, "burst_count": 1000}


class Refused(Exception):
    """The homeserver's refusal, in its own words."""


class Homeserver:
    def __init__(self, url: str, secret: str):
        self.url = url
        self._secret = secret

    def call(self, method: str, path: str, token: str | None = None, body=None, query=None, kind="application/json"):
        """Makes a call; what is in `path` by itself must be quoted already."""
        url = f"{self.url}/{path}" + (f"?{urllib.parse.urlencode(query)}" if query else "")
        headers = {"Content-Type": kind} | ({"Authorization": f"Bearer {token}"} if token else {})
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(url, method=method, data=data, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                read = answer.read()
                return json.loads(read) if answer.headers["Content-Type"] == "application/json" else read
        except urllib.error.HTTPError as error:
            raise Refused(f"{method} {path}: {error.code} {error.read().decode()}") from None

    def register(self, name: str, shown: str) -> tuple[str, str]:
        """A new account: its id and a token
        (https://element-hq.github.io/synapse/latest/admin_api/register_api.html)."""
        nonce = self.call("GET", "_synapse/admin/v1/register")["nonce"]
        signed = "\0".join([nonce, name, "a password", "notadmin"]).encode()
        made = self.call("POST", "_synapse/admin/v1/register", body={
            "nonce": nonce, "username": name, "displayname": shown, "password": "a password", "admin": False,
            "mac": hmac.new(self._secret.encode(), signed, hashlib.sha1).hexdigest(),
        })
        return made["user_id"], made["access_token"]


@contextmanager
def running(port: int):
    """The homeserver, listening on this machine only."""
    secret = "only this test knows it"
    with tempfile.TemporaryDirectory(prefix="ii-claw-synapse-") as folder:
        config = Path(folder) / "homeserver.json"
        # YAML takes JSON.
        config.write_text(json.dumps(_config(folder, port, secret)))
        start = [sys.executable, "-m", "synapse.app.homeserver", "--config-path", str(config)]
        subprocess.run([*start, "--generate-keys"], check=True, capture_output=True)
        with open(f"{folder}/log", "w+b") as log:
            process = subprocess.Popen(start, stdout=log, stderr=log)
            try:
                homeserver = Homeserver(f"http://127.0.0.1:{port}", secret)
                _wait(homeserver, process, Path(log.name))
                yield homeserver
            finally:
                process.terminate()
                process.wait(30)


def _config(folder: str, port: int, secret: str) -> dict:
    return {
        "server_name": NAME,
        "listeners": [{
            "type": "http", "port": port, "bind_addresses": ["127.0.0.1"], "tls": False,
            "resources": [{"names": ["client", "media"], "compress": False}],
        }],
        "database": {"name": "sqlite3", "args": {"database": f"{folder}/homeserver.db"}},
        "media_store_path": f"{folder}/media",
        "signing_key_path": f"{folder}/signing.key",
        "registration_shared_secret": secret,
        "macaroon_secret_key": secret,
        "form_secret": secret,
        "report_stats": False,
        "trusted_key_servers": [],
        "suppress_key_server_warning": True,
        "rc_message": UNLIMITED,
        "rc_joins": {"local": UNLIMITED, "remote": UNLIMITED},
        "rc_invites": {"per_room": UNLIMITED, "per_user": UNLIMITED, "per_issuer": UNLIMITED},
        "rc_room_creation": UNLIMITED,
    }


def _wait(homeserver: Homeserver, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            homeserver.call("GET", "_matrix/client/versions")
            return
        except (OSError, Refused):
            time.sleep(0.1)
    raise SystemExit(f"Synapse does not start:\n{log.read_text(errors='replace')[-4_000:]}")
