"""Letting people in to a channel whose `dm_policy` is `pairing`."""

from __future__ import annotations

from typing import Any

from .. import models
from .call import Call, again, get, given, never_again, path


def pairings(user: str, instance: str, **filters: Any) -> Call[models.PairingPage]:
    """A page of who asked, who was let in or turned away, and open invitations, newest first. `state` shows only those."""
    return get(_pairing(user, instance), **filters)


def invite(user: str, instance: str, *, expires_in_seconds: int | None = None) -> Call[models.Pairing]:
    """Makes a code that lets in whoever sends it to the bot first; good for a day unless something else is said."""
    return never_again("POST", _pairing(user, instance), given(expires_in_seconds=expires_in_seconds))


def approve_pairing(user: str, instance: str, code: str) -> Call[models.Pairing]:
    """Lets in the person whose request has this code."""
    return again("POST", _pairing(user, instance, code, "approve"))


def revoke_pairing(user: str, instance: str, code: str) -> Call[models.Pairing]:
    """Turns away who asked, or takes back an approval or an invitation; answers what it was."""
    return never_again("DELETE", _pairing(user, instance, code))


def _pairing(user: str, instance: str, *segments: str) -> str:
    return path("api", "users", user, "channels", instance, "pairing", *segments)
