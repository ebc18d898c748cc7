"""Removes runs that ended long ago, a few per transaction, and records tombstones for their subscribers. A
run is removed in one transaction with all its actions and events, however many it has, so that nobody
sees a part of it. Only large logs are removed before."""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, Table, and_, case, func, literal, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from repo.actions.log_removal import remove_large_logs
from repo.domain.errors import DatabaseUnavailable, DeadlineExceeded
from repo.sql.database import Database
from repo.sql.functions import database_now, next_revision, oldest_open_transaction, this_transaction
from repo.sql.types import UtcDateTime
from repo.tables import (
    action_changes,
    actions,
    is_abort_pending,
    is_unconfirmed,
    removal_horizon,
    removed_runs,
    runs,
)

MAX_RUNS = 100
"""Runs in one transaction."""
MAX_ACTIONS = 5_000
"""Actions in one transaction, unless a single run has more."""
_MIN_RUNS = 10
"""Runs in one transaction, however long it takes."""
_LONG = 0.1
"""After a transaction of more seconds the next ones have fewer runs: SQLite's writers wait for each other."""
_MAX_CANDIDATES = 1_000
"""Candidates that are read at a time."""
KEEP_REMOVED = timedelta(days=7)
"""How long tombstones of removed runs and the log of changes are kept, for streams that resume."""
_MIN_PAUSE = 0.02
"""The minimum pause between two transactions in seconds; otherwise as long as the last one took."""
_EXPIRE_EVERY = 3600.0
"""Seconds between two expiries of a replica."""
_ATTEMPTS = 5
"""Attempts to remove runs that are written to concurrently; afterwards they are left to the next call."""
_MAX_EXPIRED = 5_000
"""Tombstones or logged changes that are deleted in one transaction."""

c = actions.c
r = runs.c
removed = removed_runs.c
log = action_changes.c


@dataclass(frozen=True, slots=True)
class Pruned:
    """The numbers of runs and actions that were removed so far, or would be."""

    runs: int = 0
    actions: int = 0

    def __add__(self, other: "Pruned") -> "Pruned":
        return Pruned(self.runs + other.runs, self.actions + other.actions)


class _Pace:
    """How many runs the next transaction removes."""

    def __init__(self) -> None:
        self.runs = MAX_RUNS

    def note(self, seconds: float) -> None:
        """Adapt to the time that a transaction took."""
        if seconds > _LONG:
            self.runs = max(min(_MIN_RUNS, MAX_RUNS), self.runs // 2)
        elif seconds < _LONG / 2:
            self.runs = min(MAX_RUNS, self.runs * 2)


class _ConcurrentWrite(Exception):
    """The runs were written to while they were being removed."""


class Pruning:
    """The removal of runs."""

    def __init__(self, database: Database, on_removed: Callable[[], Awaitable[None]] | None = None) -> None:
        """`on_removed` is called after each transaction that removed runs."""
        self._database = database
        self._on_removed = on_removed

    async def prune(
        self,
        older_than: timedelta,
        project: str | None = None,
        domain: str | None = None,
        dry_run: bool = False,
    ) -> AsyncGenerator[Pruned, None]:
        """Remove the runs that ended longer ago, except those with a pending abort, and yield the totals
        after each transaction. After an interruption the next call continues; calls may run concurrently.
        A dry run only counts. Ages are by the database's clock."""
        now = await self._now()
        if not dry_run:
            await self.expire(now)
        before, total, pace = now - older_than, Pruned(), _Pace()
        async with aclosing(self._candidates(before, project, domain, pace)) as parts:
            async for part in parts:
                began = time.monotonic()
                if dry_run:
                    total += Pruned(len(part), sum(run.actions for run in part))
                else:
                    total += await self.remove([run.key for run in part], before)
                took = time.monotonic() - began
                yield total
                if not dry_run:
                    pace.note(took)
                    await asyncio.sleep(max(_MIN_PAUSE, took))

    async def _now(self) -> datetime:
        async with self._database.read() as connection:
            now: datetime | None = await connection.scalar(select(database_now()))
        assert now is not None
        return now

    async def _candidates(
        self, before: datetime, project: str | None, domain: str | None, pace: _Pace
    ) -> AsyncGenerator[Sequence[Row[Any]], None]:
        """The runs that may be removed, oldest creation first, in parts that fit a transaction."""
        # A run that ended before a time was also created before it, and an index orders runs by creation.
        # Whether they may be removed is checked per page: in one condition, a planner that expects few
        # matches would read all runs.
        page = select(r.key, r.run_key, r.created_at, r.ended_at).where(
            r.created_at < literal(before, UtcDateTime())
        )
        for column, value in ((r.project, project), (r.domain, domain)):
            if value is not None:
                page = page.where(column == value)
        last: Row[Any] | None = None
        while True:
            following = page
            if last is not None:
                position = literal(last.created_at, UtcDateTime()), literal(last.key, c.key.type)
                following = page.where(tuple_(r.created_at, r.key) > tuple_(*position))
            async with self._database.read() as connection:
                found = following.order_by(r.created_at, r.key).limit(_MAX_CANDIDATES)
                runs = (await connection.execute(_with_sizes(found, before))).all()
            for part in _parts([run for run in runs if run.actions], pace):
                yield part
            if len(runs) < _MAX_CANDIDATES:
                return
            last = runs[-1]

    async def remove(self, keys: Sequence[bytes], before: datetime) -> Pruned:
        """Remove those of the runs with these roots that still may be removed, in one transaction."""

        async def work(connection: AsyncConnection) -> Pruned:
            return await _remove(connection, keys, before)

        removable = _locked_roots(keys, before).with_only_columns(c.run_key)
        await remove_large_logs(self._database, [key[:16] for key in keys], removable)
        for _ in range(_ATTEMPTS):
            try:
                removed = await self._database.transact_on_connection(work)
                if removed.runs and self._on_removed is not None:
                    await self._on_removed()
                return removed
            except _ConcurrentWrite:
                await asyncio.sleep(_MIN_PAUSE)
        return Pruned()

    async def keep_expiring(self) -> None:
        """Expire now and then, until cancelled."""
        while True:
            await asyncio.sleep(random.uniform(0.5, 1.5) * _EXPIRE_EVERY)
            with suppress(DatabaseUnavailable, DeadlineExceeded):
                await self.expire(await self._now())

    async def expire(self, now: datetime) -> None:
        """Delete the tombstones and the log of changes from KEEP_REMOVED ago: streams that resume from before
        restart."""
        before = literal(now - KEEP_REMOVED, UtcDateTime())
        for table, oldest in ((removed_runs, _expired_tombstones), (action_changes, _expired_changes)):
            last: int | None = 0
            while last is not None:
                last = await self._database.transact_on_connection(
                    partial(_expire, table, last, oldest(before, last))
                )
                await asyncio.sleep(_MIN_PAUSE)


def _expired_tombstones(before: ColumnElement[datetime], after: int) -> Select[Any]:
    """The last transaction of the next tombstones from before a moment."""
    # Without `after`, each part would pass over the deleted rows of all before it.
    oldest = select(removed.transaction_id).where(removed.removed_at < before, removed.transaction_id > after)
    return select(
        func.max(oldest.order_by(removed.removed_at).limit(_MAX_EXPIRED).subquery().c.transaction_id)
    )


def _expired_changes(before: ColumnElement[datetime], after: int) -> Select[Any]:
    """The last transaction of the next changes from before a moment."""
    # The newest change stays, whatever its age: it shows whether the database was restored.
    newer = select(func.max(log.transaction_id)).scalar_subquery()
    oldest = select(log.transaction_id, log.written_at).where(log.transaction_id > after)
    last = oldest.order_by(log.transaction_id).offset(_MAX_EXPIRED).limit(1).subquery().c
    return select(last.transaction_id).where(last.written_at < before, last.transaction_id < newer)


async def _expire(table: Table, after: int, newest: Select[Any], connection: AsyncConnection) -> int | None:
    """Delete the rows of a table after a transaction and up to another; which one, if there were any."""
    last: int | None = await connection.scalar(newest)
    # The horizon stays below open transactions: while it passes one, streams would restart with each poll.
    if last is None or last >= (await connection.scalar(select(oldest_open_transaction())) or 0):
        return None
    horizon = removal_horizon.c.transaction_id
    await connection.execute(removal_horizon.update().where(horizon <= last).values(transaction_id=last + 1))
    expired = table.c.transaction_id.between(after, last)
    await connection.execute(table.delete().where(expired))
    return last


def _is_removable(
    ended_at: ColumnElement[datetime | None], run_key: ColumnElement[bytes], before: datetime
) -> ColumnElement[bool]:
    """Whether a run may be removed."""
    pending = select(c.run_key).where(is_unconfirmed, is_abort_pending)
    return and_(ended_at < literal(before, UtcDateTime()), run_key.not_in(pending))


def _with_sizes(page: Select[Any], before: datetime) -> Select[Any]:
    """The runs of a page, in its order, with the number of their actions; 0 for those that may not be
    removed."""
    runs, member = page.subquery("runs"), actions.alias("member")
    size = select(func.count()).where(member.c.run_key == runs.c.run_key).scalar_subquery()
    is_removable = _is_removable(runs.c.ended_at, runs.c.run_key, before)
    sized = select(runs.c.key, runs.c.created_at, case((is_removable, size), else_=0).label("actions"))
    return sized.order_by(runs.c.created_at, runs.c.key)


def _parts(runs: Iterable[Row[Any]], pace: _Pace) -> Iterator[list[Row[Any]]]:
    """The runs in parts of at most MAX_ACTIONS and so many runs, or of a single run."""
    part: list[Row[Any]] = []
    for run in runs:
        is_enough = len(part) >= pace.runs or sum(each.actions for each in part) + run.actions > MAX_ACTIONS
        if part and is_enough:
            yield part
            part = []
        part.append(run)
    if part:
        yield part


def _locked_roots(keys: Sequence[bytes], before: datetime) -> Select[Any]:
    """The keys of those of these roots whose runs may be removed, locked in the order of all writers."""
    removable = select(c.key, c.run_key).where(c.key.in_(keys), _is_removable(c.ended_at, c.run_key, before))
    return removable.order_by(c.key).with_for_update(of=actions)


async def _remove(connection: AsyncConnection, keys: Sequence[bytes], before: datetime) -> Pruned:
    # Roots are locked first, in the order of all writers. Transactions that add to a run or reopen it lock
    # its root, so it does not change from here on.
    roots = (await connection.execute(_locked_roots(keys, before))).all()
    if not roots:
        return Pruned()
    run_keys = [root.run_key for root in roots]
    await connection.execute(_tombstones([root.key for root in roots]))
    # An action whose abort was requested since then is not deleted; the lower row count below shows it.
    is_pending = c.abort_state.is_not(None) & is_abort_pending
    deleted = await connection.execute(
        actions.delete().where(c.run_key.in_(run_keys), or_(c.abort_state.is_(None), ~is_pending))
    )
    if await connection.scalar(select(c.key).where(c.run_key.in_(run_keys)).limit(1)) is not None:
        raise _ConcurrentWrite
    return Pruned(len(roots), deleted.rowcount)


def _tombstones(keys: Sequence[bytes]) -> Any:
    """The statement that inserts the tombstones of the runs with these roots."""
    member = actions.alias("member")
    horizon = select(removal_horizon.c.transaction_id).scalar_subquery()
    # A stream that still considers an abort pending has a position before the abort changed, and after the
    # horizon.
    aborts_changed = select(member.c.key).where(
        member.c.run_key == c.run_key, member.c.abort_state.is_not(None), member.c.transaction_id >= horizon
    )
    columns = [
        this_transaction(),
        c.key,
        c.project,
        c.domain,
        c.run_name,
        next_revision(),
        aborts_changed.exists(),
        database_now(),
    ]
    names = "transaction_id key project domain name revision aborts_changed removed_at".split()
    return removed_runs.insert().from_select(names, select(*columns).where(c.key.in_(keys)))
