"""Streams of events: how they are read and resumed at a server that breaks off, and at a real gateway."""

import asyncio
from itertools import islice

import pytest
from ii_claw_client import AsyncClient, Client, ConnectionFailed, Event, IIClawError, Unauthorized
from ii_claw_client.events import Lines, Reader
from people import Server


class Broken(Server):
    """Tells a part of the story with each connection, from behind `Last-Event-ID` on, and breaks off in the midst of an
    event."""

    def __init__(self):
        self.asked: list[str | None] = []
        #: The status of the next refusals, and their headers.
        self.refusals: list[tuple[int, dict[str, str]]] = []
        super().__init__()

    def handle(self, request, body):
        self.asked.append(request.headers.get("Last-Event-ID"))
        if request.headers.get("Authorization") != "Bearer key":
            request.reply(401, b'{"detail": "no"}', "application/problem+json")
            return
        if self.refusals:
            status, headers = self.refusals.pop(0)
            request.reply(status, b'{"detail": "as told"}', "application/problem+json", **headers)
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


@pytest.fixture
def waits(monkeypatch):
    """What the clients would have waited, in seconds."""
    waited: list[float] = []

    async def wait(seconds):
        waited.append(seconds)

    monkeypatch.setattr("ii_claw_client.client.time.sleep", waited.append)
    monkeypatch.setattr("ii_claw_client.async_client.asyncio.sleep", wait)
    return waited


AWAY = [(503, {"Retry_After": "1"})] * 20 + [(502, {})] * 20


def first(url: str) -> Event:
    with Client(url, "key") as client:
        return next(client.events("ada"))


def first_async(url: str) -> Event:
    async def work():
        async with AsyncClient(url, "key") as client:
            async for event in client.events("ada"):
                return event

    return asyncio.run(work())


@pytest.mark.parametrize("first", [first, first_async])
def test_a_gateway_that_is_away_is_waited_for_without_end(broken, waits, first):
    broken.refusals = list(AWAY)
    assert first(broken.url).id == "1"
    assert len(waits) == len(AWAY)
    assert waits[0] <= 1.0 < waits[3] and max(waits) <= 60.0 and min(waits[8:]) >= 30.0


@pytest.mark.parametrize("first", [first, first_async])
def test_who_is_throttled_comes_back_when_told(broken, waits, first):
    broken.refusals = [(429, {"Retry_After": "300"}), (429, {})]
    assert first(broken.url).id == "1"
    assert waits[0] == 300.0 and waits[1] <= 2.0


def test_nobody_there_is_waited_for(waits):
    class Enough(Exception):
        pass

    def wait(seconds):
        waits.append(seconds)
        if len(waits) == 10:
            raise Enough

    with pytest.MonkeyPatch.context() as patch, Client("http://127.0.0.1:1", "key", retries=0) as client:
        patch.setattr("ii_claw_client.client.time.sleep", wait)
        with pytest.raises(Enough):
            next(client.events("ada"))


def test_what_will_not_pass_is_raised(broken, waits):
    with Client(broken.url, "wrong") as client, pytest.raises(Unauthorized):
        next(client.events("ada"))
    with Client("gopher://127.0.0.1", "key") as client, pytest.raises(ConnectionFailed):
        next(client.events("ada"))
    broken.refusals = [(200, {})]
    with Client(broken.url, "key") as client, pytest.raises(IIClawError, match="not a stream of events"):
        next(client.events("ada"))
    assert waits == []


class Named(Server):
    """Tells of one channel with an odd name."""

    def __init__(self, name: str):
        self.story = f'id: 1\ndata: {{"name": "{name}"}}\n\n'.encode()
        super().__init__()

    def handle(self, request, body):
        request.reply(200, self.story, "text/event-stream")


@pytest.mark.parametrize("first", [first, first_async])
@pytest.mark.parametrize("odd", ["\u2028", "\u2029", "\x85"], ids=ascii)
def test_what_only_unicode_takes_for_the_end_of_a_line_is_none(odd, first):
    server = Named(f"my{odd}bot")
    assert first(server.url).data == {"name": f"my{odd}bot"}
    server.stop()


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
def test_lines_are_the_same_however_they_are_cut(size):
    text = "a\r\nb\rc\nd\u2028\x0b\x0c\x1cé\n\r\n\r\r\n\nrest".encode()
    lines, found = Lines(), []
    for start in range(0, len(text), size):
        found += lines.feed(text[start : start + size])
    assert found == ["a", "b", "c", "d\u2028\x0b\x0c\x1cé", "", "", "", ""]


def test_an_id_without_data_is_a_place_to_go_on_from():
    reader = Reader(None)
    assert [reader.feed(line) for line in ("id: 5-1", "", ": comment", "")] == [None] * 4
    assert reader.last_event_id == "5-1"
    reader.feed("data: x")
    assert reader.feed("") == Event("5-1", "message", {"data": "x"})


def test_the_gateways_own(client, user, new_person):
    person = new_person()
    sent = client.send(user, "hook", person.id, "hello")
    for event in client.events(user, last_event_id="0-0"):
        if event.type == "message.sent":
            assert event.id and event.data["message_id"] == sent["id"]
            return
