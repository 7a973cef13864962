"""What the gateway posts to the backend, and how the answer finds its way back."""

import hashlib
import hmac
import json
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from checks import SESSION_KEYS, assert_inbound_body, assert_rfc3339
from client import answer_target, session_key
from conftest import eventually
from people import ogg, png, unique
from receiver import PROCESSING

ACCEPTED_SILENTLY = {"async_processing": True}


def see(channel, recipient, text, timeout=15.0):
    eventually(lambda: text in channel.seen_by(recipient), timeout, what=f"{text!r} at {recipient}")


def download(url: str) -> bytes:
    assert url.startswith(("http://", "https://"))
    response = httpx.get(url, timeout=30.0, follow_redirects=True, trust_env=False)
    assert response.status_code == 200
    return response.content


# --- the request ----------------------------------------------------------------------------------------------


def test_a_third_partys_message_is_accepted(new_webhook):
    response = new_webhook().write("hello")
    assert response.status_code == 200
    assert response.json()["status"] == "accepted"
    assert response.json()["id"]


TEXTS = ["plain", "Grüße 👋 <b>&amp;</b> \\ \"q\" \u2028\n\ttab", "e\u0301 \u200f عربي", "x" * 3000]


@pytest.mark.parametrize("text", TEXTS)
def test_the_signature_is_over_the_exact_bytes(new_webhook, backend, settings, text):
    marker = unique("m")
    new_webhook().write(f"{marker} {text}")
    request = backend.get(marker)
    digest = hmac.new(settings.webhook_secret.encode(), request.raw, hashlib.sha256).hexdigest()
    assert request.headers["x-webhook-signature"] == f"sha256={digest}"
    assert request.headers["content-type"].split(";")[0] == "application/json"
    assert request.body["text"] == f"{marker} {text}"


def test_it_is_a_standard_webhook_too(new_webhook, backend, settings):
    text = unique("hi")
    new_webhook().write(text)
    request = backend.get(text)
    assert request.has_standard_signature(settings.webhook_secret)
    assert abs(int(request.headers["webhook-timestamp"]) - time.time()) < 300


# --- the body -------------------------------------------------------------------------------------------------


def test_the_body_of_a_direct_message(new_webhook, backend, user):
    hook, text = new_webhook(instance_name="A display name"), unique("hi")
    hook.write(text, message_id=unique("id"))
    body = backend.get(text).body
    assert_inbound_body(body)
    assert body["user_id"] == user
    assert body["channel"] == "webhook"
    assert body["instance_name"] == hook.slug
    assert body["content_type"] == "text"
    assert body["is_group"] is False
    assert body["sender"]["platform_id"] == hook.person
    assert body["sender"]["display_name"] == "Ada Lovelace"
    assert answer_target(body)["recipient"] == hook.person
    assert_rfc3339(body["timestamp"])


def test_the_message_id_is_passed_on(new_webhook, backend):
    hook, message_id, text = new_webhook(), unique("id"), unique("hi")
    hook.write(text, message_id=message_id)
    assert backend.get(text).body["platform_message_id"] == message_id


def test_the_agent_is_passed_on(client, user, new_webhook, backend):
    hook, first, second = new_webhook(agent_id="fast_research"), unique("first"), unique("second")
    hook.write(first)
    assert backend.get(first).body["agent_id"] == "fast_research"
    client.update(user, hook.slug, agent_id="")
    hook.write(second)
    assert not backend.get(second).body.get("agent_id")


def test_in_a_group_the_answer_goes_to_the_group(new_webhook, backend):
    hook, group, text = new_webhook(), unique("group"), unique("hi")
    hook.write(text, conversation_id=group, is_group=True)
    body = backend.get(text).body
    assert_inbound_body(body)
    assert body["is_group"] is True
    assert body["sender"]["platform_id"] == hook.person
    assert body["reply_to"]["recipient"] == group


def test_the_conversation_has_one_stable_key(new_webhook, backend):
    hook, texts = new_webhook(), [unique("t") for _ in range(3)]
    here, there = unique("here"), unique("there")
    hook.write(texts[0], conversation_id=here, is_group=True)
    hook.write(texts[1], conversation_id=here, is_group=True, sender={"id": unique("other")})
    hook.write(texts[2], conversation_id=there, is_group=True)
    keys = [session_key(backend.get(text).body["metadata"]) for text in texts]
    assert all(isinstance(key, str) and key for key in keys)
    assert keys[0] == keys[1] != keys[2]


def test_a_direct_conversation_has_a_chat_id(new_webhook, backend):
    hook, texts = new_webhook(), [unique("t"), unique("t")]
    for text in texts:
        hook.write(text)
    first, second = (backend.get(text).body["metadata"]["chat_id"] for text in texts)
    assert isinstance(first, str) and first
    assert first == second


def test_a_thread_is_kept_on_the_way_in_and_out(new_webhook, backend):
    hook, thread, text = new_webhook(), unique("thread"), unique("hi")
    hook.write(text, conversation_id=unique("group"), is_group=True, thread_id=thread)
    body = backend.get(text).body
    assert body["thread_id"] == body["reply_to"]["thread_id"] == thread
    backend.answer(body, "in the thread")
    callbacks = eventually(lambda: [c.body for c in hook.callbacks() if c.body.get("text") == "in the thread"])
    assert callbacks[0]["thread_id"] == thread


def test_a_third_party_cannot_make_the_session_key_anything_but_a_string(new_webhook, backend):
    text = unique("hi")
    response = new_webhook().write(text, metadata={"chat_id": 5, "thread_id": {"a": 1}, "channel_id": []})
    assert response.status_code < 500
    if response.status_code < 400:
        metadata = backend.get(text).body["metadata"]
        present = [metadata[key] for key in SESSION_KEYS if metadata.get(key) is not None]
        assert present and all(isinstance(value, str) for value in present)


def test_a_direct_telegram_message(new_telegram, backend, user):
    bot, text = new_telegram(), unique("hi")
    bot.write(text)
    body = backend.get(text).body
    assert_inbound_body(body)
    assert (body["user_id"], body["channel"], body["instance_name"]) == (user, "telegram", bot.slug)
    assert (body["content_type"], body["text"], body["is_group"]) == ("text", text, False)
    assert body["platform_message_id"]
    assert body["sender"]["platform_id"] == str(bot.person)
    assert "Grace" in body["sender"]["display_name"]
    assert answer_target(body)["recipient"] == str(bot.person)
    assert body["metadata"]["chat_id"] == str(bot.person)
    assert_rfc3339(body["timestamp"])


def test_a_telegram_group_message(new_telegram, backend):
    bot, text = new_telegram(), unique("hi")
    bot.write_in_group(text, title="deep_research")
    body = backend.get(text).body
    assert_inbound_body(body)
    assert body["is_group"] is True
    assert body["sender"]["platform_id"] == str(bot.person)
    assert body["reply_to"]["recipient"] == body["metadata"]["chat_id"] == str(bot.group)
    assert body["metadata"]["chat_title"] == "deep_research"


def test_messages_of_many_people_at_once_all_arrive(new_webhook, backend):
    hook, texts = new_webhook(), [unique("t") for _ in range(30)]
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda text: hook.write(text, sender={"id": unique("p")}), texts))
    assert {a.status_code for a in answers} == {200}
    eventually(lambda: set(backend.texts()) >= set(texts), what="every message")


# --- the answers ----------------------------------------------------------------------------------------------


def test_an_immediate_reply_reaches_a_webhook_person(new_webhook):
    hook = new_webhook()
    hook.write("hello")
    see(hook, hook.person, PROCESSING["immediate_reply"])


def test_an_immediate_reply_in_a_group_reaches_the_group(new_webhook):
    hook, group = new_webhook(), unique("group")
    hook.write("hello", conversation_id=group, is_group=True)
    see(hook, group, PROCESSING["immediate_reply"])
    assert hook.seen_by(hook.person) == []


def test_an_immediate_reply_reaches_a_telegram_person(new_telegram):
    bot = new_telegram()
    bot.write("hello")
    see(bot, bot.person, PROCESSING["immediate_reply"])


@pytest.mark.parametrize("answer", [{"immediate_reply": ""}, {"immediate_reply": None}, {}], ids=repr)
def test_an_empty_immediate_reply_is_not_shown(new_webhook, backend, receiver, user, answer):
    receiver.answer_with(user, ACCEPTED_SILENTLY | answer)
    hook, text = new_webhook(), unique("hi")
    hook.write(text)
    backend.answer(backend.get(text).body, "done")
    see(hook, hook.person, "done")
    assert hook.seen_by(hook.person) == ["done"]


def test_a_synchronous_reply_reaches_the_person(new_webhook, receiver, user):
    receiver.answer_with(user, {"reply": "Right away."})
    hook = new_webhook()
    hook.write("hello")
    see(hook, hook.person, "Right away.")


def test_the_later_answer_reaches_a_webhook_person(new_webhook, backend):
    hook, text = new_webhook(instance_name="Another name"), unique("hi")
    hook.write(text)
    backend.answer(backend.get(text).body, "the answer")
    see(hook, hook.person, "the answer")


def test_the_later_answer_reaches_a_webhook_group(new_webhook, backend):
    hook, group, text = new_webhook(), unique("group"), unique("hi")
    hook.write(text, conversation_id=group, is_group=True)
    backend.answer(backend.get(text).body, "the answer")
    see(hook, group, "the answer")


@pytest.mark.parametrize("where", ["person", "group"])
def test_the_later_answer_reaches_a_telegram_chat(new_telegram, backend, where):
    bot, text, answer = new_telegram(), unique("hi"), unique("answer")
    bot.write_in_group(text) if where == "group" else bot.write(text)
    backend.answer(backend.get(text).body, answer)
    see(bot, getattr(bot, where), answer)


# --- media ----------------------------------------------------------------------------------------------------


def test_a_telegram_photo_can_be_downloaded(new_telegram, backend):
    bot, picture, caption = new_telegram(), png(), unique("caption")
    bot.photo(picture, caption)
    body = backend.first(lambda b: b.get("media_url"), "a photo").body
    assert_inbound_body(body)
    assert body["content_type"] == "image"
    assert body["text"] == caption
    assert download(body["media_url"]) == picture
    assert bot.token.split(":")[1] not in json.dumps(body)


def test_a_telegram_voice_message_can_be_downloaded(new_telegram, backend):
    bot, sound = new_telegram(), ogg()
    bot.voice(sound, duration=7)
    body = backend.first(lambda b: b.get("media_url"), "a voice message").body
    assert_inbound_body(body)
    assert body["content_type"] == "voice"
    assert body["media_duration_seconds"] == 7
    assert download(body["media_url"]) == sound
    assert bot.token.split(":")[1] not in json.dumps(body)


@pytest.mark.parametrize("kind", ["image", "video", "audio", "voice", "file"])
def test_a_third_partys_media_can_be_downloaded(new_webhook, backend, world, kind):
    hook, content = new_webhook(), png()
    media = {"kind": kind, "url": world.serve(unique("f"), "image/png", content), "filename": "a b.png"}
    hook.write(None, media=media | {"duration_seconds": 3})
    body = backend.first(lambda b: b.get("media_url"), "the media").body
    assert_inbound_body(body)
    assert body["content_type"] == kind
    assert body["media_filename"] == "a b.png"
    assert body["media_duration_seconds"] == 3
    assert download(body["media_url"]) == content


# --- redelivery -----------------------------------------------------------------------------------------------


def test_a_failed_delivery_is_tried_again_as_the_same_one(new_webhook, backend, receiver, user, settings):
    receiver.answer_next_with(user, {"detail": "not now"}, status=500)
    hook, text = new_webhook(), unique("hi")
    hook.write(text)
    first, second = eventually(lambda: backend.attempts()[1:] and backend.attempts(), 60, "a second attempt")[:2]
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    assert first.has_standard_signature(settings.webhook_secret)
    assert second.has_standard_signature(settings.webhook_secret)
    see(hook, hook.person, PROCESSING["immediate_reply"])


def test_two_messages_have_two_webhook_ids(new_webhook, backend):
    hook, texts = new_webhook(), [unique("t"), unique("t")]
    for text in texts:
        hook.write(text)
    assert len({backend.get(text).headers["webhook-id"] for text in texts}) == 2


def test_one_failed_delivery_does_not_hold_up_the_neighbours(new_webhook, backend, receiver, user, stranger):
    receiver.answer_with(stranger, {"detail": "never"}, status=500)
    theirs, mine, text = new_webhook(stranger), new_webhook(), unique("mine")
    theirs.write("stuck")
    eventually(lambda: receiver.attempts(stranger), what="the failing attempt")
    mine.write(text)
    backend.get(text)
    receiver.answer_with(stranger, PROCESSING)
