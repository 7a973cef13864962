"""The shapes the contract names, each as one assertion to call."""

import re
import uuid
from contextlib import contextmanager

import httpx

from client import IIClawClient

CHANNEL_KEYS = {
    "id": str, "instance_name_id": str, "instance_name": str, "channel_type": str, "status": str,
    "config_json": dict, "enabled": bool, "agent_id": str, "created_at": str,
}
STATUSES = {"running", "configured", "stopped"}

# A key of a job or a run, and the kinds its value may have.
JOB_KEYS = {
    "id": str, "name": str, "label": (str, type(None)), "enabled": bool, "schedule_type": str, "schedule": dict,
    "action_type": str, "action": dict, "one_shot": bool, "channel_type": (dict, str, type(None)),
    "metadata": (dict, type(None)), "created_at": str, "updated_at": str,
}
RUN_KEYS = {
    "id": str, "job_id": str, "status": str, "started_at": str, "finished_at": (str, type(None)),
    "duration_ms": (int, type(None)), "error_message": (str, type(None)), "action_type": str, "schedule_type": str,
    "metadata": (dict, type(None)),
}
RUN_STATUSES = {"running", "ok", "error", "timeout"}

BODY_REQUIRED = {"user_id": str, "channel": str, "instance_name": str, "content_type": str, "is_group": bool}
BODY_OPTIONAL = {
    "agent_id": str, "platform_message_id": str, "sender": dict, "text": str, "media_url": str,
    "media_filename": str, "media_duration_seconds": (int, float), "thread_id": str, "timestamp": str,
    "metadata": dict, "reply_to": dict,
}
# Read by the client as the conversation's identity.
SESSION_KEYS = ("thread_id", "message_thread_id", "channel_id", "chat_id")

RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")


def assert_rfc3339(value: str) -> None:
    assert RFC3339.fullmatch(value), f"not RFC 3339: {value!r}"


def assert_channel(channel: dict) -> None:
    for key, kind in CHANNEL_KEYS.items():
        assert type(channel.get(key)) is kind, f"{key} should be a {kind.__name__} in {channel}"
    assert str(uuid.UUID(channel["id"])) == channel["id"].lower()
    assert channel["channel_type"] == channel["channel_type"].lower()
    assert channel["status"] in STATUSES
    assert_rfc3339(channel["created_at"])


def assert_job(job: dict) -> None:
    for key, kind in JOB_KEYS.items():
        assert key in job and isinstance(job[key], kind), f"{key} should be {kind} in {job}"
    assert job["schedule_type"] == job["schedule"]["type"]
    assert job["action_type"] == job["action"]["type"]
    for key in ("created_at", "updated_at"):
        assert_rfc3339(job[key])


def assert_run(run: dict) -> None:
    for key, kind in RUN_KEYS.items():
        assert key in run and isinstance(run[key], kind), f"{key} should be {kind} in {run}"
    assert run["status"] in RUN_STATUSES
    assert_rfc3339(run["started_at"])
    if run["status"] != "running":
        assert_rfc3339(run["finished_at"])
        assert run["duration_ms"] >= 0
    assert (run["status"] in ("ok", "running")) == (run["error_message"] is None)


def assert_inbound_body(body: dict) -> None:
    for key, kind in BODY_REQUIRED.items():
        assert type(body.get(key)) is kind, f"{key} should be a {kind.__name__} in {body}"
    for key, kind in BODY_OPTIONAL.items():
        value = body.get(key)
        assert value is None or (isinstance(value, kind) and not isinstance(value, bool)), f"{key}: {value!r}"
    if body.get("timestamp"):
        assert_rfc3339(body["timestamp"])
    _assert_strings(body.get("sender") or {}, "platform_id", "display_name")
    _assert_strings(body.get("reply_to") or {}, "channel", "recipient", "thread_id")
    _assert_strings(body.get("metadata") or {}, *SESSION_KEYS)


def _assert_strings(within: dict, *keys: str) -> None:
    for key in keys:
        assert within.get(key) is None or isinstance(within[key], str), f"{key} should be a string in {within}"


def assert_problem(response: httpx.Response, status: int | None = None) -> dict:
    """A refusal: 4xx, a JSON object saying what went wrong, as application/problem+json."""
    assert 400 <= response.status_code < 500, f"{response.status_code}: {response.text[:500]}"
    assert status is None or response.status_code == status, f"{response.status_code}: {response.text[:500]}"
    assert response.headers["content-type"].split(";")[0] == "application/problem+json"
    problem = response.json()
    assert isinstance(problem, dict)
    for key in ("error", "detail"):
        assert isinstance(problem.get(key), str) and problem[key].strip(), f"no {key} in {problem}"
    return problem


def stored(client: IIClawClient, user: str) -> dict:
    """What is kept of a user's channels; `status` may change by itself and is left out."""
    kept = CHANNEL_KEYS.keys() - {"status"}
    return {c["id"]: {key: c[key] for key in kept} for c in client.channels(user)}


@contextmanager
def nothing_changes(client: IIClawClient, *users: str):
    before = [stored(client, user) for user in users]
    yield
    assert [stored(client, user) for user in users] == before


def items(value) -> list[str]:
    """A list field, whichever of the accepted forms it is shown in."""
    if isinstance(value, str):
        value = [part for part in value.split(",") if part.strip()]
    return [str(item).strip() for item in value]


def is_true(value) -> bool:
    return value is True or value == "true"
