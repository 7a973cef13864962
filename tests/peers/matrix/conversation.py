#!/usr/bin/env python3
"""People and an agent talk over a real homeserver: Synapse between them, `ii-claw up` at the agent's side.

    target/matrix-peer/bin/python tests/peers/matrix/conversation.py

Ends with 0 when everything arrived as it was meant, once; `make peers` installs what it needs.
"""

import signal
import socket
import time

import claw as ii_claw
import homeserver
from person import Person

# More than one answer of the homeserver has of one room.
MANY = 130


def main() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with homeserver.running(port) as server, ii_claw.running() as claw:
        talk = Conversation(server, claw)
        for step in (
            talk.configures, talk.direct_chat, talk.room, talk.texts, talk.media, talk.deeds_of_people, talk.deeds_of_agent,
            talk.placeholder, talk.encrypted_room, talk.restart, talk.crash, talk.refusals,
        ):
            started = time.monotonic()
            step()
            claw.hears_nothing()
            print(f"ok  {step.__name__.replace('_', ' '):20} {time.monotonic() - started:5.1f} s", flush=True)


class Conversation:
    def __init__(self, server: homeserver.Homeserver, claw: ii_claw.Claw):
        self.server, self.claw = server, claw
        self.bot, self.token = server.register("helper", "Helper Bot")
        self.ada, self.bob = Person(server, "ada", "Ada L"), Person(server, "bob", "Bob")

    def fields(self, **other) -> dict:
        fields = {
            "homeserver_url": self.server.url, "user_id": self.bot, "access_token_env": self.token,
            "events": "edits, deletions, reactions",
        }
        return {"channel_type": "matrix", "fields": fields | other}

    def configures(self) -> None:
        """A wrong token, another's and an address that is none are told in the homeserver's words; a right one works."""
        path = "users/ada/channels/matrix_1"
        for wrong, words in (
            ({"access_token_env": "wrong"}, "M_UNKNOWN_TOKEN"),
            ({"user_id": self.ada.id}, self.bot),
            ({"homeserver_url": self.claw.agent_url}, "homeserver_url"),
        ):
            told = self.claw.call("POST", f"{path}/configure", self.fields(**wrong), fails=400)
            assert words in str(told), told
        self.claw.call("POST", f"{path}/configure", self.fields())
        told = self.claw.call("POST", f"{path}/test")
        assert (told["status"], told["account"]) == ("ok", self.bot), told
        told = self.claw.call("POST", "users/ada/channels/matrix_2/configure", self.fields(), fails=409)
        assert "matrix_1" in str(told), told

    def direct_chat(self) -> None:
        """Ada begins a chat and writes before the bot is there."""
        self.dm = self.ada.make_room(self.bot, is_direct=True)
        asked = self.ada.say(self.dm, "hello, are you there?")
        heard = self.claw.hears()
        assert (heard["text"], heard["is_group"]) == ("hello, are you there?", False), heard
        assert heard["sender"] == {"platform_id": self.ada.id, "display_name": "Ada L"}, heard
        assert heard["reply_to"]["recipient"] == self.dm, heard
        self.ada.sees("that it was read", lambda event: event["type"] == "m.receipt" and asked in event["content"])
        self.claw.call("POST", "users/ada/channels/matrix_1/typing", {"recipient": self.dm})
        self.ada.sees("typing", lambda event: event["type"] == "m.typing" and self.bot in event["content"]["user_ids"])
        self.claw.send(self.dm, message="I am.")
        self.ada.sees_text(self.dm, "I am.")

    def room(self) -> None:
        """In a room of several people the bot hears what is meant for it, in threads, too."""
        self.group = self.ada.make_room(self.bob.id, self.bot, name="research")
        self.bob.join(self.group)
        self.ada.sees("the bot", lambda event: event["type"] == "m.room.member" and event["room_id"] == self.group
                      and event["state_key"] == self.bot and event["content"]["membership"] == "join")
        self.bob.say(self.group, "lunch at noon?")
        root = self.ada.say(self.group, "Helper Bot: when is lunch?", **{"m.mentions": {"user_ids": [self.bot]}})
        heard = self.claw.hears()
        assert (heard["text"], heard["is_group"]) == ("Helper Bot: when is lunch?", True), heard
        assert "lunch at noon?" in str(heard["metadata"]["context"]), heard
        thread = {"rel_type": "m.thread", "event_id": root, "is_falling_back": True, "m.in_reply_to": {"event_id": root}}
        self.ada.say(self.group, "@helper tell me here", **{"m.relates_to": thread})
        heard = self.claw.hears()
        assert heard["reply_to"]["thread_id"] == root and heard["metadata"]["thread_id"] == f"{self.group}:{root}", heard
        self.claw.send(self.group, message="At noon.", thread_id=root)
        said = self.ada.sees_text(self.group, "At noon.")
        assert said["content"]["m.relates_to"]["event_id"] == root, said
        # An answer to the bot is meant for it, whatever else it says; older clients quote it.
        self.bob.say(self.group, f"> <{self.bot}> At noon.\n\nthanks",
                     **{"m.relates_to": {"m.in_reply_to": {"event_id": said["event_id"]}}})
        heard = self.claw.hears()
        assert heard["text"] == "thanks" and heard["metadata"].get("answer_id"), heard

    def texts(self) -> None:
        """Formatting, a long text in parts, an answer that points to its question."""
        sent = self.claw.send(self.dm, message="# Plan\n\n- **one**\n- [two](https://example.org)")
        said = self.ada.sees_text(self.dm, "Plan\n\n• one\n• two (https://example.org)")
        html = '<h1>Plan</h1><ul><li><strong>one</strong></li><li><a href="https://example.org">two</a></li></ul>'
        assert said["content"]["formatted_body"] == html, said
        assert sent["platform_message_id"] == said["event_id"], sent
        text = " ".join(f"word{n}" for n in range(6_000))
        seen = len(self.ada.seen)
        self.claw.send(self.dm, message=text)
        self.ada.sees("the end", lambda event: event["content"].get("body", "").endswith("word5999"), seen)
        bodies = [event["content"]["body"] for event in self.ada.seen[seen:] if event["type"] == "m.room.message"]
        assert len(bodies) > 2 and " ".join(bodies).split() == text.split(), len(bodies)
        asked = self.ada.say(self.dm, "and now?")
        self.claw.hears()
        self.claw.send(self.dm, message="Now this.", reply_to=asked)
        said = self.ada.sees_text(self.dm, "Now this.")
        assert said["content"]["m.relates_to"] == {"m.in_reply_to": {"event_id": asked}}, said

    def media(self) -> None:
        """A picture with a caption and a voice note from Ada; a picture to her."""
        mxc = self.ada.upload(b"OggS a voice", "audio/ogg")
        self.ada.put(self.dm, "m.room.message", {
            "msgtype": "m.audio", "body": "Voice message.ogg", "url": mxc, "info": {"mimetype": "audio/ogg", "duration": 2_500},
            "org.matrix.msc3245.voice": {},
        })
        heard = self.claw.hears()
        assert (heard["content_type"], heard["media_duration_seconds"]) == ("voice", 3), heard
        with ii_claw.urllib.request.urlopen(heard["media_url"]) as link:
            assert link.read() == b"OggS a voice"
        assert self.token not in heard["media_url"], heard
        self.ada.put(self.dm, "m.room.message", {
            "msgtype": "m.image", "body": "look", "filename": "a.png", "url": self.ada.upload(ii_claw.PICTURE, "image/png"),
        })
        heard = self.claw.hears()
        assert (heard["content_type"], heard["text"], heard["media_filename"]) == ("image", "look", "a.png"), heard
        self.claw.send(self.dm, image_url=f"{self.claw.agent_url}/harbour.png", message="the **harbour**")
        said = self.ada.sees_text(self.dm, "the harbour")
        assert (said["content"]["msgtype"], said["content"]["filename"]) == ("m.image", "harbour.png"), said
        assert self.ada.download(said["content"]["url"]) == ii_claw.PICTURE
        self.ada.put(self.dm, "m.room.message", {"msgtype": "m.location", "body": "here", "geo_uri": "geo:48.5,-2.25;u=9"})
        heard = self.claw.hears()
        assert heard["metadata"]["location"] == {"latitude": 48.5, "longitude": -2.25}, heard

    def deeds_of_people(self) -> None:
        """Ada edits and deletes what she wrote, and reacts to an answer and takes it back."""
        asked = self.ada.say(self.dm, "helo")
        self.claw.hears()
        self.ada.say(self.dm, "* hello", **{
            "m.new_content": {"msgtype": "m.text", "body": "hello"}, "m.relates_to": {"rel_type": "m.replace", "event_id": asked},
        })
        heard = self.claw.hears()
        assert (heard["metadata"]["event"], heard["text"]) == ("message_edited", "hello"), heard
        self.ada.redact(self.dm, asked)
        heard = self.claw.hears()
        assert heard["metadata"]["event"] == "message_deleted", heard
        answer = self.claw.send(self.dm, message="Well?")["platform_message_id"]
        annotation = {"rel_type": "m.annotation", "event_id": answer, "key": "👍"}
        thumb = self.ada.put(self.dm, "m.reaction", {"m.relates_to": annotation})
        heard = self.claw.hears()
        assert heard["metadata"]["event"] == "message_reaction" and "👍" in str(heard["metadata"]), heard
        self.ada.redact(self.dm, thumb)
        heard = self.claw.hears()
        assert heard["metadata"]["event"] == "message_reaction", heard

    def deeds_of_agent(self) -> None:
        """The agent edits, deletes and reacts."""
        asked = self.ada.say(self.dm, "do something")
        self.claw.hears()
        self.claw.act("PUT", self.dm, asked, "/reaction", emoji="👀")
        reaction = self.ada.sees("a reaction", lambda event: event["type"] == "m.reaction"
                                 and event["content"].get("m.relates_to", {}).get("key") == "👀")
        self.claw.act("PUT", self.dm, asked, "/reaction", emoji=None)
        self.ada.sees("that it is gone", lambda event: event["type"] == "m.room.redaction"
                      and event.get("redacts", event["content"].get("redacts")) == reaction["event_id"])
        answer = self.claw.send(self.dm, message="first")["platform_message_id"]
        edited = self.claw.act("PATCH", self.dm, answer, message="second")
        assert edited["platform_message_id"] == answer, edited
        edit = self.ada.sees("an edit", lambda event: event["content"].get("m.new_content", {}).get("body") == "second")
        assert edit["content"]["m.relates_to"] == {"rel_type": "m.replace", "event_id": answer}, edit
        self.claw.act("DELETE", self.dm, answer)
        self.ada.sees("that it is gone", lambda event: event["type"] == "m.room.redaction"
                      and event.get("redacts", event["content"].get("redacts")) == answer)

    def placeholder(self) -> None:
        """What is shown at once becomes the answer."""
        self.claw.agent.placeholder = True
        self.ada.say(self.dm, "think")
        self.claw.hears()
        shown = self.ada.sees_text(self.dm, "Processing...")
        self.claw.agent.placeholder = False
        self.claw.send(self.dm, message="Thought.")
        edit = self.ada.sees("the answer", lambda event: event["content"].get("m.new_content", {}).get("body") == "Thought.")
        assert edit["content"]["m.relates_to"]["event_id"] == shown["event_id"], edit

    def encrypted_room(self) -> None:
        """Who writes in an encrypted room is told once that it can't be read."""
        state = [{"type": "m.room.encryption", "state_key": "", "content": {"algorithm": "m.megolm.v1.aes-sha2"}}]
        self.secret = self.ada.make_room(self.bot, is_direct=True, initial_state=state)
        for _ in range(2):
            self._say_secretly()
            notice = self.ada.sees("a notice", lambda event: event["room_id"] == self.secret
                                   and event["content"].get("msgtype") == "m.notice")
            assert "encrypted" in notice["content"]["body"], notice

    def _say_secretly(self) -> None:
        self.ada.put(self.secret, "m.room.encrypted", {
            "algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "AwgAEnACgAkLmt6q", "device_id": "D", "sender_key": "k",
            "session_id": "s",
        })

    def restart(self) -> None:
        """What is written while nobody listens, more than one answer has, arrives in order and once."""
        self._while_away(signal.SIGTERM)
        self._say_secretly()
        self.ada.say(self.dm, "read this far")
        assert self.claw.hears()["text"] == "read this far"
        self.ada.look()
        notices = [event for event in self.ada.seen if event["room_id"] == self.secret and event["content"].get("msgtype") == "m.notice"]
        assert len(notices) == 1, notices

    def crash(self) -> None:
        """The same when it was killed."""
        self._while_away(signal.SIGKILL)

    def _while_away(self, how: signal.Signals) -> None:
        self.claw.stop(how)
        texts = [f"{how.name} {n}" for n in range(MANY)]
        for text in texts:
            self.ada.say(self.dm, text)
        self.ada.look(0)
        seen = len(self.ada.seen)
        self.claw.start()
        heard = [self.claw.hears()["text"] for _ in texts]
        assert heard == texts, heard
        self.claw.send(self.dm, message=f"back from {how.name}")
        self.ada.sees_text(self.dm, f"back from {how.name}", seen)
        answers = [event for event in self.ada.seen[seen:] if event.get("sender") == self.bot and event["type"] == "m.room.message"]
        assert len(answers) == 1, answers

    def refusals(self) -> None:
        """What can't be sent is refused with a sentence, and a token that ended is told."""
        assert "not a room" in str(self.claw.send(self.ada.id, message="x", fails=422))
        assert "M_FORBIDDEN" in str(self.claw.send(f"!nowhere:{homeserver.NAME}", message="x", fails=422))
        self.server.call("POST", "_matrix/client/v3/logout", self.token, {})
        self.claw.send(self.dm, message="x", fails=422)
        deadline = time.monotonic() + 40
        while time.monotonic() < deadline:
            channels = self.claw.call("GET", "users/ada/channels")["channels"]
            if channels[0].get("state") == "failed":
                assert "M_UNKNOWN_TOKEN" in channels[0]["last_error"], channels
                return
            time.sleep(0.2)
        raise AssertionError(f"nobody is told that the token ended: {channels}")


if __name__ == "__main__":
    main()
