"""A gateway that runs, the example receiver as its backend, and people who write. See the README for the variables."""

import asyncio
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from ii_claw_client import AsyncClient, Client
from people import Person, ThirdParty, eventually, unique

NEEDED = ("II_CLAW_URL", "II_CLAW_API_KEY", "AI_WEBHOOK_PORT", "AI_WEBHOOK_SECRET")
EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


@dataclass(frozen=True)
class Settings:
    url: str
    key: str
    port: int
    secret: str


@pytest.fixture(scope="session")
def settings() -> Settings:
    if missing := [name for name in NEEDED if not os.environ.get(name)]:
        pytest.fail(f"set {', '.join(missing)}: see clients/python/README.md", pytrace=False)
    url, key, port, secret = (os.environ[name] for name in NEEDED)
    return Settings(url.rstrip("/"), key, int(port), secret)


@pytest.fixture(scope="session")
def receiver(settings):
    """The example, as it is."""
    command = [sys.executable, "-m", "uvicorn", "receiver:app", "--app-dir", str(EXAMPLES)]
    command += ["--port", str(settings.port), "--log-level", "warning"]
    process = subprocess.Popen(command)
    url = f"http://127.0.0.1:{settings.port}"

    def listens() -> bool:
        assert process.poll() is None, "the example ended"
        try:
            return httpx.get(f"{url}/docs", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    try:
        eventually(listens, what="the example to listen")
        yield f"{url}/ii-claw/webhook/inbound"
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def client(settings):
    with Client(settings.url, settings.key) as client:
        yield client


@pytest.fixture
def with_async(settings):
    """Runs a coroutine function with a client of its own."""

    def run(work):
        async def main():
            async with AsyncClient(settings.url, settings.key) as client:
                return await work(client)

        return asyncio.run(main())

    return run


@pytest.fixture
def user(client):
    user = unique("user")
    yield user
    for channel in client.channels(user):
        client.delete_channel(user, channel["instance_name_id"])


@pytest.fixture
def third_party():
    server = ThirdParty()
    yield server
    server.stop()


@pytest.fixture
def new_person(settings, client, user, third_party):
    """Somebody at a new channel of type `webhook` named `hook`, which runs."""

    def make(slug: str = "hook", callback: str = "/callback") -> Person:
        secret = unique("secret")
        fields = {"secret_env": secret, "callback_url": third_party.url + callback}
        channel = client.configure_channel(user, slug, "webhook", fields)

        def runs() -> bool:
            return any(c["instance_name_id"] == slug and c["status"] == "running" for c in client.channels(user))

        eventually(runs, what=f"{slug} to run")
        return Person(settings.url, channel, secret, third_party)

    return make
