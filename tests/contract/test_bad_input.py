"""Input no gateway should take: refused with 4xx and a reason, and nothing is stored, changed or sent."""

import json
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from checks import assert_problem, nothing_changes, stored
from client import IIClawClient, channel_path, channels_path
from conftest import eventually
from people import unique
from receiver import sign

TOO_BIG = 2 * 1024 * 1024 + 1
JSON = {"Content-Type": "application/json"}


def by_name(cases: dict):
    """Parameters with readable ids."""
    return [pytest.param(value, id=name) for name, value in cases.items()]


def configure(client, user, body, slug=None):
    return client.request("POST", channel_path(user, slug or unique("bad"), "configure"), json=body)


# --- configure ------------------------------------------------------------------------------------------------

BAD_FIELDS = [
    ("telegram", {"bot_token_env": None}),
    ("telegram", {"bot_token_env": ""}),
    ("telegram", {"bot_token_env": ["a"]}),
    ("telegram", {"bot_token_env": {"a": 1}}),
    ("telegram", {"api_url": ["http://example.com"]}),
    ("telegram", {"api_url": "not a url"}),
    ("telegram", {"api_url": "ftp://x"}),
    ("telegram", {"allowed_users": {"a": 1}}),
    ("telegram", {"poll_interval_secs": "abc"}),
    ("telegram", {"poll_interval_secs": {"a": 1}}),
    ("telegram", {"no_such_field": "x"}),
    ("discord", {"ignore_bots": {"a": 1}}),
    ("discord", {"ignore_bots": "maybe"}),
    ("discord", {"intents": "abc"}),
    ("discord", {"intents": [1]}),
    ("discord", {"allowed_guilds": {"a": 1}}),
    ("discord", {"no_such_field": "x"}),
    ("slack", {"allowed_channels": {"a": 1}}),
    ("slack", {"no_such_field": "x"}),
    ("webhook", {"secret_env": ["a"]}),
    ("webhook", {"callback_url": {"a": 1}}),
    ("webhook", {"callback_url": "not a url"}),
    ("webhook", {"no_such_field": "x"}),
]

REQUIRED = [
    ("telegram", "bot_token_env"),
    ("discord", "bot_token_env"),
    ("slack", "app_token_env"),
    ("slack", "bot_token_env"),
    ("webhook", "secret_env"),
]

BAD_TOP_LEVEL = {
    "unknown key": {"no_such_key": 1},
    "unknown type": {"channel_type": "carrier_pigeon"},
    "empty type": {"channel_type": ""},
    "number type": {"channel_type": 5},
    "null type": {"channel_type": None},
    "list fields": {"fields": ["a"]},
    "string fields": {"fields": "a"},
    "list name": {"instance_name": ["a"]},
    "object agent": {"agent_id": {"a": 1}},
}


@pytest.mark.parametrize("channel_type, wrong", BAD_FIELDS, ids=str)
def test_configure_with_a_bad_field(client, user, valid_body, channel_type, wrong):
    body = valid_body(channel_type)
    body["fields"] |= wrong
    with nothing_changes(client, user):
        assert_problem(configure(client, user, body))


@pytest.mark.parametrize("channel_type, missing", REQUIRED)
def test_configure_without_a_required_field(client, user, valid_body, channel_type, missing):
    body = valid_body(channel_type)
    del body["fields"][missing]
    with nothing_changes(client, user):
        assert_problem(configure(client, user, body))


@pytest.mark.parametrize("wrong", by_name(BAD_TOP_LEVEL))
def test_configure_with_a_bad_top_level(client, user, valid_body, wrong):
    with nothing_changes(client, user):
        assert_problem(configure(client, user, valid_body("webhook") | wrong))


@pytest.mark.parametrize("missing", ["channel_type", "fields"])
def test_configure_without_a_required_key(client, user, valid_body, missing):
    body = valid_body("webhook")
    del body[missing]
    with nothing_changes(client, user):
        assert_problem(configure(client, user, body))


BAD_SLUGS = ["a%2Fb", "a%20b", "JUNK", "%C3%84%C3%96", "%2e%2e", "a%3Fb", "%0A", "", "s" * 3000]


@pytest.mark.parametrize("slug", BAD_SLUGS, ids=lambda slug: slug[:20] or "empty")
def test_configure_with_a_bad_slug(client, user, valid_body, slug):
    path = f"{channels_path(user)}/{slug}/configure"
    with nothing_changes(client, user):
        assert_problem(client.request("POST", path, json=valid_body("webhook")))


def test_a_very_long_user_id(client, valid_body):
    user = "u" * 3000
    assert_problem(configure(client, user, valid_body("webhook")))
    assert_problem(client.request("GET", channels_path(user)))


# --- one bot, one channel -------------------------------------------------------------------------------------


def test_a_token_in_a_second_channel_names_the_first(client, user, valid_body, new_telegram):
    bot, body = new_telegram(), valid_body("telegram")
    body["fields"]["bot_token_env"] = bot.token
    with nothing_changes(client, user):
        problem = assert_problem(configure(client, user, body), 409)
    assert bot.slug in json.dumps(problem)


def test_an_update_to_a_token_in_use_is_refused(client, user, new_telegram):
    first, second = new_telegram(), new_telegram()
    with nothing_changes(client, user):
        wrong = {"fields": {"bot_token_env": first.token}}
        problem = assert_problem(client.request("PUT", channel_path(user, second.slug), json=wrong), 409)
    assert first.slug in json.dumps(problem)
    client.send(user, second.slug, recipient=str(second.person), message="still the second")
    eventually(lambda: "still the second" in second.seen_by(second.person))


def test_another_users_token_is_refused_without_naming_them(client, user, stranger, valid_body, new_telegram):
    bot, body = new_telegram(), valid_body("telegram")
    channel_id = client.channel(user, bot.slug)["id"]
    body["fields"]["bot_token_env"] = bot.token
    with nothing_changes(client, user, stranger):
        response = configure(client, stranger, body)
    assert_problem(response, 409)
    for private in (user, bot.slug, channel_id):
        assert private not in response.text and private not in str(response.headers)


# --- update ---------------------------------------------------------------------------------------------------

BAD_UPDATES = {
    "unknown key": {"no_such_key": 1},
    "slug": {"instance_name_id": "other"},
    "enabled maybe": {"enabled": "maybe"},
    "enabled object": {"enabled": {"a": 1}},
    "enabled list": {"enabled": [True]},
    "name list": {"instance_name": ["a"]},
    "agent object": {"agent_id": {"a": 1}},
    "fields list": {"fields": ["a"]},
    "fields string": {"fields": "a"},
    "unknown field": {"fields": {"no_such_field": "x"}},
    "number abc": {"fields": {"poll_interval_secs": "abc"}},
    "list object": {"fields": {"allowed_users": {"a": 1}}},
    "token list": {"fields": {"bot_token_env": ["a"]}},
    "half good": {"instance_name": "Changed", "fields": {"no_such_field": "x"}},
}


@pytest.mark.parametrize("wrong", by_name(BAD_UPDATES))
def test_a_bad_update_changes_nothing(client, user, new_telegram, wrong):
    bot = new_telegram(poll_interval_secs="1")
    with nothing_changes(client, user):
        assert_problem(client.request("PUT", channel_path(user, bot.slug), json=wrong))


UNKNOWN_INSTANCE = {
    "update": ("PUT", "", {"instance_name": "x"}),
    "delete": ("DELETE", "", None),
    "send": ("POST", "send", {"recipient": "x", "message": "y"}),
}


@pytest.mark.parametrize("method, action, body", UNKNOWN_INSTANCE.values(), ids=UNKNOWN_INSTANCE)
def test_an_unknown_instance(client, user, method, action, body):
    assert_problem(client.request(method, channel_path(user, unique("nobody"), action), json=body), 404)


def test_deleting_twice(client, user, new_webhook):
    slug = new_webhook().slug
    client.delete(user, slug)
    assert_problem(client.request("DELETE", channel_path(user, slug)), 404)


# --- send -----------------------------------------------------------------------------------------------------

BAD_SENDS = {
    "nothing": {},
    "no content": {"recipient": "ada"},
    "empty message": {"recipient": "ada", "message": ""},
    "null message": {"recipient": "ada", "message": None},
    "caption only": {"recipient": "ada", "caption": "c"},
    "filename only": {"recipient": "ada", "filename": "a.txt"},
    "no recipient": {"message": "hi"},
    "empty recipient": {"recipient": "", "message": "hi"},
    "null recipient": {"recipient": None, "message": "hi"},
    "object recipient": {"recipient": {"id": "ada"}, "message": "hi"},
    "unknown key": {"recipient": "ada", "message": "hi", "no_such_key": 1},
    "list message": {"recipient": "ada", "message": ["hi"]},
    "object image": {"recipient": "ada", "image_url": {"a": 1}},
    "bad image url": {"recipient": "ada", "image_url": "not a url"},
    "list thread": {"recipient": "ada", "message": "hi", "thread_id": ["t"]},
}


@pytest.mark.parametrize("wrong", by_name(BAD_SENDS))
def test_a_bad_send_sends_nothing(client, user, new_webhook, wrong):
    hook = new_webhook()
    assert_problem(client.request("POST", channel_path(user, hook.slug, "send"), json=wrong))
    client.send(user, hook.slug, recipient="ada", message="good")
    eventually(lambda: "good" in hook.seen_by("ada"))
    assert [c.body.get("text") for c in hook.callbacks()] == ["good"]


# --- bodies that are not what they should be ------------------------------------------------------------------

NOT_AN_OBJECT = {
    "empty": b"",
    "cut off": b'{"a": ',
    "words": b"hello",
    "not utf-8": b'{"recipient": "\xff\xfe"}',
    "single quotes": b"{'a': 1}",
    "deep": b"[" * 100_000,
}
WRONG_JSON = {
    "array": b"[]",
    "array of objects": b'[{"recipient":"ada","message":"hi"}]',
    "null": b"null",
    "string": b'"a"',
}
CALLS = {"configure": "POST", "send": "POST", "": "PUT"}


@pytest.mark.parametrize("raw", by_name(NOT_AN_OBJECT))
@pytest.mark.parametrize("action", CALLS, ids=lambda action: action or "update")
def test_invalid_json(client, user, new_webhook, action, raw):
    hook = new_webhook()
    with nothing_changes(client, user):
        path = channel_path(user, hook.slug, action)
        assert_problem(client.request(CALLS[action], path, content=raw, headers=JSON), 400)


@pytest.mark.parametrize("raw", by_name(WRONG_JSON))
@pytest.mark.parametrize("action", CALLS, ids=lambda action: action or "update")
def test_json_that_is_not_an_object(client, user, new_webhook, action, raw):
    hook = new_webhook()
    with nothing_changes(client, user):
        path = channel_path(user, hook.slug, action)
        assert_problem(client.request(CALLS[action], path, content=raw, headers=JSON))


@pytest.mark.parametrize("action", CALLS, ids=lambda action: action or "update")
def test_an_oversized_body(client, user, new_webhook, action):
    hook = new_webhook()
    big = {"recipient": "ada", "message": "x" * TOO_BIG}
    with nothing_changes(client, user):
        assert_problem(client.request(CALLS[action], channel_path(user, hook.slug, action), json=big), 413)


# --- who may call, and what there is to call ------------------------------------------------------------------

API = {
    "list": ("GET", ""),
    "configure": ("POST", "/some_slug/configure"),
    "update": ("PUT", "/some_slug"),
    "delete": ("DELETE", "/some_slug"),
    "send": ("POST", "/some_slug/send"),
    "reload": ("POST", "/reload"),
}
WRONG_KEYS = {
    "none": None,
    "empty": "",
    "wrong key": "Bearer not-the-key",
    "no key": "Bearer",
    "wrong scheme": "Basic {key}",
    "no scheme": "{key}",
    "key and more": "Bearer {key}x",
}


@pytest.mark.parametrize("header", by_name(WRONG_KEYS))
@pytest.mark.parametrize("method, path", API.values(), ids=API)
def test_no_call_without_the_key(client, anonymous, user, valid_body, settings, method, path, header):
    headers = {} if header is None else {"Authorization": header.format(key=settings.api_key)}
    body = valid_body("webhook") if method in ("POST", "PUT") else None
    with nothing_changes(client, user):
        refused = anonymous.request(method, channels_path(user) + path, headers=headers, json=body)
        # Whoever comes with many wrong keys is told to wait, from some point on.
        assert_problem(refused, 429 if refused.headers.get("retry-after") else 401)


@pytest.mark.parametrize("method, path", [
    ("GET", "/nope"),
    ("GET", "/api/nope"),
    ("POST", "/api/users"),
    ("GET", "/api/users/{user}/nope"),
    ("POST", "/api/users/{user}/channels/slug/configure/more"),
    ("POST", "/webhooks/nope"),
])
def test_an_unknown_route(client, user, method, path):
    assert_problem(client.request(method, path.format(user=user)), 404)


@pytest.mark.parametrize("method, path", [
    ("POST", "/api/health"),
    ("PATCH", "/api/users/{user}/channels"),
    ("DELETE", "/api/users/{user}/channels"),
    ("PATCH", "/api/users/{user}/channels/some_slug"),
    ("GET", "/api/users/{user}/channels/some_slug/configure"),
    ("PUT", "/api/users/{user}/channels/some_slug/send"),
])
def test_a_wrong_method(client, user, method, path):
    assert_problem(client.request(method, path.format(user=user)), 405)


# --- a third party's posts ------------------------------------------------------------------------------------

BAD_SIGNATURES = {
    "none": lambda secret, raw: {},
    "empty": lambda secret, raw: {"X-Webhook-Signature": ""},
    "junk": lambda secret, raw: {"X-Webhook-Signature": "sha256=zz"},
    "other secret": lambda secret, raw: {"X-Webhook-Signature": sign("other", raw)},
    "other body": lambda secret, raw: {"X-Webhook-Signature": sign(secret, raw + b" ")},
    "cut off": lambda secret, raw: {"X-Webhook-Signature": sign(secret, raw)[:-2]},
    "other hash": lambda secret, raw: {"X-Webhook-Signature": sign(secret, raw).replace("sha256", "sha1")},
}


def only_good_arrives(hook, backend):
    """A good message gets through, and is the only one that did."""
    good = unique("good")
    hook.write(good)
    backend.get(good)
    assert backend.texts() == [good]


@pytest.mark.parametrize("headers", by_name(BAD_SIGNATURES))
def test_a_wrong_signature(new_webhook, backend, headers):
    hook = new_webhook()
    raw = json.dumps({"sender": {"id": "mallory"}, "text": "forged"}).encode()
    assert_problem(hook.post(raw, **headers(hook.secret, raw)), 401)
    only_good_arrives(hook, backend)


def test_an_unknown_channel_id(new_webhook):
    hook = new_webhook()
    hook.id = str(uuid.uuid4())
    assert_problem(hook.write("hello"), 404)


@pytest.mark.parametrize("channel_id", ["not-a-uuid", "%00", "%FF", "x" * 3000], ids=lambda value: value[:10])
def test_a_channel_id_that_cannot_be_one(new_webhook, channel_id):
    hook = new_webhook()
    hook.id = channel_id
    assert_problem(hook.write("hello"))


BAD_MESSAGES = {
    "invalid": b"{",
    "array": b"[]",
    "no sender": b'{"text":"x"}',
    "string sender": b'{"sender":"ada","text":"x"}',
    "sender without id": b'{"sender":{"name":"ada"},"text":"x"}',
    "empty sender id": b'{"sender":{"id":""},"text":"x"}',
    "object text": b'{"sender":{"id":"ada"},"text":{"a":1}}',
    "is_group maybe": b'{"sender":{"id":"ada"},"text":"x","is_group":"maybe"}',
    "media without url": b'{"sender":{"id":"ada"},"media":{"kind":"image"}}',
    "list metadata": b'{"sender":{"id":"ada"},"text":"x","metadata":[]}',
    "no content": b'{"sender":{"id":"ada"}}',
}


@pytest.mark.parametrize("raw", by_name(BAD_MESSAGES))
def test_a_bad_message_of_a_third_party(new_webhook, backend, raw):
    hook = new_webhook()
    assert_problem(hook.post_signed(raw))
    only_good_arrives(hook, backend)


def test_an_oversized_message_of_a_third_party(new_webhook, backend):
    hook = new_webhook()
    assert_problem(hook.write("x" * TOO_BIG), 413)
    only_good_arrives(hook, backend)


# --- NUL and other characters a database may not like ---------------------------------------------------------

NUL_IN = {
    "text": lambda mark: {"text": f"a\0{mark}"},
    "sender id": lambda mark: {"text": mark, "sender": {"id": "a\0b"}},
    "sender name": lambda mark: {"text": mark, "sender": {"id": "a", "name": "a\0b"}},
    "message id": lambda mark: {"text": mark, "message_id": f"a\0{mark}"},
    "conversation id": lambda mark: {"text": mark, "conversation_id": "a\0b", "is_group": True},
    "thread id": lambda mark: {"text": mark, "thread_id": "a\0b"},
    "metadata value": lambda mark: {"text": mark, "metadata": {"a": "a\0b"}},
    "metadata name": lambda mark: {"text": mark, "metadata": {"a\0b": "a"}},
}


@pytest.mark.parametrize("message", by_name(NUL_IN))
def test_nul_on_the_way_in(new_webhook, backend, message):
    """Refused or delivered, never lost; and no neighbour's message is lost with it."""
    hook, marks, goods = new_webhook(), [unique("nul") for _ in range(10)], [unique("good") for _ in range(10)]
    with ThreadPoolExecutor(20) as pool:
        bad = [pool.submit(hook.write, **message(mark)) for mark in marks]
        good = [pool.submit(hook.write, text, {"id": unique("p")}) for text in goods]
    assert {f.result().status_code for f in good} == {200}
    for text in goods:
        backend.get(text)
    for mark, answer in zip(marks, bad):
        refused_or(answer.result(), lambda mark=mark: backend.get(mark))


NUL_OUT = {
    "message": lambda mark: {"recipient": "ada", "message": f"a\0{mark}"},
    "recipient": lambda mark: {"recipient": "a\0b", "message": mark},
    "thread": lambda mark: {"recipient": "ada", "message": mark, "thread_id": "a\0b"},
}


@pytest.mark.parametrize("body", by_name(NUL_OUT))
def test_nul_on_the_way_out(client, user, new_webhook, body):
    hook, neighbour = new_webhook(), new_webhook()
    marks, goods = [unique("nul") for _ in range(10)], [unique("good") for _ in range(10)]
    with ThreadPoolExecutor(20) as pool:
        path = channel_path(user, hook.slug, "send")
        bad = [pool.submit(client.request, "POST", path, json=body(mark)) for mark in marks]
        for text in goods:
            pool.submit(client.send, user, neighbour.slug, recipient="ada", message=text).result()
    eventually(lambda: set(neighbour.seen_by("ada")) >= set(goods), what="the neighbour's messages")
    for mark, answer in zip(marks, bad):
        refused_or(answer.result(), lambda mark=mark: wait_for_callback(hook, mark))


def wait_for_callback(hook, mark):
    eventually(lambda: any(mark in (c.body.get("text") or "") for c in hook.callbacks()), what=f"callback {mark}")


def refused_or(response, delivered):
    if response.status_code < 400:
        delivered()
    else:
        assert_problem(response)


ODD_CONFIG = {
    "name": {"instance_name": "a\0b"},
    "agent": {"agent_id": "a\0b"},
    "type": {"channel_type": "a\0b"},
    "secret": {"fields": {"secret_env": "a\0b"}},
    "field name": {"fields": {"a\0b": "a"}},
}


@pytest.mark.parametrize("odd", by_name(ODD_CONFIG))
def test_nul_in_a_configuration(client, user, valid_body, odd):
    body = valid_body("webhook")
    body["fields"] |= odd.get("fields", {})
    refused_or(configure(client, user, body | {k: v for k, v in odd.items() if k != "fields"}), lambda: None)
    stored(client, user)


ODD_PATHS = [("%00", "slug"), ("a%00b", "slug"), ("user", "%00"), ("user", "a%00b"), ("%FF", "slug")]


@pytest.mark.parametrize("user, slug", ODD_PATHS)
def test_odd_characters_in_a_path(client, valid_body, user, slug):
    path = f"/api/users/{user}/channels"
    calls = {"configure": valid_body("webhook"), "send": {"recipient": "x", "message": "y"}}
    for action, body in calls.items():
        assert_problem(client.request("POST", f"{path}/{slug}/{action}", json=body))
    assert_problem(client.request("DELETE", f"{path}/{slug}"))
    assert client.request("GET", path).status_code < 500


def test_a_lone_surrogate(client, user, new_webhook):
    hook = new_webhook()
    raw = b'{"recipient":"ada","message":"mark \\ud800"}'
    response = client.request("POST", channel_path(user, hook.slug, "send"), content=raw, headers=JSON)
    refused_or(response, lambda: wait_for_callback(hook, "mark"))


# --- private addresses, on a gateway that does not allow them -------------------------------------------------

PRIVATE = [
    "http://127.0.0.1:1",
    "http://10.0.0.1",
    "http://169.254.169.254",
    "http://[::1]:80",
    "http://localhost",
    "http://0x7f.1",
    "ftp://x",
]


@pytest.fixture
def strict_client(settings, client):
    strict_client = IIClawClient(settings.strict_url, settings.api_key, client.answers)
    yield strict_client
    strict_client.close()


@pytest.mark.parametrize("url", PRIVATE)
@pytest.mark.parametrize("channel_type, field", [("telegram", "api_url"), ("webhook", "callback_url")])
def test_a_private_address_is_refused(strict_client, user, valid_body, channel_type, field, url):
    body = valid_body(channel_type)
    body["fields"][field] = url
    with nothing_changes(strict_client, user):
        assert_problem(configure(strict_client, user, body), 400)
