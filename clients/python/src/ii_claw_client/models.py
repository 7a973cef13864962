"""What the gateway answers, as types.

The answers are plain dictionaries: what a newer gateway adds is simply there, and no type stands in its way. Keys that
are not always there are in the `...Extra` classes.
"""

from __future__ import annotations

from typing import Any, TypedDict


class Repeated(TypedDict, total=False):
    #: Whether the call repeats an earlier one.
    duplicate: bool


class Channel(TypedDict):
    """A user's connection to a platform."""

    id: str
    #: The `instance` of the calls; never changes.
    instance_name_id: str
    instance_name: str
    channel_type: str
    #: `running`, `configured` (meant to run, but does not at the moment) or `stopped` (switched off).
    status: str
    #: The fields that are not secret.
    config_json: dict[str, Any]
    enabled: bool
    #: Empty when none.
    agent_id: str
    created_at: str
    state: str
    last_error: str | None
    last_inbound_at: str | None
    owner: str | None
    webhook_path: str


class DeletedChannel(TypedDict):
    status: str
    id: str
    instance_name_id: str


class Pairing(TypedDict):
    """A person's request to be let in to a channel, their approval or denial, or an invitation."""

    id: str
    code: str
    #: `pending`, `invited`, `approved` or `denied`.
    state: str
    platform_id: str | None
    display_name: str | None
    created_at: str
    expires_at: str | None
    decided_at: str | None
    decided_by: str | None


class PairingPage(TypedDict):
    pairings: list[Pairing]
    next_cursor: str | None


class Reloaded(TypedDict):
    status: str
    channels: int


class Tested(TypedDict):
    """What the platform said about a channel's credential."""

    #: `ok` or `error`.
    status: str
    account: str | None
    details: dict[str, Any]
    error: str | None
    duration_ms: int


class Health(TypedDict):
    #: `ok` or `degraded`.
    status: str
    version: str
    #: What tells this cluster from others.
    cluster: str
    database: bool
    nats: bool


class SentExtra(TypedDict, total=False):
    platform_message_id: str | None
    platform_message_ids: list[str] | None
    #: Its parts, in order, and what became of each; absent while it is queued.
    parts: list[dict[str, Any]] | None
    #: Why it is not certain.
    detail: str | None
    #: Whether the call repeats an earlier one.
    duplicate: bool | None
    #: What the platform does not have, and what happens instead.
    degraded: list[dict[str, Any]] | None


class Sent(SentExtra):
    """A message that is safe: do not send it again."""

    id: str
    #: `sent`, `queued` or `uncertain`.
    status: str


class JobOptions(TypedDict, total=False):
    """What a job may say beside its schedule; what is left out is the default."""

    #: Each run is later than its scheduled time by up to so many seconds.
    jitter_secs: int
    #: What becomes of times that passed while nobody could run it: `skip`, `once` or `all`.
    misfire: str
    #: Most times that are made up for with `all`.
    misfire_limit: int
    #: What becomes of a time that comes while an earlier run goes on: `skip`, `queue` or `allow`.
    overlap: str
    #: After so many seconds a run is a `timeout`.
    timeout_secs: int
    #: How often a run that failed is tried again.
    max_retries: int
    starts_at: str
    ends_at: str
    max_runs: int
    #: Whether it is deleted when it has no further run.
    delete_after_run: bool
    #: Whether a run is over only when a `send` names it, or `complete_run` says so.
    await_completion: bool
    #: After how many failed runs in a row the owner is told; 0 for never.
    alert_after: int
    #: After how many it is paused; 0 for never.
    pause_after: int


class CronJob(JobOptions):
    id: str
    name: str
    label: str | None
    enabled: bool
    #: `every`, `cron` or `at`.
    schedule_type: str
    schedule: dict[str, Any]
    #: `channel_message`, `assistant_task`, `hook` or `webhook`.
    action_type: str
    action: dict[str, Any]
    one_shot: bool
    channel_type: dict[str, Any] | None
    metadata: dict[str, Any] | None
    #: `None` when it is switched off or has no time to come.
    next_run_at: str | None
    #: Scheduled runs since the schedule was last set.
    runs: int
    #: Runs in a row that failed.
    failures: int
    #: When the first of them began.
    failing_since: str | None
    #: Why it was switched off without anybody asking for it.
    paused: str | None
    #: What became of its last time, when it has no further one: `ran`, `missed` or `overlap`.
    over: str | None
    created_at: str
    updated_at: str


class CreatedJob(CronJob, Repeated):
    """A new job."""


class CronAttempt(TypedDict):
    #: Which one, from 1.
    n: int
    #: `error` or `timeout`.
    status: str
    #: Why it failed.
    error: str | None
    #: The message that it made.
    message_id: str | None
    finished_at: str | None


class CronRun(TypedDict):
    id: str
    #: Of which job; it may have been deleted since.
    job_id: str
    #: What the job was called then.
    job_name: str
    #: `running`, `ok`, `error` or `timeout`.
    status: str
    #: `None` for a test.
    scheduled_for: str | None
    started_at: str
    finished_at: str | None
    duration_ms: int | None
    error_message: str | None
    action_type: str
    schedule_type: str
    metadata: dict[str, Any] | None
    #: The message that it made.
    message_id: str | None
    #: Which attempt this is, or was the last.
    attempt: int
    #: What the attempts before came to, oldest first.
    attempts: list[CronAttempt]
    #: When its message was handed over.
    handed_at: str | None
    #: What was sent where.
    sent: dict[str, Any] | None


class CronRuns(TypedDict):
    runs: list[CronRun]
    next_cursor: int | None


class RunNowExtra(TypedDict, total=False):
    #: How far it got.
    message: str
    #: Why it was refused.
    error: str
    #: The message that it made.
    message_id: str


class RunNow(RunNowExtra):
    """A run that was asked for."""

    #: `ok` or `error`.
    status: str
    id: str
    name: str
    action_type: str
    enabled: bool
    #: The run in the history.
    run_id: str


class PreviewedExtra(TypedDict, total=False):
    #: Until when each run begins at the latest, with `jitter_secs`.
    latest: list[str]
    #: What the schedule says, in English.
    description: str


class Previewed(PreviewedExtra):
    """When a schedule would run."""

    runs: list[str]


class ApiKey(TypedDict):
    """A key without its secret."""

    id: str
    name: str
    user_id: str | None
    scopes: list[str]
    created_by: str
    created_at: str
    expires_at: str | None
    revoked_at: str | None
    last_used_at: str | None


class CreatedKeyExtra(TypedDict, total=False):
    #: The key itself, shown this once. Absent when the call repeats an earlier one.
    key: str


class CreatedKey(ApiKey, CreatedKeyExtra, Repeated):
    """A new key."""


class Keys(TypedDict):
    keys: list[ApiKey]
    next_cursor: str | None


class Message(TypedDict):
    """What became of a message, in either direction."""

    id: str
    user_id: str
    #: `in` or `out`.
    direction: str
    channel: dict[str, Any]
    conversation: str
    recipient: str | None
    #: The first 200 characters.
    text: str | None
    content_type: str | None
    #: `pending`, `done`, `failed`, `uncertain`, `expired`, `dead` or `discarded`.
    state: str
    #: Since it was accepted or last set back to work.
    attempts: int
    #: How often it was set back to work.
    retries: int
    error: str | None
    discard_reason: str | None
    platform_message_ids: list[str]
    accepted_at: str
    retried_at: str | None
    finished_at: str | None
    #: When the platform told that the person's device has it, and that the person saw it.
    delivered_at: str | None
    read_at: str | None
    next_attempt_at: str | None


class MessageDetail(Message):
    #: Its body.
    payload: dict[str, Any]
    #: The attempts that are over, in order.
    attempt_log: list[dict[str, Any]]
    #: The steps of its way, in order.
    receipts: list[dict[str, Any]]
    #: The parts of a message to a person, and what became of each.
    parts: list[dict[str, Any]] | None


class Retried(Message):
    #: The state that it had.
    was: str
    #: What to expect, where that is not plain.
    note: str | None


class Messages(TypedDict):
    messages: list[Message]
    next_cursor: str | None


class Replayed(TypedDict):
    #: How many are back at work.
    revived: int
    #: Those: `id`, `user_id`, `was`, `note`.
    messages: list[dict[str, Any]]
    #: Of `ids`, those that are not: `id`, `reason`.
    refused: list[dict[str, Any]]


class Discarded(TypedDict):
    #: How many were put aside.
    discarded: int
    ids: list[str]
    #: Of `ids`, those that were not: `id`, `reason`.
    refused: list[dict[str, Any]]


class WokenExtra(Repeated, total=False):
    #: The heartbeat that it waits for.
    due_at: str


class Woken(WokenExtra):
    """Something that the backend will hear of."""

    #: The `webhook-id` under which it does.
    id: str
    #: `accepted`.
    status: str
    #: `now` or `next_heartbeat`.
    mode: str


class ChatRefExtra(TypedDict, total=False):
    thread_id: str


class ChatRef(ChatRefExtra):
    """A chat of one of the user's channels."""

    #: The channel's `instance_name_id`.
    channel: str
    recipient: str


#: `from` and `to` are `HH:MM`, `tz` is empty for UTC.
_Span = TypedDict("_Span", {"from": str, "to": str, "tz": str})


class Hours(_Span, total=False):
    """The hours of the day in which heartbeats may be."""

    #: The days on which they begin: 1 (Monday) to 7 (Sunday); every day when absent.
    days: list[int]


class BeatExtra(TypedDict, total=False):
    agent_id: str
    channel: str
    recipient: str
    thread_id: str


class Beat(BeatExtra):
    """What an agent is told at each heartbeat."""

    text: str


class UserSettings(TypedDict):
    """What a user has set; `None` for the default."""

    heartbeat_every_secs: int | None
    next_heartbeat_at: str
    #: After how many failures of a job in a row its owner is told; 0 for never.
    alert_after: int | None
    #: After how many it is paused; 0 for never.
    pause_after: int | None
    #: Where the owner is told.
    alerts: ChatRef | None
    #: When heartbeats may be.
    active_hours: Hours | None
    #: What the agent is told at each of them.
    heartbeat: Beat | None


class Hook(TypedDict):
    """Where another system posts its own webhooks."""

    id: str
    name: str
    #: Put the gateway's public address before it.
    path: str
    enabled: bool
    #: `hmac` or `bearer`.
    auth: str
    #: Empty when none.
    agent_id: str
    channel: str | None
    recipient: str | None
    thread_id: str | None
    text_template: str | None
    fields: dict[str, str]
    created_at: str
    updated_at: str


class Hooks(TypedDict):
    hooks: list[Hook]
    next_cursor: str | None


class SecretExtra(TypedDict, total=False):
    #: Shown this once. Absent when the call repeats an earlier one, or the caller brought it.
    secret: str


class CreatedHook(Hook, SecretExtra, Repeated):
    """A hook with its new secret."""


class TestedHook(TypedDict):
    """What a hook makes of a body."""

    text: str
    fields: dict[str, str]
    sent: bool
    id: str | None


class HookDelivery(TypedDict):
    id: int
    received_at: str
    #: Whether the caller knew the secret.
    genuine: bool
    #: `accepted`, `duplicate`, `skipped` or `refused`.
    status: str
    message_id: str | None
    body: str | None
    error: str | None


class HookDeliveries(TypedDict):
    deliveries: list[HookDelivery]
    next_cursor: int | None


class Backend(TypedDict):
    """Where messages go instead of the operator's backend."""

    id: str
    user_id: str
    #: `None`: all of the user's.
    channel_id: str | None
    url: str
    #: How many sign.
    secrets: int
    max_in_flight: int
    enabled: bool
    disabled_reason: str | None
    disabled_at: str | None
    created_at: str
    updated_at: str


class BackendWithState(Backend):
    """A backend, and whether it answers."""

    #: `closed` (it does), `open` or `half_open`; `None` when no worker could be asked.
    state: str | None
    away_ms: int | None


class AwayBackend(TypedDict):
    """A backend that does not answer a worker."""

    #: `None`: the operator's.
    user_id: str | None
    origin: str
    away_ms: int
    #: `open` or `half_open`.
    state: str


class Destination(TypedDict):
    """Where events are posted to."""

    id: str
    #: `None`: everybody's events.
    user_id: str | None
    name: str
    url: str
    #: Empty for all.
    types: list[str]
    channel: str | None
    enabled: bool
    attempts: int
    #: Everything up to this event is delivered, or was not wanted.
    cursor: str
    failing_since: str | None
    next_attempt_at: str | None
    last_error: str | None
    last_delivered_at: str | None
    created_at: str
    updated_at: str


class CreatedDestination(Destination, SecretExtra, Repeated):
    """A destination with its new secret."""


class Destinations(TypedDict):
    destinations: list[Destination]
    next_cursor: str | None


class DestinationTest(TypedDict):
    #: Whether it took the event.
    ok: bool
    status: int | None
    duration_ms: int
    error: str | None


class AuditEntry(TypedDict):
    """Who changed what."""

    id: int
    at: str
    #: `operator`, `key <name>`, `stranger`, or a process such as `ii-claw up`.
    actor: str
    address: str | None
    action: str
    user_id: str | None
    subject: str
    detail: dict[str, Any] | None


class Audit(TypedDict):
    entries: list[AuditEntry]
    next_cursor: int | None


class Erasure(TypedDict):
    """The removal of everything that is kept of a user."""

    user_id: str
    #: Whether nothing is left. Until then it goes on by itself.
    complete: bool
    requested_by: str
    requested_at: str
    finished_at: str | None
    #: How many of each kind of thing were removed so far.
    removed: dict[str, int]


class Cluster(TypedDict):
    """The cluster at one moment."""

    id: str
    #: Of the gateway that answers.
    version: str
    #: The database's, by which all times here are.
    time: str
    schema: dict[str, int]
    members: list[ClusterMember]
    #: `count`, `owned`, `unowned`, and `claims` where they were asked for.
    shards: dict[str, Any]
    #: `running`, `failed` and `unknown_workers`.
    adapters: dict[str, Any]
    #: `None` when nobody leads.
    leader: dict[str, Any] | None
    #: `pending`, `counted_up_to` and `oldest_ms`.
    lag: dict[str, int]
    #: Of the table of messages: `name`, `from`, `until`, `detached_at`, `dropped_at`, `kept` and `forgotten` of each.
    partitions: list[dict[str, Any]]


class ClusterMember(TypedDict):
    """A process."""

    name: str
    #: `worker`, `scheduler` or `gateway`.
    role: str
    version: str
    rpc_address: str
    started_at: str
    heartbeat_age_ms: int
    live: bool
    draining: bool
    weight: float
    shards: int
    channels: int | None
    failed_channels: int | None
    away_backends: list[AwayBackend] | None
    streams: int | None
    sockets: int | None
    #: Why it could not be asked.
    unreachable: str | None


class DrainedWorker(TypedDict):
    name: str
    drain: bool
    #: At this moment.
    shards: int


class SteppedDown(TypedDict):
    name: str
    term: int
    stands_by_ms: int
