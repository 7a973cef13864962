"""The example as the backend of a real gateway: real webhooks arrive at it, and its answers at the people."""

import httpx
from people import PICTURE, eventually


def test_a_question_is_taken_at_once_and_answered_later(receiver, new_person):
    person = new_person()
    person.write("What is new?")
    eventually(lambda: len(person.sees()) >= 2, what="both messages")
    assert sorted(person.sees()) == ["Processing...", "You said: What is new?"]


def test_an_attachment_is_fetched_by_its_link(receiver, new_person, third_party):
    person = new_person()
    person.write(media={"kind": "image", "url": f"{third_party.url}/picture.png"})
    answer = f"You sent {len(PICTURE)} bytes of image"
    eventually(lambda: answer in person.sees(), what=answer)


def test_an_answer_goes_to_the_thread_of_the_question(receiver, new_person, third_party):
    person = new_person()
    person.write("here", conversation_id="room", is_group=True, thread_id="topic")

    def answered() -> list[dict]:
        return [one for one in third_party.callbacks if one.get("text") == "You said: here"]

    (answer,) = eventually(answered, what="the answer")
    assert (answer["recipient"], answer["thread_id"]) == ("room", "topic")


def is_done(client, user, woken) -> bool:
    return client.message(user, woken["id"])["state"] == "done"


def test_what_nobody_waits_for_is_taken_and_not_answered(receiver, client, user, new_person):
    person = new_person()
    to = {"channel": "hook", "recipient": person.id}
    silent = [
        client.wake(user, "The nightly backup failed."),
        client.run_agent(user, "Summarise the tickets."),
        client.run_agent(user, "Look, but do not tell.", deliver=False, **to),
    ]
    for woken in silent:
        eventually(lambda woken=woken: is_done(client, user, woken), what="the backend to take it")
    # The same chat's next message comes behind them, so an answer to them would have been seen by now.
    heard = client.wake(user, "Good morning.", **to)
    eventually(lambda: "You said: Good morning." in person.sees(), what="the answer to a wake-up with a chat")
    assert is_done(client, user, heard)
    assert sorted(person.sees()) == ["Processing...", "You said: Good morning."]


def test_a_forger_is_refused(receiver):
    body = b'{"user_id": "ada"}'
    assert httpx.post(receiver, content=body, trust_env=False).status_code == 401
    headers = {"webhook-id": "1", "webhook-timestamp": "1", "webhook-signature": "v1,AAAA", "x-webhook-signature": "x"}
    assert httpx.post(receiver, content=body, headers=headers, trust_env=False).status_code == 401
