"""Scheduled jobs and their runs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from operator import itemgetter
from typing import Any

from .. import models
from .call import Call, again, get, given, never_again, once, path


def create_job(
    user: str,
    name: str,
    schedule: Mapping[str, Any],
    action: Mapping[str, Any],
    *,
    enabled: bool | None = None,
    one_shot: bool = False,
    label: str | None = None,
    channel_type: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    options: models.JobOptions | None = None,
    idempotency_key: str | None = None,
) -> Call[models.CreatedJob]:
    """Makes a job: `schedule` is like `{"type": "cron", "expr": "0 9 * * 1-5"}`, `action` like
    `{"type": "channel_message", "channel": ..., "recipient": ..., "message": ...}`, `options` like
    `{"max_retries": 2}`."""
    body = given(
        name=name, schedule=schedule, action=action, enabled=enabled, one_shot=one_shot, label=label,
        channel_type=channel_type, metadata=metadata, **(options or {}),
    )  # fmt: skip
    return once("POST", _cron(user, "jobs"), body, idempotency_key)


def jobs(
    user: str,
    label: str | None = None,
    *,
    q: str | None = None,
    enabled: bool | None = None,
    action_type: str | None = None,
) -> Call[list[models.CronJob]]:
    """A user's jobs, oldest first; `q` is a text in their name or label."""
    read = itemgetter("jobs")
    return get(_cron(user, "jobs"), read, label=label, q=q, enabled=enabled, action_type=action_type)


def job(user: str, job_id: str) -> Call[models.CronJob]:
    """One job."""
    return get(_cron(user, "jobs", job_id))


def replace_job(
    user: str,
    job_id: str,
    name: str,
    schedule: Mapping[str, Any],
    action: Mapping[str, Any],
    *,
    enabled: bool,
    one_shot: bool = False,
    label: str | None = None,
    channel_type: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    options: models.JobOptions | None = None,
) -> Call[models.CronJob]:
    """Replaces all of a job: what is left out is gone."""
    body = given(
        name=name, schedule=schedule, action=action, enabled=enabled, one_shot=one_shot, label=label,
        channel_type=channel_type, metadata=metadata, **(options or {}),
    )  # fmt: skip
    return again("PUT", _cron(user, "jobs", job_id), body)


def enable_job(user: str, job_id: str, enabled: bool = True) -> Call[models.CronJob]:
    """Switches a job on or off."""
    return again("PUT", _cron(user, "jobs", job_id, "enable"), {"enabled": enabled})


def delete_job(user: str, job_id: str) -> Call[dict[str, Any]]:
    """Deletes a job; its runs stay."""
    return never_again("DELETE", _cron(user, "jobs", job_id))


def run_job(user: str, job_id: str) -> Call[models.RunNow]:
    """Runs a job now, switched on or not."""
    return never_again("POST", _cron(user, "jobs", job_id, "test"))


def job_history(
    user: str, job_id: str, *, limit: int | None = None, cursor: int | None = None
) -> Call[models.CronRuns]:
    """A page of a job's runs, newest first; `cursor` is the `next_cursor` of the page before."""
    return get(_cron(user, "jobs", job_id, "history"), limit=limit, cursor=cursor)


def history(user: str, *, limit: int | None = None, cursor: int | None = None) -> Call[models.CronRuns]:
    """A page of the runs of all of a user's jobs, newest first."""
    return get(_cron(user, "history"), limit=limit, cursor=cursor)


def complete_run(user: str, run_id: str, status: str = "ok", message: str | None = None) -> Call[models.CronRun]:
    """Says what became of a run of a job with `await_completion`: `ok` or `error`. Saying it again is no error."""
    return again("POST", _cron(user, "runs", run_id, "complete"), given(status=status, message=message))


def preview_schedule(
    user: str,
    schedule: Mapping[str, Any],
    count: int | None = None,
    *,
    starts_at: datetime | str | None = None,
    ends_at: datetime | str | None = None,
    max_runs: int | None = None,
    jitter_secs: int | None = None,
) -> Call[models.Previewed]:
    """When a job of this schedule would run if it were made now; 5 times if not said, at most 50."""
    body = given(
        schedule=schedule, count=count, starts_at=starts_at, ends_at=ends_at, max_runs=max_runs, jitter_secs=jitter_secs
    )
    return again("POST", _cron(user, "preview"), body)


def signing_secret(user: str) -> Call[str]:
    """What the webhooks of this user's jobs are signed with, as Standard Webhooks writes a secret (`whsec_...`). Each call is
    in the audit log."""
    return get(_cron(user, "signing-secret"), itemgetter("secret"))


def _cron(user: str, *segments: str) -> str:
    return path("api", "users", user, "cron", *segments)
