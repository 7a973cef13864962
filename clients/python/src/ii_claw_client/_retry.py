"""When a call is made again, and after how long. Shared by both clients; knows no sockets."""

from __future__ import annotations

import random
from typing import Any

import httpx

from ._calls.call import Call
from .errors import retry_after

#: Longest wait that the gateway may ask for; a longer one is for the caller to decide.
LONGEST = 30.0


def wait(
    call: Call[Any], outcome: httpx.Response | httpx.TransportError, attempt: int, retries: int
) -> float | None:
    """The seconds until the call is made again, `None` when this is what came of it."""
    if attempt >= retries:
        return None
    if isinstance(outcome, httpx.TransportError):
        return backoff(attempt) if _after_error(call, outcome) else None
    return _after_answer(call, outcome, attempt)


def hopeless(error: httpx.TransportError) -> bool:
    """Whether it would fail the same way each time."""
    return isinstance(error, (httpx.UnsupportedProtocol, httpx.LocalProtocolError))


def _after_error(call: Call[Any], error: httpx.TransportError) -> bool:
    """What never reached a gateway can always be repeated, anything else only if it does no harm to do it twice."""
    unsent = isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout))
    return not hopeless(error) and (call.repeatable or unsent)


def _after_answer(call: Call[Any], response: httpx.Response, attempt: int) -> float | None:
    # 502 and 504 come from a proxy that has lost its gateway; a send that the platform did not take is a 502 of the
    # gateway itself, and stays one.
    proxy = response.status_code in (502, 504) and "problem+json" not in response.headers.get("content-type", "")
    # Throttled means that nothing was done.
    if not (response.status_code == 429 or (call.repeatable and (response.status_code == 503 or proxy))):
        return None
    asked = retry_after(response)
    if asked is not None and asked > LONGEST:
        return None
    return max(asked or 0.0, backoff(attempt))


def backoff(attempt: int, first: float = 0.25, longest: float = 8.0) -> float:
    """`first` doubling to `longest`, up to a half taken off: those who failed together must not come back together."""
    # Beyond some doublings it is the longest anyway, and 2.0**1024 is not a number any more.
    return min(first * 2.0 ** min(attempt, 60), longest) * random.uniform(0.5, 1.0)
