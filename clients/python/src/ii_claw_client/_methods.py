"""Makes a method of each call, so that the two clients can't differ: one answers, the other is awaited."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

if TYPE_CHECKING:
    from ._calls import Call

P = ParamSpec("P")
T = TypeVar("T")


class _Method(Generic[P, T]):
    def __init__(self, call: Callable[P, Call[T]]):
        self._call = call
        self.__doc__ = call.__doc__

    def _bound(self, client: Any) -> Any:
        @functools.wraps(self._call)
        def method(*args: P.args, **kwargs: P.kwargs) -> Any:
            return client.run(self._call(*args, **kwargs))

        return method


class method(_Method[P, T]):
    """For `Client`."""

    def __get__(self, client: Any, owner: Any = None) -> Callable[P, T]:
        return self._call if client is None else self._bound(client)  # type: ignore[return-value]


class async_method(_Method[P, T]):
    """For `AsyncClient`."""

    def __get__(self, client: Any, owner: Any = None) -> Callable[P, Awaitable[T]]:
        return self._call if client is None else self._bound(client)  # type: ignore[return-value]
