"""What is there to be found: a user with channels, messages, an attachment, a key and, where the gateway has them, more.

Half of the fuzzer's calls are led here (see hooks.py). Nothing in it may vanish for good: what a call changed or deleted
is put back before the next one.
"""

import hashlib
import hmac
import json
import os
import random
import time
from urllib.parse import parse_qs, quote, urlsplit

import requests

from bodies import ERASED, HOOK, OF_USER, REFUSED, SECRET, USER, channels, good, seeds

# A list is read again after so many uses: calls of the fuzzer add to it.
USES = 60


# The only answers that never end.
STREAM = "text/event-stream"


def streaming(document: dict) -> list[tuple[str, str]]:
    """Path and method of every operation that answers with a stream of events."""
    return [
        (path, method)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if any(STREAM in answer.get("content", {}) for answer in operation.get("responses", {}).values())
    ]


class World:
    """`is_backend` says that the gateway posts to the third party, which so learns of links to attachments."""

    def __init__(self, url: str, key: str, third_party: str, is_backend: bool):
        self.url, self.third_party, self.is_backend = url, third_party, is_backend
        self._wanted, self._seeds, self._good = (make(third_party) for make in (channels, seeds, good))
        self.http = requests.Session()
        self.http.trust_env = False
        self.http.headers["Authorization"] = f"Bearer {key}"
        self.document = self._call("GET", "/openapi.json")
        self._lists: dict[str, tuple[int, list]] = {}
        self._link: tuple[dict, dict] | None = None
        self._links = 0
        self.sent: dict[str, list[str]] = {}
        self.channels = {slug: self._restore(slug) for slug in self._wanted}
        self._say({"sender": {"id": "ann", "name": "Ann"}, "text": "hello"})
        for path in self._seeds:
            self._seed(path)

    # --- leading a call here ---------------------------------------------------------------------------------------

    def lead(self, template: str, parameters: dict, pick: random.Random) -> tuple[dict, dict | None]:
        """The path's parameters with those replaced that stand for something that is there, and a query if one
        belongs to it."""
        if template.startswith("/media/") and self.is_backend:
            self._link = self._link or self._new_link()
            return self._link
        # Not the user of all the rest.
        if template == "/api/users/{user}":
            return {"user": ERASED}, {"confirm": ERASED}
        if template == "/api/users/{user}/erasure":
            return {"user": ERASED}, None
        led = dict(parameters)
        # What comes first in the path says where the rest is to be found.
        for name in sorted(parameters, key=lambda name: template.find("{%s}" % name)):
            if name == "user":
                led[name] = USER
            elif name == "instance":
                led[name] = pick.choice(sorted(self.channels))
            elif name == "message":
                led[name] = pick.choice(self.sent[led["instance"]])
            elif template == "/hooks/{name}":
                led[name] = HOOK
            elif name == "channel_type":
                led[name] = "webhook"
            elif name == "channel_id":
                led[name] = self.channels[HOOK]["id"]
            else:
                found = self._ids(template, name, led)
                led[name] = pick.choice(found) if found else parameters[name]
        return led, None

    def body(self, method: str, template: str, led: dict, given, pick: random.Random):
        """A good body with one key of the generated one; `None` where none is known."""
        good = next((body for (m, end), body in self._good.items() if m == method and template.endswith(end)), None)
        if template.endswith("/configure"):
            good = self._wanted[led["instance"]]
        if good is None or not isinstance(given, dict):
            return good
        key = pick.choice([None, *sorted(given)])
        return good if key is None else good | {key: given[key]}

    def message(self, pick: random.Random) -> tuple[str, str]:
        """What a third party posts, and its signature."""
        body = json.dumps({"sender": {"id": "ann"}, "text": f"hello {pick.random()}"})
        return body, self._signature(body.encode())

    def _ids(self, template: str, name: str, known: dict) -> list[str]:
        """The ids in the list that the path before this parameter answers."""
        collection, _, act = template.partition("/{%s}" % name)
        if collection.endswith("/messages") and act in ("/retry", "/discard"):
            collection = collection.removesuffix("/messages") + "/dead-letters"
        if "get" not in self.document["paths"].get(collection, {}):
            return []
        path = collection
        for key, value in known.items():
            path = path.replace("{%s}" % key, quote(str(value), safe=""))
        uses, ids = self._lists.get(path, (0, []))
        if uses == 0:
            ids = self._list(path, name)
            if not ids:
                self._seed(path)
                ids = self._list(path, name)
            uses = USES
        self._lists[path] = (uses - 1, ids)
        return ids

    def _seed(self, path: str) -> None:
        if path == f"{OF_USER}/dead-letters":
            self._send(REFUSED)
        if path not in self._seeds or path.replace(USER, "{user}") not in self.document["paths"]:
            return
        answer = self.http.post(self.url + path, json=self._seeds[path], timeout=30)
        # A gateway that was fuzzed before has it.
        if answer.status_code not in (201, 409):
            raise SystemExit(f"POST {path} answers {answer.status_code}: {answer.text[:500]}")

    def _list(self, path: str, name: str) -> list[str]:
        answer = self._call("GET", path)
        entries = next((value for value in answer.values() if isinstance(value, list)), [])
        return [entry.get(name, entry.get("id")) for entry in entries if isinstance(entry, dict)]

    # --- putting it back -------------------------------------------------------------------------------------------

    def mend(self, method: str, template: str, parameters: dict) -> None:
        """After a successful call of the fuzzer, which may have changed something here."""
        slug = parameters.get("instance")
        if template.endswith(("/channels/{instance}", "/configure")):
            if parameters.get("user") == USER and slug in self.channels:
                self.channels[slug] = self._restore(slug)
        elif template.endswith("/messages/{message}") and method == "DELETE" and slug in self.sent:
            self.sent[slug].append(self._send(slug))
        elif template.startswith("/api/users/{user}/hooks/{name}") and parameters["name"] == HOOK:
            self.http.delete(f"{self.url}{OF_USER}/hooks/{HOOK}", timeout=30)
            self._seed(f"{OF_USER}/hooks")
        # What was in a list is not any more.
        if method == "DELETE" or template.endswith(("/retry", "/replay", "/discard")):
            self._lists.clear()

    def _restore(self, slug: str) -> dict:
        path, wanted = self._channel(slug), self._wanted[slug]
        change = {"enabled": True, "fields": wanted["fields"]}
        answer = self.http.put(self.url + path, json=change, timeout=30)
        if answer.status_code == 200 and answer.json()["channel_type"] == wanted["channel_type"]:
            if slug not in self.sent:
                self.sent[slug] = [self._send(slug)]
            return answer.json()
        if answer.status_code != 404:
            self._call("DELETE", path)
        made = self._call("POST", path + "/configure", wanted)
        # What went through the one before is gone with it.
        self.sent[slug] = [self._send(slug)]
        self._link = None
        return made

    # --- making it -------------------------------------------------------------------------------------------------

    def _channel(self, slug: str) -> str:
        return f"{OF_USER}/channels/{slug}"

    def _call(self, method: str, path: str, body: dict | None = None) -> dict:
        answer = self.http.request(method, self.url + path, json=body, timeout=30)
        if answer.status_code >= 300:
            raise SystemExit(f"{method} {path} answers {answer.status_code}: {answer.text[:500]}")
        return answer.json()

    def _send(self, slug: str) -> str:
        body = {"recipient": "ann", "message": "hello"}
        answer = self.http.post(f"{self.url}{self._channel(slug)}/send", json=body, timeout=30)
        # A platform that refuses is a 422, and the message a dead letter.
        if answer.status_code not in (200, 202, 422):
            raise SystemExit(f"a send to {slug} answers {answer.status_code}: {answer.text[:500]}")
        return answer.json()["id"]

    def _signature(self, body: bytes) -> str:
        return "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()

    def _say(self, message: dict) -> None:
        body = json.dumps(message).encode()
        path = f"/webhooks/webhook/{self.channels[HOOK]['id']}"
        answer = self.http.post(self.url + path, data=body, headers={"X-Webhook-Signature": self._signature(body)}, timeout=30)
        if answer.status_code != 200:
            raise SystemExit(f"POST {path} answers {answer.status_code}: {answer.text[:500]}")

    def _new_link(self) -> tuple[dict, dict]:
        """A genuine link to an attachment, as the backend gets it: the parameters of its path and its query."""
        self._links += 1
        name = f"{self._links}.png"
        media = {"kind": "image", "url": f"{self.third_party}/{name}", "filename": name}
        self._say({"sender": {"id": "ann"}, "media": media})
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if link := requests.get(f"{self.third_party}/link/{name}", timeout=30).text:
                parts = urlsplit(link)
                _, _, message, filename = parts.path.split("/", 3)
                query = {key: values[0] for key, values in parse_qs(parts.query).items()}
                return {"message_id": message, "filename": filename}, query
            time.sleep(0.1)
        raise SystemExit("the backend did not get the attachment's link within 30 s")


def from_environment() -> World:
    environment = os.environ
    return World(
        environment["FUZZ_URL"], environment["FUZZ_KEY"], environment["FUZZ_THIRD_PARTY"], environment["FUZZ_BACKEND"] == "yes"
    )
