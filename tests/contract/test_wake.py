"""`POST /hooks/wake`: a text that no person wrote reaches the backend as a signed webhook."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from checks import assert_inbound_body, assert_problem, assert_rfc3339
from client import answer_target, session_key, user_path
from conftest import eventually
from people import unique

WAKE = "/hooks/wake"


@pytest.fixture
def hook(new_webhook):
    return new_webhook()


def in_chat(hook, **more) -> dict:
    return {"channel": hook.slug, "recipient": "ada"} | more


# --- what the caller and the backend get ----------------------------------------------------------------------


def test_it_is_accepted_and_reaches_the_backend(client, user, backend, settings):
    text = unique("wake")
    response = client.request("POST", WAKE, json={"text": text, "user_id": user})
    assert response.status_code == 202
    woken = response.json()
    assert (woken["status"], woken["mode"]) == ("accepted", "now")
    assert str(uuid.UUID(woken["id"])) == woken["id"]
    delivery = backend.get(text)
    assert delivery.is_signed_with(settings.webhook_secret) and delivery.has_standard_signature(settings.webhook_secret)
    assert delivery.headers["webhook-id"] == woken["id"]
    assert_inbound_body(delivery.body)
    assert (delivery.body["user_id"], delivery.body["text"], delivery.body["content_type"]) == (user, text, "text")
    assert delivery.body["metadata"]["source"] == "wake"
    assert_rfc3339(delivery.body["timestamp"])


def test_without_a_chat_nobody_waits_for_an_answer(client, user, backend):
    text = unique("wake")
    client.wake(text=text, user_id=user, mode="now")
    body = backend.get(text).body
    assert not body.get("reply_to") and not body.get("sender")
    assert session_key(body["metadata"])


def test_with_a_chat_the_answer_goes_there(client, user, hook, backend):
    text, answer = unique("wake"), unique("answer")
    client.wake(text=text, user_id=user, **in_chat(hook, thread_id="t-1"))
    body = backend.get(text).body
    assert_inbound_body(body)
    assert (body["channel"], body["instance_name"]) == ("webhook", hook.slug)
    assert body["reply_to"] == {"channel": "webhook", "recipient": "ada", "thread_id": "t-1"}
    backend.answer(body, answer)
    (callback,) = eventually(lambda: [c.body for c in hook.callbacks() if c.body.get("text") == answer])
    assert (callback["recipient"], callback["thread_id"]) == ("ada", "t-1")


def test_it_is_of_the_same_session_as_the_chat(client, user, hook, backend):
    said, woken = unique("said"), unique("wake")
    hook.write(said)
    client.wake(text=woken, user_id=user, channel=hook.slug, recipient=hook.person)
    keys = [session_key(backend.get(text).body["metadata"]) for text in (said, woken)]
    assert keys[0] == keys[1]
    assert backend.texts() == [said, woken]


def test_a_channel_by_its_type_and_a_numeric_recipient(client, user, new_telegram, backend):
    bot, text = new_telegram(), unique("wake")
    client.wake(text=text, user_id=user, channel="telegram", recipient=bot.person)
    body = backend.get(text).body
    assert body["instance_name"] == bot.slug
    assert answer_target(body) == {"recipient": str(bot.person)}


def test_the_agent_and_metadata_are_handed_on(client, user, backend):
    text = unique("wake")
    metadata = {"chat_id": "my-session", "alert": {"level": 3, "hosts": ["a", "b"]}}
    client.wake(text=text, user_id=user, agent_id="research", metadata=metadata)
    body = backend.get(text).body
    assert_inbound_body(body)
    assert body["agent_id"] == "research"
    assert body["metadata"] == metadata | {"source": "wake"}


def test_the_longest_text_arrives_whole(client, user, backend):
    text = unique("wake").ljust(4096, "ä")
    client.wake(text=text, user_id=user)
    assert backend.get(text).body["text"] == text


def test_null_options_are_as_good_as_absent(client, user, backend):
    text = unique("wake")
    options = ("mode", "agent_id", "channel", "recipient", "thread_id", "metadata", "idempotency_key")
    assert client.wake(text=text, user_id=user, **dict.fromkeys(options))["mode"] == "now"
    assert not backend.get(text).body.get("reply_to")


# --- when -----------------------------------------------------------------------------------------------------


@pytest.fixture
def no_heartbeat(client, user):
    """No heartbeat of the user is near. They lie at seconds of the user's own, other ones for each interval."""
    for seconds in range(3600, 4000, 50):
        body = {"heartbeat_every_secs": seconds}
        settings = client.request("PUT", f"{user_path(user)}/settings", json=body).json()
        if datetime.fromisoformat(settings["next_heartbeat_at"]) - datetime.now(UTC) > timedelta(minutes=2):
            return
    pytest.fail("the user's heart beats all the time")


@pytest.mark.parametrize("mode", ["next_heartbeat", "next-heartbeat"])
def test_what_waits_for_the_heartbeat_is_not_told_now(client, user, hook, backend, no_heartbeat, mode):
    later, now = unique("later"), unique("now")
    waiting = client.wake(text=later, user_id=user, mode=mode, **in_chat(hook))
    assert (waiting["status"], waiting["mode"]) == ("accepted", "next_heartbeat")
    client.wake(text=now, user_id=user, **in_chat(hook))
    backend.get(now)
    assert backend.texts() == [now]


# --- once -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["now", "next_heartbeat"])
def test_a_repeated_key_is_the_same_wake_up(client, user, backend, no_heartbeat, mode):
    text, key = unique("wake"), unique("key")
    first = client.wake(text=text, user_id=user, mode=mode, idempotency_key=key)
    again = client.wake(text=text, user_id=user, mode=mode, idempotency_key=key)
    assert again["id"] == first["id"]
    end = unique("end")
    client.wake(text=end, user_id=user)
    backend.get(end)
    assert backend.texts().count(text) == (1 if mode == "now" else 0)


def test_the_key_may_be_a_header_too(client, user):
    key, body = unique("key"), {"text": "hello", "user_id": user}
    ids = {
        client.request("POST", WAKE, json=body | more, headers=headers).json()["id"]
        for more, headers in [({"idempotency_key": key}, {}), ({"idempotency_key": key}, {"Idempotency-Key": key})]
    }
    assert len(ids) == 1


def test_no_key_is_two_wake_ups(client, user, backend):
    text = unique("wake")
    ids = {client.wake(text=text, user_id=user)["id"] for _ in range(2)}
    assert len(ids) == 2
    eventually(lambda: backend.texts() == [text, text], what="both")


# --- what makes no sense --------------------------------------------------------------------------------------

BAD = {
    "no text": {"text": None},
    "empty text": {"text": ""},
    "blank text": {"text": " \n"},
    "long text": {"text": "x" * 4097},
    "list text": {"text": ["a"]},
    "no user": {"user_id": None},
    "empty user": {"user_id": ""},
    "number user": {"user_id": 5},
    "unknown mode": {"mode": "tomorrow"},
    "list mode": {"mode": ["now"]},
    "unknown channel": {"channel": "slack_ffffffff", "recipient": "ada"},
    "channel without recipient": {"channel": "{slug}"},
    "recipient without channel": {"recipient": "ada"},
    "object recipient": {"channel": "{slug}", "recipient": {"id": "ada"}},
    "list thread": {"channel": "{slug}", "recipient": "ada", "thread_id": ["t"]},
    "list agent": {"agent_id": ["a"]},
    "list metadata": {"metadata": ["a"]},
    "text metadata": {"metadata": "a"},
    "number session": {"metadata": {"chat_id": 5}},
    "large metadata": {"metadata": {"a": "x" * 40_000}},
    "empty key": {"idempotency_key": ""},
    "number key": {"idempotency_key": 5},
    "unknown key": {"no_such_key": 1},
}


@pytest.mark.parametrize("wrong", BAD.values(), ids=BAD)
def test_a_bad_wake_up_is_refused_and_reaches_nobody(client, user, hook, backend, wrong):
    bad = {key: hook.slug if value == "{slug}" else value for key, value in wrong.items()}
    assert_problem(client.request("POST", WAKE, json={"text": "hello", "user_id": user} | bad), 400)
    good = unique("good")
    client.wake(text=good, user_id=user)
    backend.get(good)
    assert backend.texts() == [good]


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b'"a"'], ids=repr)
def test_a_body_that_is_no_object(client, raw):
    assert_problem(client.request("POST", WAKE, content=raw), 400)


@pytest.mark.parametrize("header", [None, "Bearer not-the-key"], ids=["none", "wrong"])
def test_no_call_without_the_key(anonymous, client, user, backend, header):
    headers = {"Authorization": header} if header else {}
    refused = anonymous.request("POST", WAKE, json={"text": "hello", "user_id": user}, headers=headers)
    # Whoever comes with many wrong keys is told to wait, from some point on.
    assert_problem(refused, 429 if refused.headers.get("retry-after") else 401)
    good = unique("good")
    client.wake(text=good, user_id=user)
    backend.get(good)
    assert backend.texts() == [good]
