"""Streams of events: how they are read and resumed at a server that breaks off, and at a real gateway."""

import asyncio
from itertools import islice

import pytest
from ii_claw_client import AsyncClient, Client, ConnectionFailed, Event, Unauthorized
from ii_claw_client.events import Reader
from people import Server


class Broken(Server):
    """Tells a part of the story with each connection, from behind `Last-Event-ID` on, and breaks off in the midst of an
    event."""

    def __init__(self, refusals: int = 0):
        self.asked: list[str | None] = []
        self.refusals = refusals
        super().__init__()

    def handle(self, request, body):
        self.asked.append(request.headers.get("Last-Event-ID"))
        if request.headers.get("Authorization") != "Bearer key":
            request.reply(401, b'{"detail": "no"}', "application/problem+json")
            return
        if self.refusals:
            self.refusals -= 1
            request.reply(503, b'{"detail": "as told"}', "application/problem+json")
            return
        after = int(self.asked[-1] or 0)
        story = f": hello\nretry: 10\n\nid: {after + 1}\nevent: message.sent\ndata: {{\ndata: \"n\": {after + 1}}}\n\n"
        story += f"id: {after + 2}\r\ndata: {{\"type\": \"told\", \"n\": {after + 2}}}\r\n\r\nid: {after + 3}\ndata: {{"
        request.send_response(200)
        request.send_header("Content-Type", "text/event-stream")
        request.end_headers()
        request.wfile.write(story.encode())
        request.hang_up()


@pytest.fixture
def broken():
    server = Broken()
    yield server
    server.stop()


def check(events, server):
    assert [event.id for event in events] == ["1", "2", "3", "4", "5"]
    assert [event.type for event in events[:2]] == ["message.sent", "told"]
    assert [event.data["n"] for event in events] == [1, 2, 3, 4, 5]
    assert server.asked == [None, "2", "4"]


def test_a_stream_goes_on_behind_the_last_event(broken):
    with Client(broken.url, "key") as client:
        check(list(islice(client.events("ada"), 5)), broken)


def test_the_async_stream_does_so_too(broken):
    async def work():
        found = []
        async with AsyncClient(broken.url, "key") as client:
            async for event in client.events("ada"):
                found.append(event)
                if len(found) == 5:
                    return found

    check(asyncio.run(work()), broken)


def test_where_to_begin_is_the_callers(broken):
    with Client(broken.url, "key") as client:
        assert next(client.events("ada", last_event_id="7")).id == "8"


def test_a_gateway_that_is_away_for_a_moment_is_waited_for(broken):
    broken.refusals = 1
    with Client(broken.url, "key") as client:
        assert next(client.events("ada")).id == "1"


def test_what_will_not_pass_is_raised(broken):
    with Client(broken.url, "wrong") as client, pytest.raises(Unauthorized):
        next(client.events("ada"))
    with Client("http://127.0.0.1:1", "key", retries=0) as client, pytest.raises(ConnectionFailed):
        next(client.events("ada"))


def test_an_id_without_data_is_a_place_to_go_on_from():
    reader = Reader(None)
    assert [reader.feed(line) for line in ("id: 5-1", "", ": comment", "")] == [None] * 4
    assert reader.last_event_id == "5-1"
    reader.feed("data: x")
    assert reader.feed("") == Event("5-1", "message", {"data": "x"})


def test_the_gateways_own(client, user, needs, new_person):
    needs("/api/users/{user}/events")
    person = new_person()
    sent = client.send(user, "hook", person.id, "hello")
    for event in client.events(user, last_event_id="0-0"):
        if event.type == "message.sent":
            assert event.id and event.data["message_id"] == sent["id"]
            return
