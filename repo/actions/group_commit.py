"""Owns group commit: small writes of one kind that come together become one transaction.

Each caller still gets its own result or error. The first write begins at once; what comes while it goes on
waits for it, and goes together then.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from repo.domain.errors import DatabaseUnavailable, DeadlineExceeded
from repo.sql.database import Database

R = TypeVar("R")
T = TypeVar("T")

_SMALL = 200
"""Rows of a write beyond which it goes alone, and nobody waits for it."""
_MOST = 1000
"""Rows that go together."""


_STALL = 0.1
"""Seconds after which those that wait go without waiting any longer."""
_AT_ONCE = 4
"""Transactions of one kind at a time, at the most."""


@dataclass(frozen=True, slots=True)
class _Write(Generic[R, T]):
    request: R
    size: int
    result: "asyncio.Future[T]"


class Group(Generic[R, T]):
    """The writes of one kind."""

    def __init__(
        self, database: Database, work: Callable[[AsyncConnection, Sequence[R]], Awaitable[Sequence[T]]]
    ) -> None:
        """`work` does what is requested, one request after the other as far as can be seen, and gives the
        result of each. What it raises may be the fault of any of them."""
        self._database = database
        self._work = work
        self._waiting: deque[_Write[R, T]] = deque()
        self._running = 0
        self._looking: asyncio.TimerHandle | None = None

    async def write(self, request: R, size: int) -> T:
        """The result of a request for so many rows, once it is committed. Raises what `work` raises for
        this request alone."""
        if size > _SMALL:
            return await self._alone(request)
        write: _Write[R, T] = _Write(request, size, asyncio.get_running_loop().create_future())
        self._waiting.append(write)
        if not self._running:
            self._begin()
        elif self._looking is None:
            self._look_later()
        return await write.result

    async def _alone(self, request: R) -> T:
        (result,) = await self._database.write(lambda connection: self._work(connection, [request]))
        return result

    def _begin(self) -> None:
        self._running += 1
        self._database.finish(asyncio.create_task(self._run()))

    def _look_later(self) -> None:
        self._looking = asyncio.get_running_loop().call_later(_STALL, self._look)

    def _look(self) -> None:
        """What waited so long does not wait for a transaction that is held up by somebody's locks."""
        self._looking = None
        if self._waiting:
            if self._running < _AT_ONCE:
                self._begin()
            self._look_later()

    async def _run(self) -> None:
        try:
            while batch := self._next():
                await self._commit(batch)
        finally:
            self._running -= 1

    def _next(self) -> list[_Write[R, T]]:
        """As many as go together, but those whose caller is gone."""
        batch: list[_Write[R, T]] = []
        size = 0
        while self._waiting and size + self._waiting[0].size <= _MOST:
            write = self._waiting.popleft()
            if not write.result.done():
                batch.append(write)
                size += write.size
        return batch

    async def _commit(self, batch: Sequence[_Write[R, T]]) -> None:
        requests = [write.request for write in batch]
        try:
            results = await self._database.write(lambda connection: self._work(connection, requests))
        except Exception as error:
            if len(batch) == 1 or isinstance(error, DatabaseUnavailable | DeadlineExceeded):
                for write in batch:
                    if not write.result.done():
                        write.result.set_exception(error)
                return
            # One of them is at fault, and nothing is written. It is told so when it is alone.
            half = len(batch) // 2
            await self._commit(batch[:half])
            await self._commit(batch[half:])
            return
        for write, result in zip(batch, results, strict=True):
            if not write.result.done():
                write.result.set_result(result)
