"""What became of messages, and what is done about those that ended without success."""

import pytest
from ii_claw_client import Conflict, Refused, models
from people import assert_fits, unique


@pytest.fixture
def refused(client, user, new_person):
    """Ids of messages that the platform refused, oldest first."""
    person = new_person("refuses", "/refuse")

    def make(count: int) -> list[str]:
        ids = []
        for n in range(count):
            with pytest.raises(Refused) as caught:
                client.send(user, "refuses", person.id, f"message {n}")
            ids.append(caught.value.message_id)
        return ids

    return make


def states(client, user) -> list[str]:
    return [message["state"] for message in client.every(client.messages, user)]


def test_messages_page_after_page(client, user, new_person):
    person = new_person()
    ids = [client.send(user, "hook", person.id, f"message {n}")["id"] for n in range(5)]
    found = [message["id"] for message in client.every(client.messages, user, direction="out", limit=2)]
    assert found == ids[::-1]
    page = client.messages(user, limit=1)
    assert_fits(page, models.Messages)
    assert_fits(page["messages"][0], models.Message)
    assert_fits(client.message(user, ids[0]), models.MessageDetail)


def test_the_async_client_pages_too(user, with_async, client, new_person):
    person = new_person()
    ids = [client.send(user, "hook", person.id, f"message {n}")["id"] for n in range(3)]

    async def work(client):
        return [message["id"] async for message in client.every(client.messages, user, limit=1)]

    assert with_async(work) == ids[::-1]


def test_one_dead_letter_is_tried_again_or_put_aside(client, user, refused):
    (id,) = refused(1)
    retried = client.retry_message(user, id)
    assert_fits(retried, models.Retried)
    assert (retried["id"], retried["was"], retried["retries"], retried["note"]) == (id, "failed", 1, None)
    with pytest.raises(Refused):
        # Goes behind it in the chat, so it is over by then.
        client.send(user, "refuses", retried["recipient"], "behind it")
    put_aside = client.discard_message(user, id, "a test run")
    assert_fits(put_aside, models.Message)
    assert (put_aside["state"], put_aside["discard_reason"]) == ("discarded", "a test run")
    with pytest.raises(Conflict):
        client.discard_message(user, id, "again")


def test_many_dead_letters(client, user, refused, new_person):
    ids = refused(4)
    listed = client.dead_letters(user, direction="out", limit=200)
    assert [message["id"] for message in listed["messages"]] == ids[::-1]
    assert set(ids) <= {message["id"] for message in client.dead_letters(limit=200)["messages"]}

    aside = client.discard_dead_letters(user, "a test run", ids=ids[:1])
    assert_fits(aside, models.Discarded)
    assert aside["ids"] == ids[:1]
    assert client.discard_dead_letters(user, "a test run", filter={"channel": "refuses"}, limit=1)["ids"] == ids[1:2]

    replayed = client.replay_dead_letters(user, ids=[ids[2], unknown := "00000000-0000-7000-8000-000000000000"])
    assert_fits(replayed, models.Replayed)
    assert [message["id"] for message in replayed["messages"]] == [ids[2]]
    assert [message["id"] for message in replayed["refused"]] == [unknown]
    assert client.replay_dead_letters(user, filter={"since": listed["messages"][0]["accepted_at"]})["revived"] == 1
    assert client.replay_dead_letters(unique("nobody"), filter={})["revived"] == 0
    assert sorted(states(client, user))[:2] == ["discarded"] * 2


def test_replaying_everybodys(client, user, refused):
    (id,) = refused(1)
    replayed = client.replay_dead_letters(ids=[id])
    assert [(message["id"], message["user_id"]) for message in replayed["messages"]] == [(id, user)]
