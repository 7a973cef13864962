#!/usr/bin/env python3
"""The same in encrypted rooms: people with a client that others wrote, Synapse between them, `ii-claw up` at the agent's side.

    target/matrix-peer/bin/python tests/peers/matrix/encrypted.py

Ends with 0 when everything arrived as it was meant, once, and nothing of it was there to read for the homeserver.
"""

import base64
import signal
import socket
import tempfile
import threading
import time
from collections import Counter

import claw as ii_claw
import homeserver
from confidant import Confidant

AWAY = 30
ROTATION = 4


def main() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (homeserver.running(port) as server, ii_claw.running() as claw,
          tempfile.TemporaryDirectory(prefix="ii-claw-nio-") as folder):
        talk = Encrypted(server, claw, folder)
        for step in (
            talk.configures, talk.texts, talk.media, talk.deeds, talk.newcomer, talk.rotation, talk.unreadable, talk.restart,
            talk.crash, talk.crash_while_sending, talk.nothing_in_the_clear,
        ):
            started = time.monotonic()
            step()
            claw.hears_nothing()
            print(f"ok  encrypted: {step.__name__.replace('_', ' '):20} {time.monotonic() - started:5.1f} s", flush=True)
        talk.ada.close()
        talk.bob.close()


class Encrypted:
    def __init__(self, server: homeserver.Homeserver, claw: ii_claw.Claw, folder: str):
        self.server, self.claw = server, claw
        self.bot, self.token = server.register("helper", "Helper Bot")
        self.ada, self.bob = (Confidant(server, name, shown, folder) for name, shown in (("ada", "Ada L"), ("bob", "Bob")))

    def _fields(self, **other) -> dict:
        fields = {
            "homeserver_url": self.server.url, "user_id": self.bot, "access_token_env": self.token, "encryption": True,
            "events": "edits, deletions, reactions",
        }
        return {"channel_type": "matrix", "fields": fields | other}

    def configures(self) -> None:
        """A session whose keys are another program's is refused, in words that say what to do."""
        self.claw.call("POST", "users/ada/channels/matrix_1/configure", self._fields())
        other = self._fields(user_id=self.bob.id, access_token_env=self.bob.token)
        self.claw.call("POST", "users/ada/channels/matrix_2/configure", other)
        deadline = time.monotonic() + 40
        while not (error := self._channel("matrix_2").get("last_error")) and time.monotonic() < deadline:
            time.sleep(0.2)
        assert self.bob.device in (error or ""), error
        self.claw.call("DELETE", "users/ada/channels/matrix_2")

    def _channel(self, instance: str) -> dict:
        channels = self.claw.call("GET", "users/ada/channels")["channels"]
        return next(channel for channel in channels if channel["instance_name_id"] == instance)

    def _enters(self, room: str) -> None:
        """Waits until the bot is there."""
        deadline = time.monotonic() + 40
        while self.bot not in self.ada.call("GET", f"client/v3/rooms/{room}/joined_members")["joined"]:
            assert time.monotonic() < deadline, "the bot does not come"
            time.sleep(0.1)
        self.ada.look(0)

    def texts(self) -> None:
        """A question, an answer, a long text, a thread."""
        self.room = self.ada.make_room(self.bot)
        self._enters(self.room)
        asked = self.ada.say(self.room, "are you there?")
        heard = self.claw.hears()
        assert (heard["text"], heard["is_group"]) == ("are you there?", False), heard
        self.claw.send(self.room, message="I **am**.", reply_to=asked)
        said = self.ada.sees_text(self.room, "I am.")
        assert said["formatted_body"] == "<strong>I am</strong>." or "<strong>" in said["formatted_body"], said
        assert said["m.relates_to"] == {"m.in_reply_to": {"event_id": asked}}, said
        thread = {"rel_type": "m.thread", "event_id": asked, "is_falling_back": True, "m.in_reply_to": {"event_id": asked}}
        self.ada.say(self.room, "tell me here", **{"m.relates_to": thread})
        heard = self.claw.hears()
        assert (heard["text"], heard["reply_to"]["thread_id"]) == ("tell me here", asked), heard
        self.claw.send(self.room, message="Here.", thread_id=asked)
        said = self.ada.sees_text(self.room, "Here.")
        assert said["m.relates_to"]["event_id"] == asked, said
        text = " ".join(f"word{n}" for n in range(4_000))
        seen = len(self.ada.seen)
        self.claw.send(self.room, message=text)
        self.ada.sees("the end", lambda said: said.get("body", "").endswith("word3999"), seen)
        bodies = [event.body for event in self.ada.seen[seen:] if hasattr(event, "body")]
        assert " ".join(bodies).split() == text.split(), len(bodies)

    def media(self) -> None:
        """A picture each way, which the homeserver can't look at."""
        file = self.ada.upload(ii_claw.PICTURE, "image/png")
        self.ada.put(self.room, "m.room.message", {
            "msgtype": "m.image", "body": "look", "filename": "a.png", "file": file, "info": {"mimetype": "image/png"},
        })
        heard = self.claw.hears()
        assert (heard["content_type"], heard["text"], heard["media_filename"]) == ("image", "look", "a.png"), heard
        with ii_claw.urllib.request.urlopen(heard["media_url"]) as link:
            assert link.read() == ii_claw.PICTURE
        self.claw.send(self.room, image_url=f"{self.claw.agent_url}/harbour.png", message="the harbour")
        said = self.ada.sees_text(self.room, "the harbour")
        assert (said["msgtype"], said["filename"], "url" in said) == ("m.image", "harbour.png", False), said
        assert self.ada.download(said["file"]) == ii_claw.PICTURE

    def deeds(self) -> None:
        """Edits and reactions, both ways."""
        asked = self.ada.say(self.room, "helo")
        self.claw.hears()
        new = {"m.new_content": {"msgtype": "m.text", "body": "hello"}, "m.relates_to": {"rel_type": "m.replace", "event_id": asked}}
        self.ada.say(self.room, "* hello", **new)
        heard = self.claw.hears()
        assert (heard["metadata"]["event"], heard["text"]) == ("message_edited", "hello"), heard
        answer = self.claw.send(self.room, message="first")["platform_message_id"]
        self.claw.act("PATCH", self.room, answer, message="second")
        edit = self.ada.sees("an edit", lambda said: said.get("m.new_content", {}).get("body") == "second")
        assert edit["m.relates_to"] == {"rel_type": "m.replace", "event_id": answer}, edit
        self.ada.put(self.room, "m.reaction", {"m.relates_to": {"rel_type": "m.annotation", "event_id": answer, "key": "👍"}})
        heard = self.claw.hears()
        assert heard["metadata"]["event"] == "message_reaction" and "👍" in str(heard["metadata"]), heard
        self.claw.act("PUT", self.room, asked, "/reaction", emoji="👀")
        self.ada.sees("a reaction", lambda said: said.get("m.relates_to", {}).get("key") == "👀")

    def newcomer(self) -> None:
        """Who comes reads what is written from then on; when somebody leaves, the room gets a new key."""
        group = self.ada.make_room(self.bot, self.bob.id)
        self.bob.join(group)
        self._enters(group)
        self.bob.look(0)
        self.claw.send(group, message="to both")
        self.bob.sees_text(group, "to both")
        self.ada.sees_text(group, "to both")
        self.bob.leave(group)
        self.ada.say(group, "Helper Bot: he is gone", **{"m.mentions": {"user_ids": [self.bot]}})
        assert self.claw.hears()["text"] == "Helper Bot: he is gone"
        self.claw.send(group, message="to her")
        self.ada.sees_text(group, "to her")
        sessions = [event["content"]["session_id"] for event in self.ada.written(group, self.bot)]
        assert len(set(sessions)) == 2, sessions

    def rotation(self) -> None:
        """A room's key is used as often as the room says."""
        room = self.ada.make_room(self.bot, rotation_period_msgs=ROTATION)
        self._enters(room)
        for n in range(ROTATION + 1):
            self.claw.send(room, message=f"turn {n}")
            self.ada.sees_text(room, f"turn {n}")
        used = Counter(event["content"]["session_id"] for event in self.ada.written(room, self.bot))
        assert sorted(used.values()) == [1, ROTATION], used

    def unreadable(self) -> None:
        """What can't be read is told of, once, and what comes after it is read."""
        garbage = {"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "AwgAEnACgAkLmt6q", "session_id": "s"}
        path = f"client/v3/rooms/{self.room}/send/m.room.encrypted"
        for n in range(2):
            self.ada.call("PUT", f"{path}/garbage{n}", garbage)
            self.ada.sees("a notice", lambda said: said["room_id"] == self.room and "could not read" in said.get("body", ""))
        self.ada.say(self.room, "and this?")
        assert self.claw.hears()["text"] == "and this?"
        self.ada.look()
        notices = [event for event in self.ada.seen if "could not read" in getattr(event, "body", "")]
        assert len(notices) == 1, notices

    def restart(self) -> None:
        """What is written while nobody listens arrives in order and once."""
        self._while_away(signal.SIGTERM)

    def crash(self) -> None:
        """The same when it was killed."""
        self._while_away(signal.SIGKILL)

    def _while_away(self, how: signal.Signals) -> None:
        self.claw.stop(how)
        texts = [f"{how.name} {n}" for n in range(AWAY)]
        for text in texts:
            self.ada.say(self.room, text)
        self.claw.start()
        heard = [self.claw.hears()["text"] for _ in texts]
        assert heard == texts, heard
        self.claw.send(self.room, message=f"back from {how.name}")
        self.ada.sees_text(self.room, f"back from {how.name}")

    def crash_while_sending(self) -> None:
        """Killed while it writes and is written to: nothing is lost, and no place in a key's order is used for two events."""
        taken = []

        def send(n: int) -> None:
            try:
                self.claw.call("POST", "users/ada/channels/matrix_1/send", {"recipient": self.room, "message": f"answer {n}"})
                taken.append(n)
            except OSError:
                pass  # Nobody said that it was accepted.

        for start in range(0, 12, 4):
            senders = [threading.Thread(target=send, args=(n,)) for n in range(start, start + 4)]
            for sender in senders:
                sender.start()
            self.ada.say(self.room, f"meanwhile {start}")
            self.ada.sees("some answer", lambda said: said.get("body") in [f"answer {n}" for n in range(start, start + 4)])
            self.claw.stop(signal.SIGKILL)
            for sender in senders:
                sender.join()
            self.claw.start()
            # At least once: killed between the backend's answer and the record of it, the same message is handed over again.
            told = self.claw.hears()
            assert told["text"] == f"meanwhile {start}", told
            time.sleep(1)
            while not self.claw.agent.told.empty():
                again = self.claw.hears()
                assert again["text"] == f"meanwhile {start}", again
        for n in taken:
            self.ada.sees_text(self.room, f"answer {n}")
        bodies = Counter(event.body for event in self.ada.seen if getattr(event, "body", "").startswith("answer "))
        assert all(count == 1 for count in bodies.values()), bodies

    def nothing_in_the_clear(self) -> None:
        """All that the bot wrote was encrypted, each event in a place of its own."""
        places = Counter()
        for event in self.ada.written(self.room, self.bot):
            if event["type"] in ("m.reaction", "m.room.redaction"):
                continue
            assert event["type"] == "m.room.encrypted", event
            places[(event["content"]["session_id"], place(event["content"]["ciphertext"]))] += 1
        assert len(places) >= 20 and max(places.values()) == 1, places


def place(ciphertext: str) -> int:
    """A message's place in its key's order (https://gitlab.matrix.org/matrix-org/olm/-/blob/master/docs/megolm.md#message-format)."""
    message = base64.b64decode(ciphertext + "=" * (-len(ciphertext) % 4))
    assert message[:2] == b"\x03\x08", message[:2]
    number, shift = 0, 0
    for byte in message[2:]:
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number
        shift += 7
    raise AssertionError("no place")


if __name__ == "__main__":
    main()
