"""Good bodies, and what is made where there is nothing.

On its own the fuzzer seldom makes a body that is good as a whole, and so would see little more than refusals.
"""

USER = "fuzz-user"
#: Who is erased again and again.
ERASED = "fuzz-erased"
# A channel that works, one whose platform refuses everything, and one without a platform.
HOOK, REFUSED, CHAT = "fuzz_hook", "fuzz_refused", "fuzz_chat"
SECRET = "fuzz-channel-secret"
OF_USER = f"/api/users/{USER}"


def channels(third_party: str) -> dict[str, dict]:
    """What each of our channels is configured with."""

    def webhook(path: str) -> dict:
        return {"channel_type": "webhook", "fields": {"secret_env": SECRET, "callback_url": third_party + path}}

    return {
        HOOK: webhook("/callback"),
        REFUSED: webhook("/refuse"),
        CHAT: {"channel_type": "webchat", "fields": {"greeting": "Hello!"}},
    }


def seeds(third_party: str) -> dict[str, dict]:
    """What is posted to a collection that has nothing, or nothing left."""
    destination = {"name": "fuzz", "url": f"{third_party}/callback", "types": ["channel.*"]}
    return {
        "/api/keys": {"name": "fuzz", "scopes": ["read"]},
        "/api/destinations": destination,
        f"{OF_USER}/destinations": destination,
        f"{OF_USER}/hooks": {"name": HOOK, "secret": SECRET, "channel": HOOK, "recipient": "ann"},
        f"{OF_USER}/cron/jobs": {
            "name": "fuzz",
            "schedule": {"type": "cron", "expr": "0 9 * * 1-5"},
            "action": {"type": "channel_message", "channel": HOOK, "recipient": "ann", "message": "Good morning"},
            "one_shot": False,
        },
    }


def good(third_party: str) -> dict[tuple[str, str], dict]:
    """By method and the end of the path."""
    made = seeds(third_party)
    job = made[f"{OF_USER}/cron/jobs"]
    dead = {"filter": {"channel": REFUSED}}
    return {
        ("POST", "/send"): {"recipient": "ann", "message": "hello"},
        ("POST", "/typing"): {"recipient": "ann"},
        ("PATCH", "/messages/{message}"): {"message": "changed"},
        ("PUT", "/reaction"): {"emoji": "👍"},
        ("POST", "/cron/jobs"): job,
        ("PUT", "/cron/jobs/{id}"): job | {"enabled": True},
        ("PUT", "/enable"): {"enabled": True},
        ("POST", "/cron/preview"): {"schedule": job["schedule"]},
        ("POST", "/api/keys"): made["/api/keys"],
        ("POST", "/destinations"): made["/api/destinations"],
        ("PUT", "/destinations/{id}"): {"name": "fuzz again"},
        ("PUT", "/hooks/{name}"): {"recipient": "bob"},
        ("POST", "/hooks/wake"): {"user_id": USER, "text": "The nightly backup failed."},
        ("POST", "/hooks/agent"): {"user_id": USER, "message": "Summarise the tickets."},
        ("POST", "/dead-letters/replay"): dead,
        ("POST", "/dead-letters/discard"): dead | {"reason": "a test"},
        ("POST", "/messages/{id}/discard"): {"reason": "a test"},
    }
