"""The calls about channels and sends, at a real gateway, and how calls are repeated."""

import asyncio

import pytest
from ii_claw_client import AsyncClient, BadRequest, Client, ConnectionFailed, NotFound, Unauthorized, models
from people import Flaky, assert_fits, unique


# --- channels ------------------------------------------------------------------------------------------------------


def test_a_channel_from_its_making_to_its_end(client, user):
    made = client.configure_channel(user, "chat", "webchat", {"greeting": "Hello!"}, agent_id="research")
    assert_fits(made, models.Channel)
    assert (made["instance_name_id"], made["channel_type"], made["agent_id"]) == ("chat", "webchat", "research")
    changed = client.update_channel(user, "chat", instance_name="Our chat", fields={"title": "Ask us"})
    assert changed["instance_name"] == "Our chat"
    assert changed["config_json"] == {"greeting": "Hello!", "title": "Ask us"}
    assert changed["agent_id"] == "research", "what is not given stays"
    assert client.update_channel(user, "chat", agent_id=None)["agent_id"] == ""
    assert client.update_channel(user, "chat", enabled=False)["status"] == "stopped"
    assert [channel["id"] for channel in client.channels(user, "webchat")] == [made["id"]]
    assert client.channels(user, "telegram") == []
    assert client.reload_channels(user)["channels"] == 1
    assert "webchat" in [kind["name"] for kind in client.channel_types()["channels"]]
    assert_fits(client.test_channel(user, "chat"), models.Tested)
    assert client.delete_channel(user, "chat")["id"] == made["id"]
    assert client.channels(user) == []


def test_people_are_let_in_by_code(client, user):
    fields = {"secret_env": "a-secret", "callback_url": "http://127.0.0.1:9/x", "dm_policy": "pairing"}
    client.configure_channel(user, "bot", "webhook", fields)
    made = client.invite(user, "bot", expires_in_seconds=60)
    assert_fits(made, models.Pairing)
    assert made["state"] == "invited"
    page = client.pairings(user, "bot", state="invited")
    assert_fits(page, models.PairingPage)
    assert page["pairings"] == [made]
    assert client.revoke_pairing(user, "bot", made["code"]) == made
    assert client.pairings(user, "bot")["pairings"] == []
    with pytest.raises(NotFound):
        client.approve_pairing(user, "bot", made["code"])


def test_names_are_encoded_in_paths(client):
    user = unique("weird?user#%&+é")
    made = client.configure_channel(user, "chat", "webchat", {})
    assert [channel["id"] for channel in client.channels(user)] == [made["id"]]
    client.delete_channel(user, "chat")


def test_health(client):
    assert client.health()["status"] == "ok"


# --- errors --------------------------------------------------------------------------------------------------------


def test_an_error_carries_the_problem(client, user):
    with pytest.raises(BadRequest) as caught:
        client.configure_channel(user, "chat", "no-such-type", {})
    error = caught.value
    assert error.status == 400
    assert error.title == "Bad Request"
    assert "no-such-type" in error.detail and error.detail in str(error)
    assert error.body["error"] == error.detail
    assert error.type == error.body["type"]
    with pytest.raises(NotFound):
        client.send(user, "nowhere", "ann", "hello")


def test_a_wrong_key(settings, user):
    with Client(settings.url, "not-the-key", retries=0) as stranger, pytest.raises(Unauthorized):
        stranger.channels(user)


def test_nobody_there():
    with Client("http://127.0.0.1:1", "key", retries=1) as client, pytest.raises(ConnectionFailed):
        client.health()


# --- sending -------------------------------------------------------------------------------------------------------


def test_a_send_reaches_the_person(client, user, new_person):
    person = new_person()
    sent = client.send(user, "hook", person.id, "hello")
    assert sent["status"] == "sent"
    assert person.sees() == ["hello"]


def test_the_same_key_is_the_same_message_and_no_key_is_another(client, user, new_person):
    person = new_person()
    first = client.send(user, "hook", person.id, "once", idempotency_key="k")
    again = client.send(user, "hook", person.id, "once", idempotency_key="k")
    assert (again["id"], again.get("duplicate")) == (first["id"], True)
    others = {client.send(user, "hook", person.id, "twice")["id"] for _ in range(2)}
    assert len(others) == 2
    assert person.sees() == ["once", "twice", "twice"]


@pytest.mark.parametrize("plan", [["503"], ["cut"], ["lost"], ["503", "lost", "cut", "lost"]], ids="-".join)
def test_whatever_is_lost_the_person_sees_it_once(settings, user, new_person, plan):
    person = new_person()
    flaky = Flaky(settings.url, plan)
    with Client(flaky.url, settings.key) as client:
        sent = client.send(user, "hook", person.id, "hello")
    flaky.stop()
    assert sent["status"] == "sent"
    assert bool(sent.get("duplicate")) == ("lost" in plan)
    assert len(flaky.keys) == len(plan) + 1 and len(set(flaky.keys)) == 1 and flaky.keys[0]
    assert person.sees() == ["hello"]


def test_what_could_be_done_twice_is_not_repeated(settings, client, user):
    client.configure_channel(user, "chat", "webchat", {})
    flaky = Flaky(settings.url, ["lost"])
    with Client(flaky.url, settings.key) as hopeful, pytest.raises(ConnectionFailed):
        hopeful.delete_channel(user, "chat")
    flaky.stop()
    assert len(flaky.keys) == 1
    assert client.channels(user) == []


def test_it_gives_up(settings, user):
    flaky = Flaky(settings.url, ["cut"] * 10)
    with Client(flaky.url, settings.key, retries=2) as client, pytest.raises(ConnectionFailed):
        client.channels(user)
    flaky.stop()
    assert len(flaky.keys) == 3


def test_a_sent_message_is_changed_and_taken_back(client, user):
    client.configure_channel(user, "chat", "webchat", {})
    sent = client.send(user, "chat", "visitor", "hello")
    assert_fits(sent, models.Sent)
    assert client.edit_message(user, "chat", sent["id"], "good evening")["status"] in ("sent", "queued")
    assert client.react(user, "chat", sent["id"], "👍")["status"] in ("sent", "queued")
    assert client.delete_message(user, "chat", sent["id"])["status"] in ("sent", "queued")


# --- the other client ----------------------------------------------------------------------------------------------


def test_the_async_client_does_the_same(settings, user, with_async, new_person):
    person = new_person()

    async def work(client):
        assert [c["instance_name_id"] for c in await client.channels(user)] == ["hook"]
        with pytest.raises(NotFound):
            await client.send(user, "nowhere", "ann", "hello")
        return await client.send(user, "hook", person.id, "hello")

    assert with_async(work)["status"] == "sent"
    assert person.sees() == ["hello"]


def test_the_async_client_repeats_as_well(settings, user, new_person):
    person, flaky = new_person(), Flaky(settings.url, ["503", "lost"])

    async def work():
        async with AsyncClient(flaky.url, settings.key) as client:
            return await client.send(user, "hook", person.id, "hello")

    assert asyncio.run(work())["duplicate"] is True
    flaky.stop()
    assert person.sees() == ["hello"]


def test_both_clients_have_the_same_methods():
    assert {n for n in dir(Client) if not n.startswith("_")} == {n for n in dir(AsyncClient) if not n.startswith("_")}


def test_the_key_is_not_sent_to_where_an_attachment_is(third_party, settings):
    seen = {}

    def handle(request, body):
        seen.update({name.lower(): value for name, value in request.headers.items()})
        request.reply(200, b"picture", "image/png")

    third_party.handle = handle
    with Client(settings.url, settings.key) as client:
        assert client.download(f"{third_party.url}/media/x?signature=y") == b"picture"
    assert seen and "authorization" not in seen
    assert settings.key not in str(seen)
