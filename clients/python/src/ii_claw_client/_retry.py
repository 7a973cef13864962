"""When a call is made again, and after how long. Shared by both clients; knows no sockets."""

from __future__ import annotations

import random
from typing import Any

import httpx

from ._calls import Call
from .errors import retry_after

#: Longest wait that the gateway may ask for; a longer one is for the caller to decide.
LONGEST = 30.0


def after_error(call: Call[Any], error: httpx.TransportError, attempt: int, retries: int) -> float | None:
    """The seconds to wait after no answer came, `None` to give up. What never reached a gateway can always be
    repeated, anything else only if it does no harm to do it twice."""
    unsent = isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout))
    hopeless = isinstance(error, (httpx.UnsupportedProtocol, httpx.LocalProtocolError))
    if attempt >= retries or hopeless or not (call.repeatable or unsent):
        return None
    return _backoff(attempt)


def after_answer(call: Call[Any], response: httpx.Response, attempt: int, retries: int) -> float | None:
    """The seconds to wait after this answer, `None` when it stands."""
    if attempt >= retries:
        return None
    # 502 and 504 come from a proxy that has lost its gateway; a send that the platform did not take is a 502 of the
    # gateway itself, and stays one.
    proxy = response.status_code in (502, 504) and "problem+json" not in response.headers.get("content-type", "")
    # Throttled means that nothing was done.
    if not (response.status_code == 429 or (call.repeatable and (response.status_code == 503 or proxy))):
        return None
    asked = retry_after(response)
    if asked is not None and asked > LONGEST:
        return None
    return max(asked or 0.0, _backoff(attempt))


def _backoff(attempt: int) -> float:
    """0.25 s doubling to 8 s, up to a half taken off: those who failed together must not come back together."""
    return min(0.25 * 2.0**attempt, 8.0) * random.uniform(0.5, 1.0)
