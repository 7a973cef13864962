"""Makes a method of a call, for both clients at once: `Client`'s answers, `AsyncClient`'s is awaited."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, overload

if TYPE_CHECKING:
    from ._calls.call import Call
    from .async_client import AsyncClient
    from .client import Client

P = ParamSpec("P")
T = TypeVar("T")


class method(Generic[P, T]):
    """In a class's body: `send = method(channels.send)`."""

    def __init__(self, call: Callable[P, Call[T]]):
        self._call = call
        self.__doc__ = call.__doc__

    @overload
    def __get__(self, client: None, owner: Any = None) -> Callable[P, Call[T]]: ...
    @overload
    def __get__(self, client: Client, owner: Any = None) -> Callable[P, T]: ...
    @overload
    def __get__(self, client: AsyncClient, owner: Any = None) -> Callable[P, Awaitable[T]]: ...

    def __get__(self, client: Any, owner: Any = None) -> Any:
        if client is None:
            return self._call

        @functools.wraps(self._call)
        def bound(*args: P.args, **kwargs: P.kwargs) -> Any:
            return client.run(self._call(*args, **kwargs))

        return bound
