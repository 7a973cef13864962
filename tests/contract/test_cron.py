"""Scheduled jobs, as the backend and its front end make and run them."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from checks import assert_inbound_body, assert_job, assert_problem, assert_run
from client import IIClawError, answer_target, job_path, jobs_path, session_key, user_path
from conftest import eventually
from people import unique

SENT_KEYS = ("name", "schedule", "action", "one_shot", "label", "channel_type", "metadata")
EVERY = {"type": "every", "every_secs": 300}


def soon(**after) -> str:
    """A time as JavaScript's toISOString writes it."""
    at = datetime.now(UTC) + (timedelta(**after) if after else timedelta(days=30))
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def message(hook, text: str = "Good morning", **more) -> dict:
    action = {"type": "channel_message", "channel": hook.slug, "recipient": "ada", "message": text}
    return job_body(action, channel_type={"platform": "webhook"}) | more


def task(context: str, **more) -> dict:
    return job_body({"type": "assistant_task", "agent_id": "research", "context": context} | more)


def job_body(action: dict, **more) -> dict:
    return {"name": "Morning", "schedule": EVERY, "action": action, "one_shot": False} | more


@pytest.fixture
def hook(new_webhook):
    return new_webhook()


# --- create and list ------------------------------------------------------------------------------------------


def test_a_new_user_has_no_jobs_and_no_runs(client, user):
    assert client.request("GET", jobs_path(user)).json()["jobs"] == []
    assert client.history(user) == []


def test_a_job_has_every_key_and_is_shown_as_it_was_sent(client, user, hook):
    body = message(hook, label="daily", metadata={"created_by": "agent", "n": [1, None]})
    response = client.request("POST", jobs_path(user), json=body)
    assert response.status_code in (200, 201)
    job = response.json()
    assert_job(job)
    assert {key: job[key] for key in SENT_KEYS} == body
    assert job["enabled"] is True
    assert client.jobs(user) == [job]


def test_options_may_be_null_or_absent(client, user, hook):
    body = message(hook)
    del body["channel_type"]
    nulls = body | {"label": None, "channel_type": None, "metadata": None}
    for sent in (body, nulls):
        job = client.create_job(user, sent)
        assert_job(job)
        assert job["label"] is job["channel_type"] is job["metadata"] is None


PRESETS = [
    "*/5 * * * *", "0 * * * *", "0 */6 * * *", "0 9 * * *", "0 9,18 * * *", "0 9 * * 1-5", "0 10 * * 0,6", "0 9 * * 7",
    "0 17 * * 5#L", "0 9 1 * *", "0 9 1 1,4,7,10 *", "0 9 * * MON-FRI",
]


@pytest.mark.parametrize("expr", PRESETS)
def test_every_preset_is_taken(client, user, hook, expr):
    schedule = {"type": "cron", "expr": expr}
    job = client.create_job(user, message(hook, schedule=schedule))
    assert (job["schedule_type"], job["schedule"]) == ("cron", schedule)


SCHEDULES = {
    "every": lambda: EVERY,
    "cron": lambda: {"type": "cron", "expr": "0 9 * * 1-5"},
    "cron in a zone": lambda: {"type": "cron", "expr": "0 9 * * 1-5", "tz": "America/New_York"},
    "cron in null": lambda: {"type": "cron", "expr": "0 9 * * 1-5", "tz": None},
    "at": lambda: {"type": "at", "at": soon()},
    "at with an offset": lambda: {"type": "at", "at": soon().replace("Z", "+02:00")},
}


@pytest.mark.parametrize("make", SCHEDULES.values(), ids=SCHEDULES)
def test_every_kind_of_schedule(client, user, hook, make):
    schedule = make()
    job = client.create_job(user, message(hook, schedule=schedule))
    assert_job(job)
    assert job["schedule"] == schedule
    assert client.job(user, job["id"]) == job


def previewed(client, user, expr: str, count: int) -> list[datetime]:
    return [datetime.fromisoformat(at) for at in client.preview(user, {"type": "cron", "expr": expr}, count)]


def test_weekdays_are_monday_to_friday(client, user, hook):
    days = previewed(client, user, "0 9 * * 1-5", 10)
    first = days[0]
    weekdays = [first + timedelta(days=n) for n in range(14) if (first + timedelta(days=n)).weekday() < 5]
    assert days == weekdays[:10]
    job = client.create_job(user, message(hook, schedule={"type": "cron", "expr": "0 9 * * 1-5"}))
    assert datetime.fromisoformat(job["next_run_at"]) == first


def test_5_l_is_the_last_friday_of_each_month(client, user):
    days = previewed(client, user, "0 17 * * 5#L", 12)
    for day in days:
        assert (day.weekday(), day.hour, day.minute) == (4, 17, 0)
        assert (day + timedelta(days=7)).month != day.month
    assert len({(day.year, day.month) for day in days}) == 12
    assert days[-1] - days[0] < timedelta(days=340)


def test_a_week_begins_and_ends_with_sunday(client, user):
    assert previewed(client, user, "0 9 * * 0", 3) == previewed(client, user, "0 9 * * 7", 3)
    assert {day.weekday() for day in previewed(client, user, "0 9 * * 0", 3)} == {6}


def test_a_task_is_kept_with_and_without_a_delivery(client, user, hook):
    delivery = {"type": "channel_message", "channel": hook.slug, "recipient": "ada"}
    for body in (task("look"), task("look", delivery=None), task("look", delivery=delivery)):
        job = client.create_job(user, body)
        assert_job(job)
        assert job["action"] == body["action"]


def test_a_channel_may_be_named_by_its_type(client, user, hook):
    body = message(hook)
    body["action"]["channel"] = "webhook"
    assert client.create_job(user, body)["action"]["channel"] == "webhook"


def test_the_list_can_be_filtered_by_label(client, user, hook):
    ids = {label: client.create_job(user, message(hook, label=label))["id"] for label in ("a", "b b", None)}
    for label in ("a", "b b"):
        assert [job["id"] for job in client.jobs(user, label)] == [ids[label]]
    assert client.jobs(user, "c") == []
    assert {job["id"] for job in client.jobs(user)} == set(ids.values())


def test_users_see_only_their_own_jobs(client, user, stranger, hook):
    job = client.create_job(user, message(hook))
    client.test_job(user, job["id"])
    assert client.jobs(stranger) == client.history(stranger) == []


# --- replace, enable, delete ----------------------------------------------------------------------------------


def test_a_put_replaces_everything(client, user, hook):
    job = client.create_job(user, message(hook, label="old", metadata={"a": 1}))
    body = task("look") | {"name": "Evening", "schedule": {"type": "at", "at": soon()}, "one_shot": True}
    body |= {"enabled": False}
    response = client.request("PUT", job_path(user, job["id"]), json=body)
    assert response.status_code == 200 and isinstance(response.json(), dict)
    after = client.job(user, job["id"])
    assert_job(after)
    for key in ("name", "schedule", "action", "one_shot", "enabled"):
        assert after[key] == body[key]
    assert after["label"] is after["metadata"] is after["channel_type"] is None
    assert (after["id"], after["created_at"]) == (job["id"], job["created_at"])


@pytest.mark.parametrize("enabled", [True, False])
def test_a_put_without_enabled_keeps_it(client, user, hook, enabled):
    job = client.create_job(user, message(hook))
    client.enable_job(user, job["id"], enabled)
    client.replace_job(user, job["id"], message(hook, name="Renamed"))
    after = client.job(user, job["id"])
    assert (after["name"], after["enabled"]) == ("Renamed", enabled)


def test_a_job_whose_channel_is_gone_can_still_be_saved(client, user, hook):
    body = message(hook)
    job = client.create_job(user, body)
    client.delete(user, hook.slug)
    client.replace_job(user, job["id"], body | {"enabled": False})
    assert client.job(user, job["id"])["enabled"] is False


@pytest.mark.parametrize("yes, no", [("true", "false"), (True, False)], ids=repr)
def test_switches_as_strings_and_natively(client, user, hook, yes, no):
    job = client.create_job(user, message(hook, one_shot=yes, enabled=no))
    assert (job["one_shot"], job["enabled"]) == (True, False)
    client.enable_job(user, job["id"], yes)
    assert client.job(user, job["id"])["enabled"] is True


def test_a_job_is_switched_off_and_on(client, user, hook):
    job = client.create_job(user, message(hook))
    for enabled in (False, True, True):
        assert isinstance(client.enable_job(user, job["id"], enabled), dict)
        assert client.job(user, job["id"])["enabled"] is enabled


def test_a_deleted_job_is_gone_and_its_runs_are_not(client, user, hook):
    gone, kept = client.create_job(user, message(hook)), client.create_job(user, message(hook))
    client.test_job(user, gone["id"])
    response = client.request("DELETE", job_path(user, gone["id"]))
    assert response.status_code == 200 and isinstance(response.json(), dict)
    assert [job["id"] for job in client.jobs(user)] == [kept["id"]]
    assert [run["job_id"] for run in client.history(user)] == [gone["id"]]
    assert_problem(client.request("DELETE", job_path(user, gone["id"])), 404)


# --- test and history -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("enabled", [True, False])
def test_a_test_sends_the_message(client, user, hook, enabled):
    text = unique("tested")
    job = client.create_job(user, message(hook, text))
    client.enable_job(user, job["id"], enabled)
    tested = client.test_job(user, job["id"])
    assert (tested["status"], tested["id"], tested["name"]) == ("ok", job["id"], job["name"])
    assert (tested["action_type"], tested["enabled"]) == ("channel_message", enabled)
    assert not tested.get("error")
    assert isinstance(tested["message"], str) and tested["message"]
    eventually(lambda: text in hook.seen_by("ada"), what="the message")
    assert hook.seen_by("ada") == [text]


def test_a_test_with_a_numeric_recipient_reaches_telegram(client, user, new_telegram):
    bot, text = new_telegram(), unique("tested")
    body = message(bot, text)
    body["action"]["recipient"] = bot.person
    job = client.create_job(user, body)
    assert job["action"]["recipient"] == bot.person
    assert client.test_job(user, job["id"])["status"] == "ok"
    eventually(lambda: text in bot.seen_by(bot.person), what="the message")


def test_a_test_gives_the_agent_its_task(client, user, hook, backend):
    context = unique("context")
    delivery = {"type": "channel_message", "channel": hook.slug, "recipient": "ada"}
    job = client.create_job(user, task(context, delivery=delivery))
    assert client.test_job(user, job["id"])["status"] == "ok"
    body = backend.get(context).body
    assert_inbound_body(body)
    assert (body["text"], body["agent_id"], body["content_type"]) == (context, "research", "text")
    assert (body["channel"], body["instance_name"], body["user_id"]) == ("webhook", hook.slug, user)
    assert answer_target(body) == {"recipient": "ada"}
    assert body["metadata"]["source"] == "cron"
    assert (body["metadata"]["job_id"], body["metadata"]["job_name"]) == (job["id"], job["name"])
    assert session_key(body["metadata"]) == "ada"
    backend.answer(body, f"answer to {context}")
    eventually(lambda: f"answer to {context}" in hook.seen_by("ada"), what="the agent's answer")


def test_a_task_without_a_delivery_has_a_session_of_its_own(client, user, backend):
    contexts = [unique("context"), unique("context")]
    jobs = [client.create_job(user, task(context)) for context in contexts]
    for job in jobs:
        assert client.test_job(user, job["id"])["status"] == "ok"
    bodies = [backend.get(context).body for context in contexts]
    for body, job in zip(bodies, jobs):
        assert_inbound_body(body)
        assert not body.get("reply_to")
        assert job["id"] in session_key(body["metadata"])


def test_each_test_is_a_run(client, user, hook):
    job, other = client.create_job(user, message(hook)), client.create_job(user, message(hook))
    for tested in (job, other, job):
        client.test_job(user, tested["id"])
    runs = client.history(user)
    for run in runs:
        assert_run(run)
        assert (run["status"], run["action_type"], run["schedule_type"]) == ("ok", "channel_message", "every")
    assert [run["job_id"] for run in runs] == [job["id"], other["id"], job["id"]]
    assert [run["started_at"] for run in runs] == sorted((run["started_at"] for run in runs), reverse=True)
    assert client.job_history(user, job["id"]) == [runs[0], runs[2]]


def test_a_run_under_way_is_running(client, user, hook, world):
    job = client.create_job(user, message(hook))
    with ThreadPoolExecutor(1) as pool:
        with world.holding(hook.name):
            tested = pool.submit(client.test_job, user, job["id"])
            (run,) = eventually(lambda: hook.callbacks() and client.job_history(user, job["id"]), what="the run")
            assert_run(run)
            assert (run["status"], run["finished_at"], run["duration_ms"]) == ("running", None, None)
        assert tested.result()["status"] == "ok"
    (ended,) = client.job_history(user, job["id"])
    assert_run(ended)
    assert (ended["id"], ended["status"], ended["started_at"]) == (run["id"], "ok", run["started_at"])


def test_a_test_that_fails_says_why(client, user, hook):
    job = client.create_job(user, message(hook))
    client.delete(user, hook.slug)
    response = client.request("POST", job_path(user, job["id"], "test"))
    assert response.status_code == 200
    tested = response.json()
    assert (tested["status"], tested["id"], tested["enabled"]) == ("error", job["id"], True)
    assert not tested.get("message")
    assert hook.slug in tested["error"]
    (run,) = client.job_history(user, job["id"])
    assert_run(run)
    assert (run["status"], run["error_message"]) == ("error", tested["error"])


def test_a_message_that_the_platform_refuses_is_an_error(client, user, new_telegram):
    bot = new_telegram()
    body = message(bot)
    body["action"]["recipient"] = "not a chat"
    job = client.create_job(user, body)
    tested = client.test_job(user, job["id"])
    assert (tested["status"], bool(tested["error"])) == ("error", True)


def test_a_type_of_which_there_are_two_is_an_error(client, user, hook, new_webhook):
    body = message(hook)
    body["action"]["channel"] = "webhook"
    job = client.create_job(user, body)
    assert client.test_job(user, job["id"])["status"] == "ok"
    second = new_webhook()
    assert client.test_job(user, job["id"])["status"] == "error"
    assert second.callbacks() == []
    assert_problem(client.request("POST", jobs_path(user), json=body))


# --- input that makes no sense --------------------------------------------------------------------------------

BAD_TOP_LEVEL = {
    "no name": {"name": None},
    "empty name": {"name": ""},
    "long name": {"name": "x" * 201},
    "number name": {"name": 5},
    "nul name": {"name": "a\0b"},
    "list label": {"label": ["a"]},
    "nul label": {"label": "a\0b"},
    "unknown key": {"no_such_key": 1},
    "list metadata": {"metadata": [1]},
    "list channel type": {"channel_type": ["slack"]},
    "one shot maybe": {"one_shot": "maybe"},
    "no schedule": {"schedule": None},
    "no action": {"action": None},
}
BAD_SCHEDULES = {
    "text": "daily",
    "list": [],
    "empty": {},
    "unknown type": {"type": "sometimes"},
    "every nothing": {"type": "every"},
    "every zero": {"type": "every", "every_secs": 0},
    "every minus": {"type": "every", "every_secs": -5},
    "every half": {"type": "every", "every_secs": 1.5},
    "every abc": {"type": "every", "every_secs": "abc"},
    "every million years": {"type": "every", "every_secs": 10**15},
    "every beyond": {"type": "every", "every_secs": 10**30},
    "four fields": {"type": "cron", "expr": "0 9 * *"},
    "six fields": {"type": "cron", "expr": "0 0 9 * * *"},
    "minute 60": {"type": "cron", "expr": "60 * * * *"},
    "never": {"type": "cron", "expr": "0 0 30 2 *"},
    "words": {"type": "cron", "expr": "every day"},
    "empty expr": {"type": "cron", "expr": ""},
    "list expr": {"type": "cron", "expr": ["0 9 * * *"]},
    "no zone": {"type": "cron", "expr": "0 9 * * *", "tz": "Mars/Olympus"},
    "at past": {"type": "at", "at": "2020-01-01T00:00:00.000Z"},
    "at tomorrow": {"type": "at", "at": "tomorrow"},
    "at number": {"type": "at", "at": 1_900_000_000},
    "unknown key": {"type": "every", "every_secs": 300, "no_such_key": 1},
}
GOOD_MESSAGE = {"type": "channel_message", "channel": "{slug}", "recipient": "ada", "message": "hi"}
GOOD_TASK = {"type": "assistant_task", "agent_id": "research", "context": "look"}
BAD_ACTIONS = {
    "text": "send",
    "empty": {},
    "unknown type": GOOD_MESSAGE | {"type": "shell"},
    "unknown key": GOOD_MESSAGE | {"no_such_key": 1},
    "no channel": GOOD_MESSAGE | {"channel": None},
    "empty channel": GOOD_MESSAGE | {"channel": ""},
    "unknown channel": GOOD_MESSAGE | {"channel": "slack_ffffffff"},
    "nul channel": GOOD_MESSAGE | {"channel": "a\0b"},
    "no recipient": GOOD_MESSAGE | {"recipient": None},
    "empty recipient": GOOD_MESSAGE | {"recipient": " "},
    "object recipient": GOOD_MESSAGE | {"recipient": {"id": 1}},
    "no message": GOOD_MESSAGE | {"message": None},
    "empty message": GOOD_MESSAGE | {"message": " "},
    "list message": GOOD_MESSAGE | {"message": ["hi"]},
    "no context": GOOD_TASK | {"context": None},
    "empty context": GOOD_TASK | {"context": ""},
    "list agent": GOOD_TASK | {"agent_id": ["a"]},
    "unknown key of a task": GOOD_TASK | {"no_such_key": 1},
    "text delivery": GOOD_TASK | {"delivery": "ada"},
    "delivery to nobody": GOOD_TASK | {"delivery": {"type": "channel_message", "channel": "{slug}"}},
    "delivery nowhere": GOOD_TASK | {"delivery": {"type": "channel_message", "channel": "no", "recipient": "a"}},
    "wake-up without a text": {"type": "hook"},
    "wake-up of another user": {"type": "hook", "text": "hi", "user_id": "eve"},
    "wake-up in half a chat": {"type": "hook", "text": "hi", "channel": "{slug}"},
    "wake-up some day": {"type": "hook", "text": "hi", "mode": "later"},
    "webhook to nowhere": {"type": "webhook", "url": "reports"},
    "webhook with headers": {"type": "webhook", "url": "https://93.184.216.34/", "headers": {"a": "b"}},
    "webhook of a text": {"type": "webhook", "url": "https://93.184.216.34/", "body": "hi"},
    "delivery by mail": GOOD_TASK | {"delivery": {"type": "mail", "channel": "{slug}", "recipient": "a"}},
}
BAD = (
    [pytest.param(wrong, id=name) for name, wrong in BAD_TOP_LEVEL.items()]
    + [pytest.param({"schedule": wrong}, id=f"schedule {name}") for name, wrong in BAD_SCHEDULES.items()]
    + [pytest.param({"action": wrong}, id=f"action {name}") for name, wrong in BAD_ACTIONS.items()]
)


def filled(wrong, slug: str):
    """`wrong` with the slug of a channel that there is."""
    if isinstance(wrong, dict):
        return {key: filled(value, slug) for key, value in wrong.items()}
    return slug if wrong == "{slug}" else wrong


@pytest.mark.parametrize("wrong", BAD)
def test_a_bad_job_is_refused_and_nothing_is_stored(client, user, hook, wrong):
    job = client.create_job(user, message(hook))
    body = message(hook) | filled(wrong, hook.slug)
    assert_problem(client.request("POST", jobs_path(user), json=body), 400)
    assert_problem(client.request("PUT", job_path(user, job["id"]), json=body), 400)
    assert client.jobs(user) == [job]


@pytest.mark.parametrize("missing", ["name", "schedule", "action"])
def test_a_job_without_a_required_key(client, user, hook, missing):
    body = message(hook)
    del body[missing]
    assert_problem(client.request("POST", jobs_path(user), json=body), 400)
    assert client.jobs(user) == []


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b'"a"'], ids=repr)
def test_a_body_that_is_no_object(client, user, hook, raw):
    job = client.create_job(user, message(hook))
    for method, path in [
        ("POST", jobs_path(user)),
        ("PUT", job_path(user, job["id"])),
        ("PUT", job_path(user, job["id"], "enable")),
    ]:
        assert_problem(client.request(method, path, content=raw), 400)
    assert client.jobs(user) == [job]


@pytest.mark.parametrize("wrong", [{}, {"enabled": None}, {"enabled": "maybe"}, {"enabled": True, "x": 1}], ids=str)
def test_enabling_with_a_bad_body(client, user, hook, wrong):
    job = client.create_job(user, message(hook))
    assert_problem(client.request("PUT", job_path(user, job["id"], "enable"), json=wrong), 400)
    assert client.jobs(user) == [job]


CALLS = {
    "replace": lambda client, user, job: client.replace_job(user, job, task("look")),
    "enable": lambda client, user, job: client.enable_job(user, job, False),
    "delete": lambda client, user, job: client.delete_job(user, job),
    "test": lambda client, user, job: client.test_job(user, job),
    "history": lambda client, user, job: client.job_history(user, job),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_job_that_is_not_there_or_a_strangers(client, user, stranger, hook, call):
    job = client.create_job(user, message(hook))
    for owner, job_id in [(user, str(uuid.uuid4())), (stranger, job["id"])]:
        with pytest.raises(IIClawError) as refused:
            call(client, owner, job_id)
        assert refused.value.status == 404
    assert client.jobs(user) == [job]
    assert hook.callbacks() == []


@pytest.mark.parametrize("job_id", ["not-a-uuid", "%00", "%FF", "x" * 3000], ids=lambda value: value[:10])
def test_a_job_id_that_cannot_be_one(client, user, job_id):
    for method, action in [("DELETE", ""), ("POST", "/test"), ("GET", "/history")]:
        assert_problem(client.request(method, f"{jobs_path(user)}/{job_id}{action}"))


@pytest.mark.parametrize("method, path", [
    ("GET", "jobs"),
    ("POST", "jobs"),
    ("PUT", f"jobs/{uuid.uuid4()}"),
    ("PUT", f"jobs/{uuid.uuid4()}/enable"),
    ("DELETE", f"jobs/{uuid.uuid4()}"),
    ("POST", f"jobs/{uuid.uuid4()}/test"),
    ("GET", f"jobs/{uuid.uuid4()}/history"),
    ("GET", "history"),
    ("POST", "preview"),
])
@pytest.mark.parametrize("header", [None, "Bearer not-the-key"], ids=["none", "wrong"])
def test_no_call_without_the_key(anonymous, user, method, path, header):
    headers = {"Authorization": header} if header else {}
    refused = anonymous.request(method, f"{user_path(user)}/cron/{path}", headers=headers, json={})
    # Whoever comes with many wrong keys is told to wait, from some point on.
    assert_problem(refused, 429 if refused.headers.get("retry-after") else 401)
