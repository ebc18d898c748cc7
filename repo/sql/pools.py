"""What pools of connections offer; `postgres_pool` and `sqlite_pool` implement it."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol


class Execute(Protocol):
    """Runs a statement and returns its rows."""

    async def __call__(self, text: str, arguments: tuple[Any, ...] = ()) -> Sequence[Sequence[Any]]: ...


class StatementStopped(Exception):
    """The statement exceeded its time limit, or its caller was cancelled."""


class Pool(Protocol):
    """A pool of connections, for reads or for writes."""

    @property
    def in_use(self) -> int:
        """How many connections are in use."""

    @property
    def size(self) -> int:
        """How many connections there may be."""

    @property
    def waiting(self) -> int:
        """How many calls wait for a connection."""

    def renew(self) -> None:
        """Replace the connections before they are used again."""

    async def close(self) -> None:
        """Close every connection."""


class ReadPool(Pool, Protocol):
    """A pool of connections for reads."""

    async def execute(self, text: str, arguments: tuple[Any, ...] = ()) -> Sequence[Sequence[Any]]:
        """The rows of a statement, which sees what was committed when it begins."""

    def snapshot(self) -> AbstractAsyncContextManager[Execute]:
        """Runs statements that all see the database as of the first of them."""
