"""What became of messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from .. import models
from .call import Call, get, given, never_again, owned, path


def messages(
    user: str,
    *,
    channel: str | None = None,
    conversation: str | None = None,
    direction: str | None = None,
    state: str | None = None,
    since: datetime | str | None = None,
    until: datetime | str | None = None,
    limit: int | None = None,
    cursor: str | None = None,
) -> Call[models.Messages]:
    """A page of a user's messages, newest first; `cursor` is the `next_cursor` of the page before."""
    return get(
        path("api", "users", user, "messages"), channel=channel, conversation=conversation, direction=direction,
        state=state, since=since, until=until, limit=limit, cursor=cursor,
    )  # fmt: skip


def message(user: str, message_id: str) -> Call[models.MessageDetail]:
    """One message, with its body, its attempts and its way."""
    return get(_message(user, message_id))


def retry_message(user: str, message_id: str) -> Call[models.Retried]:
    """Has a message that ended without success worked on once more."""
    return never_again("POST", _message(user, message_id, "retry"))


def discard_message(user: str, message_id: str, reason: str) -> Call[models.Message]:
    """Puts a dead letter aside."""
    return never_again("POST", _message(user, message_id, "discard"), {"reason": reason})


def dead_letters(
    user: str | None = None,
    *,
    channel: str | None = None,
    direction: str | None = None,
    state: str | None = None,
    since: datetime | str | None = None,
    until: datetime | str | None = None,
    limit: int | None = None,
    cursor: str | None = None,
) -> Call[models.Messages]:
    """A page of the messages that ended without success, newest first; everybody's without a user, and then without
    `channel`."""
    return get(
        owned(user, "dead-letters"), channel=channel, direction=direction, state=state, since=since, until=until,
        limit=limit, cursor=cursor,
    )  # fmt: skip


def replay_dead_letters(
    user: str | None = None,
    *,
    ids: Sequence[str] | None = None,
    filter: Mapping[str, Any] | None = None,
    limit: int | None = None,
) -> Call[models.Replayed]:
    """Sets many back to work: these `ids`, or the oldest `limit` that fit the `filter` (`{}`: all that are `dead` or
    `failed`). Repeat a call with a filter until `revived` is 0."""
    body = given(ids=ids, filter=_plain(filter), limit=limit)
    return never_again("POST", owned(user, "dead-letters", "replay"), body)


def discard_dead_letters(
    user: str,
    reason: str,
    *,
    ids: Sequence[str] | None = None,
    filter: Mapping[str, Any] | None = None,
    limit: int | None = None,
) -> Call[models.Discarded]:
    """Puts many of a user's dead letters aside; which ones as for `replay_dead_letters`."""
    body = given(reason=reason, ids=ids, filter=_plain(filter), limit=limit)
    return never_again("POST", owned(user, "dead-letters", "discard"), body)


def _plain(filter: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if filter is None else given(**filter)


def _message(user: str, message_id: str, *segments: str) -> str:
    return path("api", "users", user, "messages", message_id, *segments)
