"""What compose.yaml makes, seen from outside: people who write, the backend on this machine, the containers."""

import itertools
import json
import secrets
import sys
import threading
import time
import urllib.request
from base64 import b64encode

from engine import Engine
from servers import free_port, until
from traffic import Backend, People

REPLICAS = {"gateway": 2, "worker": 3, "scheduler": 2}
# What is written before and after each thing that is broken, and by how many at a time.
MESSAGES, WRITERS = 200, 4


def say(sentence: str) -> None:
    print(f"compose-test: {sentence}", flush=True)


def skip(sentence: str) -> None:
    print(f"\n*** SKIPPED: {sentence} ***\n", file=sys.stderr, flush=True)


class Agent(Backend):
    """A backend on this machine, which remembers where the answer to a text belongs."""

    def __init__(self, secret: str):
        self.belongs: dict[str, dict] = {}
        super().__init__(secret, "0.0.0.0")

    def take(self, path: str, headers, body: bytes) -> int:
        status = super().take(path, headers, body)
        if status == 204 and path != "/callback":
            message = json.loads(body)
            with self.lock:
                self.belongs[message["text"]] = message
        return status


class Writing:
    """People who write at the same time while something ends, again what was not answered with 200, as platforms do."""

    def __init__(self, people: People):
        self.people, self.again, self.slowest, self.enough = people, 0, 0.0, threading.Event()
        chats = range(len(people.numbers))
        self.threads = [
            threading.Thread(target=self.write, args=(chats[at::WRITERS],), daemon=True) for at in range(WRITERS)
        ]
        for thread in self.threads:
            thread.start()

    def write(self, chats: range) -> None:
        for chat in itertools.cycle(chats):
            if self.enough.is_set():
                return
            number = self.people.numbers[chat] = self.people.numbers[chat] + 1
            began = time.monotonic()
            while self.people.post(f"chat-{chat}", f"chat-{chat}/{number}") != 200:
                self.again += 1
                self.enough.wait(0.1)
            self.people.accepted.append((f"chat-{chat}", number))
            self.slowest = max(self.slowest, time.monotonic() - began)

    def more(self) -> None:
        """MESSAGES more are accepted."""
        wanted = len(self.people.accepted) + MESSAGES
        until(f"{MESSAGES} more messages are accepted", lambda: len(self.people.accepted) >= wanted)

    def finish(self) -> str:
        self.enough.set()
        for thread in self.threads:
            thread.join()
        return f"the slowest was accepted after {self.slowest:.1f} s, attempts failed {self.again} times"


class Cluster:
    """What compose.yaml makes, seen from outside."""

    def __init__(self, engine: Engine):
        self.engine = engine
        key, secret = secrets.token_hex(24), secrets.token_hex(24)
        self.agent = Agent(secret)
        self.ports = {name: free_port() for name in ("II_CLAW", "PROMETHEUS", "ALERTMANAGER", "GRAFANA")}
        self.gateway, self.prometheus = self.url("II_CLAW"), self.url("PROMETHEUS")
        host = f"http://host.docker.internal:{self.agent.port}"
        self.callback = f"{host}/callback"
        settings = {f"{name}_PORT": str(port) for name, port in self.ports.items()} | {
            "POSTGRES_PASSWORD": secrets.token_hex(24),
            "II_CLAW_API_KEY": key,
            "II_CLAW_MASTER_KEY": b64encode(secrets.token_bytes(32)).decode(),
            "AI_WEBHOOK_URL": f"{host}/webhook",
            "AI_WEBHOOK_SECRET": secret,
            "GRAFANA_PASSWORD": secrets.token_hex(24),
            "II_CLAW_ALLOW_PRIVATE_URLS": "true",
            "II_CLAW_EVENTS_HOURS": "48",
        }
        engine.settings.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        self.people = People(self.gateway, key)

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}"

    def up(self) -> None:
        """As README.md has it; it fails when anything is not healthy."""
        self.engine.compose("up", "--detach", "--wait", "--wait-timeout=180", "--pull=never", "--no-build")

    def one(self, service: str) -> str:
        return self.engine.containers(service)[0]

    def state(self, container: str) -> str:
        return self.engine.inspect(
            container, "{{.State.Status}} {{if .State.Health}}{{.State.Health.Status}}{{end}} {{.State.ExitCode}}"
        )

    def healthy(self, container: str) -> bool:
        return self.state(container) == "running healthy 0"

    def asks(self, path: str) -> dict:
        with urllib.request.urlopen(self.prometheus + path, timeout=10) as answer:
            return json.load(answer)["data"]
