"""When anything of a run was last reported, exact to about 10 s: reports note it in memory, and a transaction
per second stores it for all runs. A crash loses what was noted in the last second."""

import asyncio
import time
from collections.abc import Callable, Hashable, Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, select

from repo.domain.errors import DatabaseUnavailable, DeadlineExceeded
from repo.domain.identifiers import ActionIdentifier
from repo.sql.batches import fetch_having, update_rows
from repo.sql.database import Database
from repo.sql.functions import database_now, this_transaction
from repo.sql.transactions import Transaction
from repo.tables import actions, runs

INTERVAL = 10.0
"""Seconds within which a process notes another report of a run as well."""
DELAY = 1.0
"""Seconds until notes are stored."""
SILENCE = timedelta(minutes=1)
"""A report after more silence than that is a change of the run, which its subscribers get."""
_MAX_KNOWN = 100_000

c = actions.c
r = runs.c


class Activity:
    """The reports that this process received."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._noted: dict[Hashable, float] = {}
        """When each run was last noted, by the monotonic clock."""
        self._pending: set[bytes] = set()
        self._timer: asyncio.TimerHandle | None = None

    def note(self, actions: Iterable[ActionIdentifier]) -> None:
        """Something was reported about these actions."""
        # By their names: a key costs a microsecond, and most actions of a batch are of one run.
        by_run = {(each.project, each.domain, each.run_name): each for each in actions}
        now = time.monotonic()
        for names, each in by_run.items():
            self._note(names, now, each)
        self._start_timer(now)

    def note_created(self, roots: Iterable[ActionIdentifier]) -> None:
        """These runs were created, which sets when they were last reported."""
        now = time.monotonic()
        for root in roots:
            self._noted.setdefault((root.project, root.domain, root.run_name), now)

    def note_keys(self, keys: Iterable[bytes]) -> None:
        """Something was reported about these runs, or actions: their keys begin with the run's."""
        now = time.monotonic()
        for key in {key[:16] for key in keys}:
            self._note(key, now, None)
        self._start_timer(now)

    def _note(self, run: Hashable, now: float, action: ActionIdentifier | None) -> None:
        if now - self._noted.get(run, -INTERVAL) >= INTERVAL:
            self._noted[run] = now
            key = action.key if action else run
            assert isinstance(key, bytes)
            self._pending.add(key[:16])

    def _start_timer(self, now: float) -> None:
        if len(self._noted) > _MAX_KNOWN:
            self._noted = {run: at for run, at in self._noted.items() if now - at < INTERVAL}
        if self._pending and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(DELAY, self._start)

    def _start(self) -> None:
        self._timer = None
        self._database.finish(asyncio.create_task(self._store_some()))

    async def _store_some(self) -> None:
        # The next report of a run that failed to be stored is noted in INTERVAL.
        with suppress(DatabaseUnavailable, DeadlineExceeded):
            await self.store()

    async def store(self) -> None:
        """Store what was noted."""
        pending, self._pending = sorted(self._pending), set()
        if pending:
            await self._database.transact(
                lambda transaction: _store(transaction, pending), is_visible=lambda ended: ended > 0
            )

    async def close(self) -> None:
        """Store what was noted, for the last time."""
        if self._timer is not None:
            self._timer.cancel()
        with suppress(Exception):  # whatever it is, the next report notes the run again
            await self.store()


async def _store(transaction: Transaction, run_keys: Iterable[bytes]) -> int:
    """Store that these runs were reported now, and return how many were silent before. Runs that others are
    writing are skipped, since they could wait for this transaction: their next report is noted again."""
    ((now,),) = await transaction.fetch("time", lambda: select(database_now()), {})
    found = await fetch_having(transaction, "last reports", r.run_key, run_keys, _last_reports)
    stale = [each for each in found if _is_older(each[2], now, timedelta(seconds=INTERVAL / 2))]
    silent = [key for _, key, reported_at in stale if _is_older(reported_at, now, SILENCE)]
    roots = [key for (key,) in await fetch_having(transaction, "lock silent", c.key, silent, _free_roots)]
    # Logged as a change of the run; no value is set but its revision and transaction.
    rows = [{"key": key} for key in sorted(roots)]
    await update_rows(transaction, actions, rows, transaction_id=this_transaction())
    numbers = [number for number, *_ in stale]
    keys = [key[:16] for _, key, _ in stale]
    free = await fetch_having(transaction, "lock last reports", r.run_key, keys, _free)
    rows = [{"number": number} for (number,) in free if number in set(numbers)]
    await update_rows(transaction, runs, rows, last_reported_at=database_now())
    return len(roots)


def _is_older(reported_at: datetime | None, now: datetime, age: timedelta) -> bool:
    return reported_at is None or reported_at < now - age


def _last_reports(restricted: Callable[[Select[Any]], Select[Any]]) -> Select[Any]:
    return restricted(select(r.number, r.key, r.last_reported_at))


def _free_roots(restricted: Callable[[Select[Any]], Select[Any]]) -> Select[Any]:
    return restricted(select(c.key)).with_for_update(key_share=True, skip_locked=True, of=actions)


def _free(restricted: Callable[[Select[Any]], Select[Any]]) -> Select[Any]:
    return restricted(select(r.number)).with_for_update(key_share=True, skip_locked=True, of=runs)
