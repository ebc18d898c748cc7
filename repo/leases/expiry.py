"""Ends the open actions of runs whose leases have expired: a background loop of each replica.

A lease expires by the clock of the database. A replica only believes it after it has read the database for as
long as the lease lasts, without a gap: after an outage of the database or of the server every executor has
the time to renew its leases first."""

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import structlog
from sqlalchemy import Select, bindparam, select
from sqlalchemy.types import BigInteger

from repo.actions.abort_columns import confirmed
from repo.actions.ancestors import read_ancestry
from repo.actions.event_rows import decide_errors
from repo.actions.losses import EXECUTOR_LOST, lose
from repo.actions.phase_updates import lock_lifecycles, store_lifecycles
from repo.domain.cursors import FeedPosition
from repo.domain.models import ActionError
from repo.domain.phases import FIRST_TERMINAL, ErrorKind, LeaseState, aborted
from repo.leases.lost_aborts import confirm_in_place, lock_aborted
from repo.leases.parts import in_parts
from repo.sql.batches import fetch_having, update_rows
from repo.sql.database import Database
from repo.sql.functions import database_now
from repo.sql.transactions import Transaction
from repo.tables import actions, is_lease_open, run_leases

logger = structlog.get_logger("rungraph.leases")

POLL_INTERVAL = 1.0
"""Seconds between two polls."""
MAX_GAP = 2.0
"""Seconds more than that between two polls, or that the clocks differ by, are a gap."""
MAX_ACTIONS = 5_000
"""Actions that one transaction ends; those of a larger run are ended in parts, its root last."""
_MAX_POLLED = 1_000

c = actions.c
x = run_leases.c


class _Continuity:
    """Since when this replica has read the database without a gap."""

    def __init__(self) -> None:
        self._since = self._last = time.monotonic()
        self._at: datetime | None = None

    def note(self, at: datetime) -> float:
        """A poll read this time of the database. Returns for how many seconds there was no gap."""
        now = time.monotonic()
        passed = now - self._last
        is_jump = self._at is not None and abs((at - self._at).total_seconds() - passed) > MAX_GAP
        if passed > POLL_INTERVAL + MAX_GAP or is_jump:
            self._since = now
        self._last, self._at = now, at
        return now - self._since

    def interrupt(self) -> None:
        """A poll failed, or the database was restored."""
        self._since = self._last = time.monotonic()


@dataclass(frozen=True, slots=True)
class _Expired:
    executor: str
    ttl: timedelta
    expires_at: datetime

    @property
    def error(self) -> ActionError:
        silent_since = f"{self.expires_at - self.ttl:%Y-%m-%d %H:%M:%S} UTC"
        text = f"the executor {self.executor} has been silent since {silent_since}"
        seconds = round(self.ttl.total_seconds())
        return ActionError(
            ErrorKind.SYSTEM, f"{text}: its lease of {seconds} s was not renewed", EXECUTOR_LOST
        )


class LeaseExpiry:
    """The loop of one replica."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._continuity = _Continuity()
        self._position: FeedPosition | None = None
        self.expired = 0
        """The leases of lost executors that this replica ended."""

    async def run(self) -> None:
        """Poll until cancelled."""
        failures = 0
        while True:
            await asyncio.sleep(POLL_INTERVAL)
            try:
                more = True
                while more:
                    more = await self.poll()
                failures = 0
            except Exception as error:  # whatever it is, the leases stay stored
                self._continuity.interrupt()
                failures += 1
                if failures == 1:
                    logger.warning("cannot expire leases", reason=f"{type(error).__name__}: {error}")

    async def poll(self) -> bool:
        """End the leases that have expired; whether there may be more."""
        async with self._database.snapshot(self._position) as snapshot:
            is_other = self._position and self._position.incarnation != snapshot.position.incarnation
            self._position = snapshot.position
            if is_other:
                self._continuity.interrupt()
            ((at,),) = (await snapshot.fetch("time", lambda: select(database_now()), {})).decoded()
            watched = self._continuity.note(at)
            values = {"at": at, "watched": int(watched)}
            found = (await snapshot.fetch("expired leases", _expired, values)).decoded()
        due, more = [run_key for (run_key,) in found], False
        for ended, is_whole in await in_parts(due, self._end, "cannot end an expired lease"):
            more = more or not is_whole or (ended > 0 and len(due) == _MAX_POLLED)
        return more

    async def _end(self, run_keys: Sequence[bytes]) -> tuple[int, bool]:
        ended, is_whole = await self._database.transact(partial(_end_now, run_keys))
        self.expired += ended
        if ended:
            logger.warning("leases expired: their executors count as lost", runs=ended)
        return ended, is_whole


def _expired() -> Select[Any]:
    at = bindparam("at", type_=x.expires_at.type)
    # Long leases that this replica has not watched long enough must not hide shorter ones.
    is_watched = x.ttl_seconds <= bindparam("watched", type_=x.ttl_seconds.type)
    return (
        select(x.run_key)
        .where(is_lease_open, x.expires_at <= at, is_watched)
        .order_by(x.expires_at)
        .limit(_MAX_POLLED)
    )


async def _end_now(keys: Sequence[bytes], transaction: Transaction) -> tuple[int, bool]:
    return await end_leases(transaction, keys, datetime.now(UTC))


async def end_leases(transaction: Transaction, keys: Sequence[bytes], now: datetime) -> tuple[int, bool]:
    """End those of the leases that are still expired and that no other replica works on, and what is open in
    their runs, also where the root has ended. Unconfirmed aborts are confirmed, and what is open below them
    is aborted. Returns how many executors were lost with open work, and whether all of the leases are
    over."""
    rows = await fetch_having(transaction, "claim leases", x.run_key, keys, _claimed)
    leases = {key: _Expired(executor, timedelta(seconds=ttl), at) for key, executor, ttl, at in rows}
    if not leases:
        return 0, True
    aborted_runs = await lock_aborted(transaction, sorted(leases))
    reasons = {run_key: lease.error.message for run_key, lease in leases.items()}
    open_keys: list[bytes] = []
    claimed: list[bytes] = []
    lost: set[bytes] = set()
    for run_key in sorted(leases):
        found = await transaction.fetch(
            "open actions", _open_actions, {"run_key": run_key, "limit": MAX_ACTIONS + 1}
        )
        if claimed and len(open_keys) + len(found) > MAX_ACTIONS:
            break
        open_keys += [key for key, _ in found]
        claimed.append(run_key)
        if found:
            lost.add(run_key)
        if len(found) > MAX_ACTIONS:
            parents = {key: parent for key, parent in found}
            open_keys = [key for key in open_keys if parents[key] is not None][:MAX_ACTIONS]
            await _end_actions(transaction, open_keys, leases, aborted_runs, now)
            await _store_states(transaction, claimed, LeaseState.EXPIRING)
            return 0, False
    await _end_actions(transaction, open_keys, leases, aborted_runs, now)
    lost |= await confirm_in_place(transaction, aborted_runs.intersection(claimed), reasons, now)
    await _store_states(transaction, claimed, LeaseState.EXPIRED)
    return len(lost), len(claimed) == len(leases)


async def _end_actions(
    transaction: Transaction,
    keys: Sequence[bytes],
    leases: dict[bytes, _Expired],
    aborted_runs: Collection[bytes],
    now: datetime,
) -> None:
    """End these actions, if they are unfinished: as lost, or as aborted below an abort."""
    locked = await lock_lifecycles(transaction, sorted(keys))
    stored = {key: each for key, each in locked.items() if not each.phase.is_terminal}
    ancestry = await read_ancestry(transaction, [key for key in stored if key[:16] in aborted_runs])
    aborts = {
        key: abort for key in ancestry.nodes if (abort := ancestry.nearest_abort(key)) and key in stored
    }
    lost = {key: each for key, each in stored.items() if key not in aborts}
    errors = {key: lease.error for key, lease in leases.items()}
    ends = {key: lease.expires_at for key, lease in leases.items()}
    after = await lose(transaction, lost, errors, ends, now)
    after |= {key: aborted(stored[key], now) for key in aborts}
    await store_lifecycles(transaction, stored, after, now)
    requests = [{"key": key, **abort.columns(), **confirmed(now)} for key, abort in sorted(aborts.items())]
    await update_rows(transaction, actions, requests)
    await decide_errors(transaction, lost, now)


async def _store_states(transaction: Transaction, keys: Sequence[bytes], state: LeaseState) -> None:
    await update_rows(transaction, run_leases, [{"run_key": key, "state": state} for key in keys])


def _claimed(restricted: Callable[[Select[Any]], Select[Any]]) -> Select[Any]:
    # A lease that another replica works on, or that is being renewed, is left to them.
    found = restricted(select(x.run_key, x.executor, x.ttl_seconds, x.expires_at))
    found = found.where(is_lease_open, x.expires_at <= database_now()).order_by(x.run_key)
    return found.with_for_update(skip_locked=True, of=run_leases)


def _open_actions() -> Select[Any]:
    of_run = c.run_key == bindparam("run_key", type_=c.run_key.type)
    found = select(c.key, c.parent_key).where(of_run, c.phase < FIRST_TERMINAL)
    return found.limit(bindparam("limit", type_=BigInteger))
