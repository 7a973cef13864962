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


def test_a_forger_is_refused(receiver):
    body = b'{"user_id": "ada"}'
    assert httpx.post(receiver, content=body, trust_env=False).status_code == 401
    headers = {"webhook-id": "1", "webhook-timestamp": "1", "webhook-signature": "v1,AAAA", "x-webhook-signature": "x"}
    assert httpx.post(receiver, content=body, headers=headers, trust_env=False).status_code == 401
