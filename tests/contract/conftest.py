"""Fixtures. Each test has its own random users, so tests are independent and can share one gateway."""

import os
import time
from dataclasses import dataclass

import pytest

pytest.register_assert_rewrite("checks")

from client import IIClawClient, answer_target
from people import Mint, TelegramChannel, TelegramEmulator, WebhookChannel, unique
from receiver import INBOUND_PATH, Receiver, Request, ThirdParty

NEEDED = {
    "II_CLAW_URL": "the base URL of the gateway under test, e.g. http://127.0.0.1:4200",
    "II_CLAW_API_KEY": "the API key that gateway was started with",
    "AI_WEBHOOK_PORT": "a free port on 127.0.0.1; "
    f"the gateway's AI_WEBHOOK_URL is http://127.0.0.1:<port>{INBOUND_PATH}",
    "AI_WEBHOOK_SECRET": "the webhook secret that gateway was started with",
    "TELEGRAM_EMULATOR_URL": "the base URL of the Bot API emulator",
    "II_CLAW_STRICT_URL": "the base URL of another gateway, of the same API key, that was started without private URLs",
}

# Adapters that do not exist yet. A test that is skipped for any other reason fails: what was there must not vanish
# without anyone noticing.
MISSING_ADAPTERS = ("discord", "slack")
EXPECTED_SKIPS = {f"this gateway has no {name} adapter yet" for name in MISSING_ADAPTERS}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        if reason not in EXPECTED_SKIPS:
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid} was skipped for a reason that nobody expects: {reason}"
    return report


def pytest_terminal_summary(terminalreporter):
    skipped = len(terminalreporter.stats.get("skipped", []))
    terminalreporter.write_line(f"{skipped} tests wait for adapters: {', '.join(MISSING_ADAPTERS)}")


def needed(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        pytest.fail(f"The environment variable {name} is missing; set it to {NEEDED[name]}.", pytrace=False)
    return value


def eventually(predicate, timeout: float = 15.0, what: str = "the expected event"):
    """The first true value of `predicate`, or a failure at the deadline."""
    deadline = time.monotonic() + timeout
    while not (value := predicate()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not happen within {timeout} s")
        time.sleep(0.05)
    return value


@dataclass(frozen=True)
class Settings:
    url: str
    api_key: str
    webhook_port: int
    webhook_secret: str
    emulator_url: str
    strict_url: str


@pytest.fixture(scope="session")
def settings() -> Settings:
    url, key, port, secret, emulator, strict = [needed(name) for name in NEEDED]
    return Settings(url.rstrip("/"), key, int(port), secret, emulator.rstrip("/"), strict.rstrip("/"))


@pytest.fixture(scope="session")
def receiver(settings):
    try:
        server = Receiver(settings.webhook_port, settings.webhook_secret)
    except OSError as error:
        pytest.fail(f"Port {settings.webhook_port} (AI_WEBHOOK_PORT) of 127.0.0.1 is not free: {error}.", pytrace=False)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def world():
    server = ThirdParty()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def emulator(settings):
    return TelegramEmulator(settings.emulator_url)


@pytest.fixture
def client(settings):
    client = IIClawClient(settings.url, settings.api_key)
    yield client
    client.close()


@pytest.fixture
def anonymous(settings, client):
    """A caller without an API key."""
    anonymous = IIClawClient(settings.url, None, client.answers)
    yield anonymous
    anonymous.close()


@pytest.fixture
def mint():
    return Mint()


def _user(client):
    user = unique("user")
    yield user
    for job in client.jobs(user):
        client.delete_job(user, job["id"])
    for channel in client.channels(user):
        client.delete(user, channel["instance_name_id"])


@pytest.fixture
def user(client):
    yield from _user(client)


@pytest.fixture
def stranger(client):
    """A second user, who must not learn of the first."""
    yield from _user(client)


@pytest.fixture(autouse=True)
def nothing_leaks(settings, client, mint, receiver):
    """After every test: no secret in any answer or delivery, and no delivery with a wrong signature."""
    yield
    # A short value, such as "secret", may be in an answer by chance.
    keys = [*mint.secrets, *(key for key in (settings.api_key, settings.webhook_secret) if len(key) >= 16)]
    for text in [*client.answers, *(r.raw.decode(errors="replace") for r in receiver.requests())]:
        assert not [key for key in keys if key in text], f"a secret is in {text[:500]!r}"
    assert not receiver.badly_signed()


@pytest.fixture(scope="session")
def known_types(settings) -> set[str]:
    """The channel types this gateway has, as its refusal of an unknown one lists them."""
    client = IIClawClient(settings.url, settings.api_key)
    path = "/api/users/nobody/channels/nothing/configure"
    refusal = client.request("POST", path, json={"channel_type": "no-such-type", "fields": {}}).json()
    client.close()
    names = refusal["error"].rsplit("known types: ", 1)[-1]
    return {name.strip() for name in names.split(",")}


@pytest.fixture
def valid_body(mint, world, emulator, known_types):
    """A configure body that should be accepted, for a channel type."""

    def make(channel_type: str) -> dict:
        if channel_type not in known_types:
            pytest.skip(f"this gateway has no {channel_type} adapter yet")
        fields = {
            "telegram": lambda: {"bot_token_env": mint.bot_token(), "api_url": emulator.url},
            "webhook": lambda: {"secret_env": mint.secret(), "callback_url": world.callback_url(unique("cb"))},
            # Nobody listens there: the platforms would refuse these tokens.
            "discord": lambda: {"bot_token_env": mint.discord_token(), "api_url": "http://127.0.0.1:9"},
            "slack": lambda: {
                "app_token_env": mint.slack_token("xapp"),
                "bot_token_env": mint.slack_token("xoxb"),
                "api_url": "http://127.0.0.1:9",
            },
        }
        return {"channel_type": channel_type, "fields": fields[channel_type]()}

    return make


@pytest.fixture
def new_webhook(client, anonymous, user, world, valid_body):
    """Configures a `webhook` channel; keyword arguments go into the configure body."""

    def make(owner: str = user, **more) -> WebhookChannel:
        slug, body = unique("webhook"), valid_body("webhook") | more
        client.configure(owner, slug, body)
        name = body["fields"]["callback_url"].rsplit("/", 1)[1]
        return WebhookChannel(anonymous, world, client.channel(owner, slug), body["fields"]["secret_env"], name)

    return make


@pytest.fixture
def new_telegram(client, user, emulator, valid_body):
    """Configures a `telegram` channel and waits until it listens; keyword arguments go into its fields."""

    def make(owner: str = user, **fields) -> TelegramChannel:
        slug, body = unique("telegram"), valid_body("telegram")
        body["fields"] |= fields
        client.configure(owner, slug, body)
        eventually(lambda: client.channel(owner, slug)["status"] == "running", what="status running")
        return TelegramChannel(emulator, owner, slug, body["fields"]["bot_token_env"])

    return make


class Backend:
    """The backend as the gateway knows it: gets deliveries, answers later through *send*."""

    def __init__(self, client: IIClawClient, receiver: Receiver, user: str):
        self.client, self.receiver, self.user = client, receiver, user

    def attempts(self) -> list[Request]:
        return self.receiver.attempts(self.user)

    def texts(self) -> list[str]:
        return [r.body.get("text") for r in self.attempts()]

    def get(self, text: str) -> Request:
        """The first delivery whose text holds `text`, waiting for it."""
        return self.first(lambda body: text in (body.get("text") or ""), f"delivery of {text!r}")

    def first(self, matches, what: str = "a delivery") -> Request:
        found = eventually(lambda: [r for r in self.attempts() if matches(r.body)], what=what)
        return found[0]

    def answer(self, body: dict, message: str) -> dict:
        return self.client.send(body["user_id"], body["instance_name"], message=message, **answer_target(body))


@pytest.fixture
def backend(client, receiver, user):
    return Backend(client, receiver, user)
