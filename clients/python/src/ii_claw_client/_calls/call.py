"""What a call is.

A call names its request and what of the answer is handed on. `repeatable` says that making it twice does what making it
once does, so that the clients may repeat it when no answer came.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote

T = TypeVar("T")


class Unset(Enum):
    """What `UNSET` is."""

    UNSET = "UNSET"


#: Leave it as it is; `None` means something of its own where this is the default.
UNSET: Final = Unset.UNSET


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request, and how its answer is read."""

    method: str
    path: str
    read: Callable[[Any], T]
    json: Mapping[str, Any] | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    repeatable: bool = False


def path(*segments: str) -> str:
    """Of segments that may hold anything."""
    return "/" + "/".join(quote(segment, safe="") for segment in segments)


def owned(user: str | None, *segments: str) -> str:
    """A path of one user, or of everybody."""
    return path("api", *segments) if user is None else path("api", "users", user, *segments)


def given(**values: Any) -> dict[str, Any]:
    """Without what is absent."""
    return {name: _plain(value) for name, value in values.items() if value is not None and value is not UNSET}


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def whole(answer: Any) -> Any:
    """All of the answer."""
    return answer


def get(where: str, read: Callable[[Any], T] = whole, **params: Any) -> Call[T]:
    """Looks at something."""
    return Call("GET", where, read, params=given(**params), repeatable=True)


def again(method: str, where: str, body: Mapping[str, Any] | None = None, **params: Any) -> Call[Any]:
    """Does something that can be done twice as well."""
    return Call(method, where, whole, body, given(**params), repeatable=True)


def never_again(method: str, where: str, body: Mapping[str, Any] | None = None) -> Call[Any]:
    """Does something whose second time would do more, or be refused."""
    return Call(method, where, whole, body)


def once(method: str, where: str, body: Mapping[str, Any] | None, key: str | None, **params: Any) -> Call[Any]:
    """Does something that must happen once, however often the request is made."""
    headers = {"Idempotency-Key": key or uuid.uuid4().hex}
    return Call(method, where, whole, body, given(**params), headers, repeatable=True)
