"""Jobs, wake-ups, tasks, hooks and settings."""

import hashlib
import hmac

import httpx
import pytest
from ii_claw_client import NotFound, models
from people import assert_fits, eventually, unique

CRON = {"type": "cron", "expr": "0 9 * * 1-5", "tz": "Europe/Berlin"}


# --- jobs ----------------------------------------------------------------------------------------------------------


def test_a_job_from_its_making_to_its_end(client, user, new_person):
    person = new_person()
    action = {"type": "channel_message", "channel": "hook", "recipient": person.id, "message": "Good morning"}
    made = client.create_job(user, "mornings", CRON, action, label="daily")
    assert_fits(made, models.CreatedJob)
    assert made["next_run_at"]
    assert [job["id"] for job in client.jobs(user, label="daily")] == [made["id"]]
    found = client.jobs(user, q="MORN", enabled=True, action_type="channel_message")
    assert [job["id"] for job in found] == [made["id"]]
    assert client.jobs(user, enabled=False) == []
    assert client.job(user, made["id"]) == client.jobs(user)[0]
    assert client.enable_job(user, made["id"], False)["enabled"] is False
    replaced = client.replace_job(user, made["id"], "later", CRON, action, enabled=True)
    assert_fits(replaced, models.CronJob)
    assert (replaced["name"], replaced["label"], replaced["enabled"]) == ("later", None, True)
    run = client.run_job(user, made["id"])
    assert_fits(run, models.RunNow)
    assert run["status"] == "ok"
    eventually(lambda: person.sees() == ["Good morning"], what="the job's message")
    client.delete_job(user, made["id"])
    assert client.jobs(user) == []
    assert client.create_job(user, "off", CRON, action, enabled=False)["next_run_at"] is None


def test_histories_come_in_pages(client, user, new_person):
    person = new_person()
    action = {"type": "channel_message", "channel": "hook", "recipient": person.id, "message": "Good morning"}
    jobs = [client.create_job(user, name, CRON, action)["id"] for name in ("one", "two")]
    runs = [client.run_job(user, job)["run_id"] for job in (jobs[0], jobs[1], jobs[0])]
    page = client.history(user, limit=2)
    assert_fits(page, models.CronRuns)
    assert_fits(page["runs"][0], models.CronRun)
    assert [run["id"] for run in page["runs"]] == [runs[2], runs[1]]
    assert [run["id"] for run in client.history(user, limit=2, cursor=page["next_cursor"])["runs"]] == [runs[0]]
    assert [run["id"] for run in client.every(client.history, user, limit=1)] == runs[::-1]
    assert [run["id"] for run in client.every(client.job_history, user, jobs[0], limit=1)] == [runs[2], runs[0]]


def test_a_run_ends_when_it_is_said_to_be_complete(client, user, new_person):
    person = new_person()
    task = {"type": "assistant_task", "context": "look"}
    made = client.create_job(user, "look", CRON, task, options={"await_completion": True, "max_retries": 2})
    assert_fits(made, models.CreatedJob)
    assert (made["await_completion"], made["max_retries"]) == (True, 2)
    told, sent = (client.run_job(user, made["id"])["run_id"] for _ in range(2))
    run = client.complete_run(user, told, "error", "no such page")
    assert_fits(run, models.CronRun)
    assert (run["status"], run["error_message"]) == ("error", "no such page")
    assert client.complete_run(user, told, "error") == run
    client.send(user, "hook", person.id, "three reports", run_id=sent)
    assert {run["id"]: run["status"] for run in client.history(user)["runs"]} == {told: "error", sent: "ok"}


def test_a_schedule_is_previewed(client, user):
    shown = client.preview_schedule(user, {"type": "cron", "expr": "0 17 * * 5#L"}, count=3)
    assert_fits(shown, models.Previewed)
    assert len(shown["runs"]) == 3 and all("T17:00:00" in run for run in shown["runs"])
    assert len(client.preview_schedule(user, CRON)["runs"]) == 5
    shown = client.preview_schedule(user, CRON, max_runs=2, jitter_secs=60)
    assert_fits(shown, models.Previewed)
    assert len(shown["runs"]) == len(shown["latest"]) == 2


def test_the_secret_of_webhooks(client, user):
    secret = client.signing_secret(user)
    assert secret.startswith("whsec_") and client.signing_secret(user) == secret


# --- waking --------------------------------------------------------------------------------------------------------


def test_wake(client, user, receiver):
    woken = client.wake(user, "The nightly backup failed.", idempotency_key="backup")
    assert_fits(woken, models.Woken)
    assert (woken["status"], woken["mode"]) == ("accepted", "now")
    again = client.wake(user, "The nightly backup failed.", idempotency_key="backup")
    assert (again["id"], again["duplicate"]) == (woken["id"], True)


def test_a_wake_up_at_the_heartbeat(client, user, receiver):
    settings = client.set_user_settings(user, heartbeat_every_secs=86_400)
    assert_fits(settings, models.UserSettings)
    assert client.user_settings(user)["heartbeat_every_secs"] == 86_400
    woken = client.run_agent(user, "Summarise the tickets.", mode="next_heartbeat", timeout_secs=60)
    assert_fits(woken, models.Woken)
    assert (woken["mode"], woken["due_at"]) == ("next_heartbeat", settings["next_heartbeat_at"])
    assert client.set_user_settings(user, heartbeat_every_secs=None)["heartbeat_every_secs"] is None


def test_settings_are_all_there(client, user, new_person):
    person = new_person()
    chat = {"channel": "hook", "recipient": person.id}
    hours = {"from": "08:00", "to": "22:00", "tz": "Europe/Berlin", "days": [1, 2]}
    beat = {"text": "Look around.", "agent_id": "research"}
    settings = client.set_user_settings(
        user, alert_after=2, pause_after=4, alerts=chat, active_hours=hours, heartbeat=beat
    )
    assert_fits(settings, models.UserSettings)
    assert (settings["alerts"], settings["active_hours"], settings["heartbeat"]) == (chat, hours, beat)
    assert client.user_settings(user) == settings
    assert client.set_user_settings(user)["heartbeat"] is None


# --- hooks ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def hook(client, user):
    made = client.create_hook(user, unique("hook"), text_template="{{ title }}", fields={"repo": "{{ repo }}"})
    yield made
    try:
        client.delete_hook(user, made["name"])
    except NotFound:
        pass


def post(settings, hook: dict, body: bytes, secret: str) -> httpx.Response:
    signature = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    headers = {"X-Webhook-Signature": signature}
    return httpx.post(settings.url + hook["path"], content=body, headers=headers, trust_env=False)


def test_a_hook_from_its_making_to_its_end(client, user, hook, settings, receiver):
    name = hook["name"]
    assert_fits(hook, models.CreatedHook)
    assert_fits(client.hook(user, name), models.Hook)
    assert [one["name"] for one in client.every(client.hooks, user, limit=1)] == [name]
    body = b'{"title": "It rains", "repo": "roof"}'
    taken = post(settings, hook, body, hook["secret"])
    assert taken.status_code == 202, taken.text
    eventually(lambda: client.message(user, taken.json()["id"])["state"] == "done", what="the event to be taken")

    renewed = client.renew_hook_secret(user, name)
    assert renewed["secret"] != hook["secret"]
    assert post(settings, hook, body, hook["secret"]).status_code == 401
    # A stranger is answered before the call is noted.
    eventually(lambda: len(client.hook_deliveries(user, name)["deliveries"]) == 2, what="the refused call to be noted")
    page = client.hook_deliveries(user, name)
    assert_fits(page, models.HookDeliveries)
    assert_fits(page["deliveries"][0], models.HookDelivery)
    calls = client.every(client.hook_deliveries, user, name, limit=1)
    assert [one["status"] for one in calls] == ["refused", "accepted"]

    tested = client.test_hook(user, name, {"title": "Again", "repo": "roof"})
    assert_fits(tested, models.TestedHook)
    assert (tested["text"], tested["fields"], tested["sent"]) == ("Again", {"repo": "roof"}, False)
    assert client.test_hook(user, name, {"title": "Again"}, send=True)["id"]
    changed = client.update_hook(user, name, enabled=False, text_template=None)
    assert (changed["enabled"], changed["text_template"]) == (False, None)
    client.delete_hook(user, name)
    with pytest.raises(NotFound):
        client.hook(user, name)
