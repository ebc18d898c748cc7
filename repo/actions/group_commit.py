"""Group commit: small writes of one kind that arrive together share one transaction. Each caller still gets
a result or an error of its own. The first write starts at once; those that arrive while it runs are
committed together after it."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar

from repo.domain.errors import DatabaseUnavailable, DeadlineExceeded, InvalidArgument
from repo.sql.database import Database
from repo.sql.transactions import Transaction

R = TypeVar("R")
T = TypeVar("T")

MAX_BATCH = 5000
"""Actions, events or updates in one call."""
_MAX_SHARED = 200
"""Rows of a write that may share a transaction; a larger one gets its own at once."""
_MAX_TRANSACTION = 1000
"""Rows of a shared transaction."""
_STALL = 0.003
"""Seconds after which waiting writes start beside the running one."""
_MAX_CONCURRENT = 4
"""Transactions of one kind at a time."""

Work = Callable[[Transaction, Sequence[R], datetime], Awaitable[Sequence[T]]]
"""Executes the requests in order, with a result for each. If it raises, any of the requests may be the
cause."""


@dataclass(frozen=True, slots=True)
class _Write(Generic[R, T]):
    request: R
    size: int
    result: "asyncio.Future[T]"


class GroupCommit(Generic[R, T]):
    """The writes of one kind."""

    def __init__(
        self, database: Database, work: Work[R, T], is_visible: Callable[[T], bool] = lambda result: True
    ) -> None:
        """`is_visible` says by a result whether its write changed anything that subscribers may see."""
        self._database = database
        self._work = work
        self._is_visible = is_visible
        self._waiting: deque[_Write[R, T]] = deque()
        self._running = 0
        self._stall_timer: asyncio.TimerHandle | None = None

    async def write(self, request: R, size: int) -> T:
        """The result of a request for `size` rows, once it is committed. Raises what `work` raises for this
        request alone."""
        if size > _MAX_SHARED:
            (result,) = await self._database.transact(self._working([request]), self._is_any_visible)
            return result
        write: _Write[R, T] = _Write(request, size, asyncio.get_running_loop().create_future())
        self._waiting.append(write)
        if not self._running:
            self._start()
        elif self._stall_timer is None:
            self._start_timer()
        return await write.result

    def _working(self, requests: Sequence[R]) -> Callable[[Transaction], Awaitable[Sequence[T]]]:
        return lambda transaction: self._work(transaction, requests, datetime.now(UTC))

    def _is_any_visible(self, results: Sequence[T]) -> bool:
        return any(map(self._is_visible, results))

    def _start(self) -> None:
        self._running += 1
        self._database.finish(asyncio.create_task(self._run()))

    def _start_timer(self) -> None:
        self._stall_timer = asyncio.get_running_loop().call_later(_STALL, self._on_stall)

    def _on_stall(self) -> None:
        """The running transaction may be waiting for a lock or for the disk: start the next beside it."""
        self._stall_timer = None
        if self._waiting:
            if self._running < _MAX_CONCURRENT:
                self._start()
            self._start_timer()

    async def _run(self) -> None:
        try:
            while batch := self._next():
                await self._commit(batch)
        finally:
            self._running -= 1

    def _next(self) -> list[_Write[R, T]]:
        """As many waiting writes as fit into a transaction, without those whose caller was cancelled."""
        batch: list[_Write[R, T]] = []
        size = 0
        while self._waiting and size + self._waiting[0].size <= _MAX_TRANSACTION:
            write = self._waiting.popleft()
            if not write.result.done():
                batch.append(write)
                size += write.size
        return batch

    async def _commit(self, batch: Sequence[_Write[R, T]]) -> None:
        try:
            working = self._working([write.request for write in batch])
            results = await self._database.transact(working, self._is_any_visible, is_shielded=False)
        except Exception as error:
            if len(batch) == 1 or isinstance(error, DatabaseUnavailable | DeadlineExceeded):
                for write in batch:
                    if not write.result.done():
                        write.result.set_exception(error)
                return
            # One of them caused the error, and nothing is written: find it by bisection.
            half = len(batch) // 2
            await self._commit(batch[:half])
            await self._commit(batch[half:])
            return
        for write, result in zip(batch, results, strict=True):
            if not write.result.done():
                write.result.set_result(result)


def check_batch(batch: Sequence[object]) -> None:
    """Raise InvalidArgument for a batch of more than MAX_BATCH."""
    if len(batch) > MAX_BATCH:
        raise InvalidArgument(f"a call takes at most {MAX_BATCH} items, not {len(batch)}")
