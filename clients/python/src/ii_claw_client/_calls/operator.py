"""Keys, the audit log, erasing a person, backends of users' own, destinations of events, and the cluster itself."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from .. import models
from .call import Call, again, get, given, never_again, once, owned, path


def create_key(
    name: str,
    *,
    user_id: str | None = None,
    scopes: Sequence[str] | None = None,
    expires_at: datetime | str | None = None,
    idempotency_key: str | None = None,
) -> Call[models.CreatedKey]:
    """Makes a key. It is shown this once; when the answer was lost on the way and the call repeated, `key` is absent:
    revoke that key and make another."""
    body = given(name=name, user_id=user_id, scopes=scopes, expires_at=expires_at)
    return once("POST", "/api/keys", body, idempotency_key)


def keys(*, limit: int | None = None, cursor: str | None = None) -> Call[models.Keys]:
    """A page of keys, newest first, without their secrets."""
    return get("/api/keys", limit=limit, cursor=cursor)


def key(key_id: str) -> Call[models.ApiKey]:
    """One key, without its secret."""
    return get(path("api", "keys", key_id))


def revoke_key(key_id: str) -> Call[models.ApiKey]:
    """Takes a key back."""
    return again("DELETE", path("api", "keys", key_id))


def audit(
    *, user: str | None = None, action: str | None = None, limit: int | None = None, cursor: int | None = None
) -> Call[models.Audit]:
    """A page of who changed what, newest first."""
    return get("/api/audit", user=user, action=action, limit=limit, cursor=cursor)


def erase_user(user: str, *, confirm: str) -> Call[models.Erasure]:
    """Removes everything that is kept of a user, for good; `confirm` is the user's id once more. It goes on by itself
    after the answer: `erasure` tells how far it is."""
    return again("DELETE", path("api", "users", user), confirm=confirm)


def erasure(user: str) -> Call[models.Erasure]:
    """How far the removal of a user's data is, or what the last one removed."""
    return get(path("api", "users", user, "erasure"))


def _backend(user: str, channel: str | None) -> str:
    return owned(user, "backend") if channel is None else owned(user, "channels", channel, "backend")


def backend(user: str, channel: str | None = None) -> Call[models.BackendWithState]:
    """Where a user's messages go, or those of one channel, instead of the operator's backend; and whether it answers."""
    return get(_backend(user, channel))


def set_backend(
    user: str,
    channel: str | None = None,
    *,
    url: str | None = None,
    secrets: Sequence[str] | None = None,
    max_in_flight: int | None = None,
) -> Call[models.Backend]:
    """Makes a backend, for which `url` and `secrets` are needed, or changes what is given. All secrets sign: to replace
    one, set both, the new one first, and later the new one alone."""
    body = given(url=url, secrets=secrets, max_in_flight=max_in_flight)
    return again("PUT", _backend(user, channel), body)


def delete_backend(user: str, channel: str | None = None) -> Call[models.Backend]:
    """Has the messages go where they went before."""
    return never_again("DELETE", _backend(user, channel))


def destinations(
    user: str | None = None, *, limit: int | None = None, cursor: str | None = None
) -> Call[models.Destinations]:
    """A page of a user's destinations, newest first; without a user those that get everybody's events."""
    return get(owned(user, "destinations"), limit=limit, cursor=cursor)


def destination(user: str | None, destination_id: str) -> Call[models.Destination]:
    """One destination; `None` is the operator, here and below."""
    return get(owned(user, "destinations", destination_id))


def create_destination(
    user: str | None,
    name: str,
    url: str,
    *,
    types: Sequence[str] | None = None,
    channel: str | None = None,
    enabled: bool | None = None,
    idempotency_key: str | None = None,
) -> Call[models.CreatedDestination]:
    """Has events posted to `url`. The `secret` of their signatures is shown this once; when the answer was lost and the
    call repeated, it is absent: take `renew_destination_secret`."""
    body = given(name=name, url=url, types=types, channel=channel, enabled=enabled)
    return once("POST", owned(user, "destinations"), body, idempotency_key)


def update_destination(
    user: str | None,
    destination_id: str,
    *,
    name: str | None = None,
    url: str | None = None,
    types: Sequence[str] | None = None,
    channel: str | None = None,
    enabled: bool | None = None,
) -> Call[models.Destination]:
    """Changes what is given; `types=[]` is all types, `channel=""` all channels."""
    body = given(name=name, url=url, types=types, channel=channel, enabled=enabled)
    return again("PUT", owned(user, "destinations", destination_id), body)


def delete_destination(user: str | None, destination_id: str) -> Call[models.Destination]:
    """Deletes a destination."""
    return never_again("DELETE", owned(user, "destinations", destination_id))


def test_destination(user: str | None, destination_id: str) -> Call[models.DestinationTest]:
    """Posts an event of the type `ping` to it and tells what came of it."""
    return again("POST", owned(user, "destinations", destination_id, "test"))


def renew_destination_secret(user: str | None, destination_id: str) -> Call[models.CreatedDestination]:
    """Gives a destination another secret, shown this once."""
    return again("POST", owned(user, "destinations", destination_id, "secret"))


def cluster(*, shards: bool | None = None) -> Call[models.Cluster]:
    """Who is in the cluster, who owns how much, who leads and what waits; with `shards=True` each shard's claim, too."""
    return get("/api/cluster", shards=shards and "true")


def drain_worker(name: str, drain: bool = True) -> Call[models.DrainedWorker]:
    """Has a worker hand every shard over and own none, or with `drain=False` takes that back."""
    return again("POST", path("api", "cluster", "workers", name, "drain"), {"drain": drain})


def step_down() -> Call[models.SteppedDown]:
    """Has the leading scheduler resign, so that another one is elected."""
    return never_again("POST", "/api/cluster/scheduler/step-down")
