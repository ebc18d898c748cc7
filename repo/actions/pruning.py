"""Owns the removal of runs that ended long ago: whole runs, a few in a transaction, each told to who watches.

A run goes in one transaction with all its actions and events, however many it has: nobody sees a part of it.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, case, func, literal, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from repo.sql.database import Database
from repo.sql.functions import database_now, next_revision, this_transaction
from repo.sql.types import UtcDateTime
from repo.tables import actions, is_abort_pending, is_root, is_unconfirmed, removal_horizon, removed_runs

MOST_RUNS = 100
"""Runs that are removed in one transaction."""
MOST_ACTIONS = 5_000
"""Actions that are removed in one transaction, unless a single run has more."""
_READ_AT_ONCE = 1_000
"""Runs that are looked at together."""
TOLD_FOR = timedelta(days=7)
"""For how long it is kept which runs were removed, for streams that are taken up again."""
_BREATH = 0.02
"""Seconds between two transactions, at least; else as many as the last one took."""
_ATTEMPTS = 5
"""How often runs are tried that others write to meanwhile. Then they are left to the next time."""
_FORGOTTEN_AT_ONCE = 5_000
"""Removed runs that are forgotten in one transaction."""

c = actions.c
r = removed_runs.c


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was removed so far, or would be."""

    runs: int = 0
    actions: int = 0

    def __add__(self, other: "Pruned") -> "Pruned":
        return Pruned(self.runs + other.runs, self.actions + other.actions)


class _WrittenMeanwhile(Exception):
    """Something of the runs is left: somebody wrote to them while they were being removed."""


class Pruning:
    """The removal of runs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def prune(
        self,
        older_than: timedelta,
        project: str | None = None,
        domain: str | None = None,
        dry_run: bool = False,
    ) -> AsyncGenerator[Pruned, None]:
        """Remove the runs that ended longer ago, but those with an abort that waits for its executor: what
        was removed so far, after each transaction. Broken off, it goes on when it is called again; several
        may be at it. A dry run only counts. Time is the database's."""
        async with self._database.read() as connection:
            now = await connection.scalar(select(database_now()))
        assert now is not None
        if not dry_run:
            await self._forget(now - TOLD_FOR)
        before, total = now - older_than, Pruned()
        async with aclosing(self._candidates(before, project, domain)) as parts:
            async for part in parts:
                begun = time.monotonic()
                if dry_run:
                    total += Pruned(len(part), sum(run.actions for run in part))
                else:
                    total += await self._remove([run.key for run in part], before)
                yield total
                if not dry_run:
                    await asyncio.sleep(max(_BREATH, time.monotonic() - begun))

    async def _candidates(
        self, before: datetime, project: str | None, domain: str | None
    ) -> AsyncGenerator[Sequence[Row[Any]], None]:
        """The runs that may be removed, the first created first, in parts that fit a transaction."""
        # None ended before it was created: all are among those created before, which an index has in order.
        # Which of them may go is asked then: asked at once, a planner may think that it is few, and read all.
        page = select(c.key, c.run_key, c.created_at, c.ended_at).where(
            is_root, c.created_at < literal(before, UtcDateTime())
        )
        for column, value in ((c.project, project), (c.domain, domain)):
            if value is not None:
                page = page.where(column == value)
        last: Row[Any] | None = None
        while True:
            following = page if last is None else page.where(tuple_(c.created_at, c.key) > _position_of(last))
            async with self._database.read() as connection:
                found = following.order_by(c.created_at, c.key).limit(_READ_AT_ONCE)
                runs = (await connection.execute(_with_sizes(found, before))).all()
            for part in _parts([run for run in runs if run.actions]):
                yield part
            if len(runs) < _READ_AT_ONCE:
                return
            last = runs[-1]

    async def _remove(self, keys: Sequence[bytes], before: datetime) -> Pruned:
        """Remove those of the runs with these roots that may still go, in one transaction."""

        async def work(connection: AsyncConnection) -> Pruned:
            return await _remove(connection, keys, before)

        for _ in range(_ATTEMPTS):
            try:
                return await self._database.write(work)
            except _WrittenMeanwhile:
                await asyncio.sleep(_BREATH)
        return Pruned()

    async def _forget(self, before: datetime) -> None:
        """Forget which runs were removed before: a stream that was left then begins anew."""
        oldest = (
            select(r.transaction_id)
            .where(r.removed_at < literal(before, UtcDateTime()))
            .order_by(r.removed_at)
            .limit(_FORGOTTEN_AT_ONCE)
            .subquery()
        )

        async def work(connection: AsyncConnection) -> bool:
            last = await connection.scalar(select(func.max(oldest.c.transaction_id)))
            if last is None:
                return False
            horizon = removal_horizon.c.transaction_id
            await connection.execute(
                removal_horizon.update().where(horizon <= last).values(transaction_id=last + 1)
            )
            await connection.execute(removed_runs.delete().where(r.transaction_id <= last))
            return True

        there_are_more = True
        while there_are_more:
            there_are_more = await self._database.write(work)
            await asyncio.sleep(_BREATH)


def _position_of(run: Row[Any]) -> Any:
    return tuple_(literal(run.created_at, UtcDateTime()), literal(run.key, c.key.type))


def _may_go(
    ended_at: ColumnElement[datetime | None], run_key: ColumnElement[bytes], before: datetime
) -> ColumnElement[bool]:
    """Whether a run may be removed."""
    waiting = select(c.run_key).where(is_unconfirmed, is_abort_pending)
    return and_(ended_at < literal(before, UtcDateTime()), run_key.not_in(waiting))


def _with_sizes(page: Select[Any], before: datetime) -> Select[Any]:
    """The runs of a page, in its order, with how many actions each has: none where it may not go."""
    runs, member = page.subquery("runs"), actions.alias("member")
    size = select(func.count()).where(member.c.run_key == runs.c.run_key).scalar_subquery()
    may_go = _may_go(runs.c.ended_at, runs.c.run_key, before)
    sized = select(runs.c.key, runs.c.created_at, case((may_go, size), else_=0).label("actions"))
    return sized.order_by(runs.c.created_at, runs.c.key)


def _parts(runs: Iterable[Row[Any]]) -> Iterator[list[Row[Any]]]:
    """The runs in parts of at most MOST_RUNS and MOST_ACTIONS, or of a single run."""
    part: list[Row[Any]] = []
    for run in runs:
        is_enough = len(part) == MOST_RUNS or sum(each.actions for each in part) + run.actions > MOST_ACTIONS
        if part and is_enough:
            yield part
            part = []
        part.append(run)
    if part:
        yield part


async def _remove(connection: AsyncConnection, keys: Sequence[bytes], before: datetime) -> Pruned:
    # Roots are locked first, and in the order in which everybody locks rows. Whoever adds to a run has a
    # lock on its root, and whoever reopens it too: from here on it stays as it is found.
    wanted = select(c.key, c.run_key).where(c.key.in_(keys), _may_go(c.ended_at, c.run_key, before))
    roots = (await connection.execute(wanted.order_by(c.key).with_for_update(of=actions))).all()
    if not roots:
        return Pruned()
    run_keys = [root.run_key for root in roots]
    await connection.execute(_tombstones([root.key for root in roots]))
    # An abort that was asked for since then keeps its action, by which it is found.
    is_waiting = c.abort_state.is_not(None) & is_abort_pending
    removed = await connection.execute(
        actions.delete().where(c.run_key.in_(run_keys), or_(c.abort_state.is_(None), ~is_waiting))
    )
    if await connection.scalar(select(c.key).where(c.run_key.in_(run_keys)).limit(1)) is not None:
        raise _WrittenMeanwhile
    return Pruned(len(roots), removed.rowcount)


def _tombstones(keys: Sequence[bytes]) -> Any:
    """The statement that notes the runs with these roots as removed by this transaction."""
    member = actions.alias("member")
    horizon = select(removal_horizon.c.transaction_id).scalar_subquery()
    # A stream that holds an abort for one that waits is from before it changed, and from behind the horizon.
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
