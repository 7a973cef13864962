"""The channel calls, as the backend and its front end make them."""

import json
import uuid
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from checks import assert_channel, assert_rfc3339, is_true, items, stored
from client import IIClawError, as_form_value, channel_path, channels_path
from conftest import eventually
from people import ogg, png, unique


def wait_for_status(client, user, slug, status):
    eventually(lambda: client.channel(user, slug)["status"] == status, what=f"status {status}")


def wait_for_text(channel, recipient, text):
    eventually(lambda: text in channel.seen_by(recipient), what=f"{text!r} at {recipient}")


# --- health ---------------------------------------------------------------------------------------------------


def test_health_needs_no_key(anonymous):
    assert isinstance(anonymous.health(), dict)


# --- list -----------------------------------------------------------------------------------------------------


def test_a_new_user_has_no_channels(client, user):
    assert client.request("GET", channels_path(user)).json()["channels"] == []


@pytest.mark.parametrize("channel_type", ["webhook", "telegram"])
def test_a_listed_channel_has_every_key(client, user, valid_body, channel_type):
    slug = unique(channel_type)
    client.configure(user, slug, valid_body(channel_type))
    channel = client.channel(user, slug)
    assert_channel(channel)
    assert channel["instance_name_id"] == slug
    assert channel["channel_type"] == channel_type
    assert channel["enabled"] is True


def test_the_list_can_be_filtered_by_type(client, user, new_webhook, new_telegram):
    hook, bot = new_webhook(), new_telegram()
    expected = {"webhook": [hook.slug], "telegram": [bot.slug], "discord": [], None: sorted([hook.slug, bot.slug])}
    for channel_type, slugs in expected.items():
        assert sorted(c["instance_name_id"] for c in client.channels(user, channel_type)) == slugs


def test_users_see_only_their_own_channels(client, user, stranger, new_webhook):
    mine, theirs = new_webhook(), new_webhook(stranger)
    assert [c["instance_name_id"] for c in client.channels(user)] == [mine.slug]
    assert [c["instance_name_id"] for c in client.channels(stranger)] == [theirs.slug]


def test_two_users_may_use_the_same_slug(client, user, stranger, valid_body):
    slug = unique("shared")
    client.configure(user, slug, valid_body("webhook"))
    client.configure(stranger, slug, valid_body("webhook"))
    assert client.channel(user, slug)["id"] != client.channel(stranger, slug)["id"]


# --- configure ------------------------------------------------------------------------------------------------


def test_configure_answers_200_or_201_and_an_object(client, user, valid_body):
    response = client.request("POST", channel_path(user, unique("w"), "configure"), json=valid_body("webhook"))
    assert response.status_code in (200, 201)
    assert isinstance(response.json(), dict)


def test_names_have_defaults(client, user, new_webhook):
    channel = client.channel(user, new_webhook().slug)
    assert channel["instance_name"] == channel["instance_name_id"]
    assert channel["agent_id"] == ""


def test_names_can_be_given(client, user, new_webhook):
    hook = new_webhook(instance_name="My Käse bot 🧀", agent_id="deep_research")
    channel = client.channel(user, hook.slug)
    assert channel["instance_name"] == "My Käse bot 🧀"
    assert channel["agent_id"] == "deep_research"


def test_configuring_a_slug_again_does_not_make_a_second_channel(client, user, valid_body, new_webhook):
    slug = new_webhook().slug
    again = client.request("POST", channel_path(user, slug, "configure"), json=valid_body("webhook"))
    assert again.status_code < 500
    assert [c["instance_name_id"] for c in client.channels(user)] == [slug]


@pytest.mark.parametrize("channel_type", ["webhook", "telegram"])
def test_a_started_channel_becomes_running(client, user, valid_body, channel_type):
    slug = unique(channel_type)
    client.configure(user, slug, valid_body(channel_type))
    wait_for_status(client, user, slug, "running")


@pytest.mark.parametrize("ids", ["1, 2, 3", "1,2,3", [1, 2, 3], ["1", "2", "3"]], ids=repr)
@pytest.mark.parametrize("number", ["5", 5], ids=repr)
def test_lists_and_numbers_as_strings_and_natively(client, user, new_telegram, ids, number):
    bot = new_telegram(allowed_users=ids, poll_interval_secs=number)
    config = client.channel(user, bot.slug)["config_json"]
    assert items(config["allowed_users"]) == ["1", "2", "3"]
    assert str(config["poll_interval_secs"]) == "5"


@pytest.mark.parametrize("yes", ["true", True], ids=repr)
@pytest.mark.parametrize("intents", ["37376", 37376], ids=repr)
def test_booleans_as_strings_and_natively(client, user, valid_body, yes, intents):
    slug, body = unique("discord"), valid_body("discord")
    body["fields"] |= {"ignore_bots": yes, "intents": intents, "allowed_guilds": "12, 34"}
    client.configure(user, slug, body)
    config = client.channel(user, slug)["config_json"]
    assert is_true(config["ignore_bots"])
    assert str(config["intents"]) == "37376"
    assert items(config["allowed_guilds"]) == ["12", "34"]


@pytest.mark.parametrize("channels", ["C1, C2", ["C1", "C2"]], ids=repr)
def test_slack_fields(client, user, valid_body, channels):
    slug, body = unique("slack"), valid_body("slack")
    body["fields"]["allowed_channels"] = channels
    client.configure(user, slug, body)
    config = client.channel(user, slug)["config_json"]
    assert items(config["allowed_channels"]) == ["C1", "C2"]
    assert not {"app_token_env", "bot_token_env"} & config.keys()


@pytest.mark.parametrize("native", [False, True])
def test_allowed_users_are_the_only_ones_heard(new_telegram, backend, native):
    friend, foe = 100_000_001, 100_000_002
    bot = new_telegram(allowed_users=[friend, 7] if native else f"{friend}, 7")
    bot.write(unique("foe"), user_id=foe)
    text = unique("friend")
    bot.write(text, user_id=friend)
    backend.get(text)
    assert backend.texts() == [text]


# --- secrets --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channel_type", ["webhook", "telegram", "discord", "slack"])
def test_secrets_are_left_out_of_config(client, user, valid_body, channel_type):
    slug, body = unique(channel_type), valid_body(channel_type)
    client.configure(user, slug, body)
    config = client.channel(user, slug)["config_json"]
    secret_fields = {name for name in body["fields"] if name.endswith("_env")}
    assert not secret_fields & config.keys()  # nor a mask: the front end would save it
    # That the values are in no answer at all is checked after every test, in conftest.


def test_saving_the_edit_form_unchanged_changes_nothing(client, user, new_telegram):
    bot = new_telegram(allowed_users="11, 22", poll_interval_secs="1")
    before = client.channel(user, bot.slug)
    form = {k: as_form_value(v) for k, v in before["config_json"].items() if v not in (None, "", [])}
    client.update(user, bot.slug, fields=form, enabled=True, agent_id="", instance_name=bot.slug)
    assert client.channel(user, bot.slug)["config_json"] == before["config_json"]
    client.send(user, bot.slug, recipient=str(bot.person), message="still here")
    wait_for_text(bot, bot.person, "still here")


# --- update ---------------------------------------------------------------------------------------------------


def test_the_slug_never_changes(client, user, new_webhook):
    hook = new_webhook()
    before = client.channel(user, hook.slug)
    client.update(user, hook.slug, instance_name="Renamed")
    after = client.channel(user, hook.slug)
    assert after["instance_name"] == "Renamed"
    for key in ("id", "instance_name_id", "created_at", "channel_type", "config_json", "enabled", "agent_id"):
        assert after[key] == before[key]


def test_the_agent_can_be_set_and_cleared(client, user, new_webhook):
    slug = new_webhook().slug
    client.update(user, slug, agent_id="general")
    assert client.channel(user, slug)["agent_id"] == "general"
    client.update(user, slug, agent_id="")
    assert client.channel(user, slug)["agent_id"] == ""


def test_an_update_answers_an_object(client, user, new_webhook):
    assert isinstance(client.update(user, new_webhook().slug, instance_name="x"), dict)


@pytest.mark.parametrize("channel_type", ["webhook", "telegram"])
def test_a_channel_can_be_stopped_and_started(client, user, valid_body, channel_type):
    slug = unique(channel_type)
    client.configure(user, slug, valid_body(channel_type))
    client.update(user, slug, enabled=False)
    assert client.channel(user, slug)["enabled"] is False
    wait_for_status(client, user, slug, "stopped")
    client.update(user, slug, enabled=True)
    assert client.channel(user, slug)["enabled"] is True
    wait_for_status(client, user, slug, "running")


@pytest.mark.parametrize("no, yes", [("false", "true"), (False, True)], ids=repr)
def test_enabled_as_a_string_and_natively(client, user, new_webhook, no, yes):
    slug = new_webhook().slug
    for given, expected in ((no, False), (yes, True)):
        client.update(user, slug, enabled=given)
        assert client.channel(user, slug)["enabled"] is expected


def test_a_channel_that_is_meant_to_run_and_does_not_is_configured(client, user, emulator, new_telegram):
    bot = new_telegram()
    emulator.revoke(bot.token)
    wait_for_status(client, user, bot.slug, "configured")
    assert client.channel(user, bot.slug)["enabled"] is True
    emulator.revoke(bot.token, False)
    client.reload(user)
    wait_for_status(client, user, bot.slug, "running")


def test_fields_are_merged_not_replaced(client, user, new_telegram):
    bot = new_telegram(allowed_users="7, 8", poll_interval_secs="1")
    client.update(user, bot.slug, fields={"poll_interval_secs": "2"})
    config = client.channel(user, bot.slug)["config_json"]
    assert items(config["allowed_users"]) == ["7", "8"]
    assert str(config["poll_interval_secs"]) == "2"


def test_a_secret_absent_from_an_update_is_kept(client, user, new_telegram):
    bot = new_telegram()
    client.update(user, bot.slug, fields={"poll_interval_secs": "1"})
    client.send(user, bot.slug, recipient=str(bot.person), message="same bot")
    wait_for_text(bot, bot.person, "same bot")


def test_a_secret_in_an_update_replaces_the_old_one(client, user, new_telegram, mint):
    bot, token = new_telegram(), mint.bot_token()
    client.update(user, bot.slug, fields={"bot_token_env": token})
    client.send(user, bot.slug, recipient=str(bot.person), message="new bot")
    bot.token = token
    wait_for_text(bot, bot.person, "new bot")


# --- delete ---------------------------------------------------------------------------------------------------


def test_delete_answers_an_object_and_the_channel_is_gone(client, user, new_webhook):
    hook = new_webhook()
    response = client.request("DELETE", channel_path(user, hook.slug))
    assert response.status_code in (200, 202)
    assert isinstance(response.json(), dict)
    assert client.channels(user) == []
    with pytest.raises(IIClawError) as refused:
        client.send(user, hook.slug, recipient="x", message="y")
    assert refused.value.status == 404
    assert hook.write("anyone?").status_code == 404


def test_a_deleted_slug_and_token_can_be_used_again(client, user, valid_body):
    slug, body = unique("telegram"), valid_body("telegram")
    client.configure(user, slug, body)
    first = client.channel(user, slug)["id"]
    client.delete(user, slug)
    client.configure(user, slug, body)
    assert client.channel(user, slug)["id"] != first
    wait_for_status(client, user, slug, "running")


def test_deleting_one_channel_leaves_the_others(client, user, new_webhook):
    kept, gone = new_webhook(), new_webhook()
    client.delete(user, gone.slug)
    client.send(user, kept.slug, recipient="r", message="hello")
    wait_for_text(kept, "r", "hello")


# --- send -----------------------------------------------------------------------------------------------------


def test_send_answers_an_object_and_the_message_arrives(client, user, new_webhook):
    hook, text = new_webhook(), "Grüße, \"friend\" 👋\nsecond line"
    assert isinstance(client.send(user, hook.slug, recipient="ada", message=text), dict)
    wait_for_text(hook, "ada", text)


def test_a_callback_is_signed_and_complete(client, user, new_webhook):
    hook = new_webhook()
    client.send(user, hook.slug, recipient="ada", message="hello", thread_id="t-1")
    (callback,) = eventually(hook.callbacks)
    assert callback.is_signed_with(hook.secret)
    assert callback.headers["content-type"].startswith("application/json")
    body = callback.body
    assert isinstance(body["id"], str) and body["id"]
    assert (body["recipient"], body["text"], body["thread_id"]) == ("ada", "hello", "t-1")
    assert_rfc3339(body["timestamp"])


MEDIA = {
    "image_url": ("image", "image/png", png),
    "file_url": ("file", "application/octet-stream", ogg),
    "voice_url": ("voice", "audio/ogg", ogg),
    "video_url": ("video", "video/mp4", ogg),
}


@pytest.mark.parametrize("key", MEDIA)
def test_media_arrives_at_a_webhook_channel(client, user, new_webhook, world, key):
    (kind, mime, make), hook = MEDIA[key], new_webhook()
    content = make()
    url = world.serve(unique("file"), mime, content)
    client.send(user, hook.slug, recipient="ada", caption="look here", **{key: url})
    body = eventually(lambda: [c.body for c in hook.callbacks() if c.body.get("media")])[0]
    assert body["media"]["kind"] == kind
    assert httpx.get(body["media"]["url"], trust_env=False).content == content
    assert "look here" in (body.get("text"), body["media"].get("caption"))


def test_a_file_keeps_its_name(client, user, new_webhook, world):
    hook = new_webhook()
    url = world.serve(unique("file"), "application/pdf", b"%PDF-1.7")
    client.send(user, hook.slug, recipient="ada", file_url=url, filename="Bericht März.pdf")
    body = eventually(lambda: [c.body for c in hook.callbacks() if c.body.get("media")])[0]
    assert body["media"]["filename"] == "Bericht März.pdf"


def test_a_message_and_an_image_both_arrive(client, user, new_webhook, world):
    hook = new_webhook()
    url = world.serve(unique("file"), "image/png", png())
    client.send(user, hook.slug, recipient="ada", message="see the picture", image_url=url)
    wait_for_text(hook, "ada", "see the picture")
    eventually(lambda: any(c.body.get("media") for c in hook.callbacks()), what="the image")


def test_a_message_arrives_in_telegram(client, user, new_telegram):
    bot, text = new_telegram(), unique("hello")
    assert isinstance(client.send(user, bot.slug, recipient=str(bot.person), message=text), dict)
    wait_for_text(bot, bot.person, text)


@pytest.mark.parametrize("key", MEDIA)
def test_media_arrives_in_telegram(client, user, new_telegram, world, key):
    (_, mime, make), bot, caption = MEDIA[key], new_telegram(), unique("caption")
    url = world.serve(unique("file"), mime, make())
    client.send(user, bot.slug, recipient=str(bot.person), caption=caption, **{key: url})
    eventually(lambda: caption in json.dumps(bot.sent()), what=f"{key} with its caption")


def test_null_options_are_as_good_as_absent(client, user, new_webhook):
    hook = new_webhook()
    client.send(user, hook.slug, recipient="ada", message="hi", image_url=None, caption=None, thread_id=None)
    wait_for_text(hook, "ada", "hi")


def test_an_accepted_message_outlives_a_stop(client, user, new_webhook):
    """Under 400 means safe: sent or durably queued, even when the channel is stopped."""
    hook = new_webhook()
    client.update(user, hook.slug, enabled=False)
    body = {"recipient": "ada", "message": "for later"}
    accepted = client.request("POST", channel_path(user, hook.slug, "send"), json=body).status_code < 400
    client.update(user, hook.slug, enabled=True)
    if accepted:
        wait_for_text(hook, "ada", "for later")


def test_a_queued_message_is_safe_and_arrives_once(client, user, new_webhook, world):
    """A platform that asks for more time than a send waits: 202, and no need to send it again."""
    hook, text = new_webhook(), unique("later")
    world.refuse_next(hook.name, 503, Retry_After="11")
    path, body = channel_path(user, hook.slug, "send"), {"recipient": "ada", "message": text}
    answers = [client.request("POST", path, json=body, headers={"Idempotency-Key": text}) for _ in range(2)]
    assert [answer.status_code for answer in answers[:1]] == [202]
    assert answers[0].json()["status"] == "queued" and answers[0].json()["id"] == answers[1].json()["id"]
    eventually(lambda: len(hook.callbacks()) >= 2, 30, what="the second attempt")
    client.send(user, hook.slug, recipient="ada", message="behind it")
    wait_for_text(hook, "ada", "behind it")
    refused, taken, _ = hook.callbacks()
    assert refused.body == taken.body and taken.body["text"] == text
    assert refused.headers["webhook-id"] == taken.headers["webhook-id"] == answers[0].json()["id"]


def test_an_uncertain_message_is_not_sent_again(client, user, emulator, new_telegram):
    """The platform took it and its answer was lost: 202, because sending it again would show it twice."""
    bot, text = new_telegram(), unique("maybe")
    emulator.drop_next(bot.token, "sendMessage")
    body = {"recipient": str(bot.person), "message": text}
    answer = client.request("POST", channel_path(user, bot.slug, "send"), json=body)
    assert (answer.status_code, answer.json()["status"]) == (202, "uncertain")
    client.send(user, bot.slug, recipient=str(bot.person), message="behind it")
    wait_for_text(bot, bot.person, "behind it")
    assert bot.seen_by(bot.person) == [text, "behind it"]


def test_many_sends_at_once_arrive_once_each(client, user, new_webhook):
    hook, texts = new_webhook(), [f"message {n}" for n in range(30)]
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda text: client.send(user, hook.slug, recipient="ada", message=text), texts))
    eventually(lambda: set(hook.seen_by("ada")) >= set(texts), what="every message")
    assert sorted(hook.seen_by("ada")) == sorted(texts)


@pytest.mark.parametrize("call", ["update", "delete", "send"])
def test_a_strangers_channel_is_not_there(client, user, stranger, new_webhook, call):
    hook = new_webhook()
    before = stored(client, user)
    body = {"send": {"recipient": "x", "message": "y"}, "update": {"enabled": False}, "delete": {}}[call]
    with pytest.raises(IIClawError) as refused:
        getattr(client, call)(stranger, hook.slug, **body)
    assert refused.value.status == 404
    assert stored(client, user) == before


# --- reload ---------------------------------------------------------------------------------------------------


def test_reload_answers_an_object_and_channels_go_on(client, user, new_webhook, new_telegram):
    hook, bot = new_webhook(), new_telegram()
    before = stored(client, user)
    assert isinstance(client.reload(user), dict)
    assert stored(client, user) == before
    for slug in (hook.slug, bot.slug):
        wait_for_status(client, user, slug, "running")
    client.send(user, bot.slug, recipient=str(bot.person), message="after reload")
    wait_for_text(bot, bot.person, "after reload")


def test_a_reload_without_channels_is_fine(client):
    assert isinstance(client.reload(f"user_{uuid.uuid4().hex}"), dict)
