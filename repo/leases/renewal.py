"""Renews leases of runs, as SQL: many executors' in one transaction.

Leases are locked first, in the order of their keys, and then the roots of their runs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, bindparam, select
from sqlalchemy.types import BigInteger

from repo.actions.ancestors import lock_runs_by_key, read_ancestry
from repo.actions.losses import is_lost, take_back
from repo.actions.phase_updates import lock_lifecycles, store_lifecycles
from repo.domain.phases import LeaseState, aborted, taken_back
from repo.leases.lost_aborts import request_again
from repo.sql.batches import fetch_having, insert_new, update_rows
from repo.sql.functions import database_now
from repo.sql.transactions import Transaction
from repo.tables import actions, run_leases, runs

MAX_RETURNED = 5_000
"""Actions that one transaction takes back."""

c = actions.c
lease_columns = run_leases.c


@dataclass(frozen=True, slots=True)
class RenewalRequest:
    """The runs for which an executor renews its leases."""

    run_keys: Sequence[bytes]
    executor: str
    ttl: timedelta


@dataclass(slots=True)
class Renewed:
    """The result of a request, by the keys of its runs. A run that is nowhere named does not exist."""

    expires_at: dict[bytes, datetime] = field(default_factory=dict)
    holders: dict[bytes, tuple[str, datetime]] = field(default_factory=dict)
    """The executors that hold a lease of the run, until when."""
    returned: list[bytes] = field(default_factory=list)
    """Runs whose lease had expired: their actions are to be taken back."""
    is_visible: bool = False
    """A run has another executor than before."""


@dataclass(slots=True)
class _Lease:
    executor: str
    ttl_seconds: int
    expires_at: datetime
    state: LeaseState


async def renew(transaction: Transaction, requests: Sequence[RenewalRequest], now: datetime) -> list[Renewed]:
    """Renew the leases of the requests in their order."""
    results = [Renewed() for _ in requests]
    waiting = [(number, key) for number, each in enumerate(requests) for key in each.run_keys]
    # Again for leases that another transaction has just inserted.
    while waiting:
        waiting = await _renew(transaction, requests, results, waiting, now)
    return results


async def _renew(
    transaction: Transaction,
    requests: Sequence[RenewalRequest],
    results: Sequence[Renewed],
    waiting: Sequence[tuple[int, bytes]],
    now: datetime,
) -> list[tuple[int, bytes]]:
    """Renew these leases, each for a request of this number, and return those that were not inserted."""
    keys = {key for _, key in waiting}
    rows = await fetch_having(transaction, "lock leases", lease_columns.run_key, keys, _locked_leases)
    leases = {key: _Lease(*rest) for key, *rest in rows}
    unheld = {key for n, key in waiting if key not in leases or leases[key].executor != requests[n].executor}
    roots = {
        key: (root, executor)
        for key, root, executor in await fetch_having(
            transaction, "roots of leases", runs.c.run_key, unheld, _locked_runs
        )
    }
    ((at,),) = await transaction.fetch("time", lambda: select(database_now()), {})
    inserted, changed = set[bytes](), set[bytes]()
    executors: dict[bytes, str] = {}
    for number, key in waiting:
        request, result = requests[number], results[number]
        lease = leases.get(key)
        if lease is None and key not in roots:
            continue
        if lease is not None and lease.executor != request.executor:
            if lease.expires_at > at:
                result.holders[key] = lease.executor, lease.expires_at
                continue
            lease.state = LeaseState.HELD  # what was lost with the other executor stays lost
        if key in roots and roots[key][1] != request.executor:
            executors[key] = request.executor
            result.is_visible = True
        if lease is None:
            inserted.add(key)
            lease = leases[key] = _Lease(request.executor, 0, at, LeaseState.HELD)
        if lease.state is not LeaseState.HELD:
            result.returned.append(key)
        lease.executor, lease.ttl_seconds = request.executor, round(request.ttl.total_seconds())
        lease.expires_at = result.expires_at[key] = at + request.ttl
        changed.add(key)
    stored = {key: {"run_key": key, **_values(leases[key])} for key in sorted(changed)}
    new = await insert_new(transaction, run_leases, [stored[key] for key in stored if key in inserted])
    missed = inserted - {key for (key,) in new}
    await update_rows(transaction, run_leases, [row for key, row in stored.items() if key not in inserted])
    await update_rows(
        transaction,
        actions,
        [
            {"key": roots[key][0], "executor": executor, "updated_at": now}
            for key, executor in sorted(executors.items())
            if key not in missed
        ],
    )
    for number, key in waiting:
        if key in missed:
            results[number].expires_at.pop(key, None)
    return [(number, key) for number, key in waiting if key in missed]


def _values(lease: _Lease) -> dict[str, Any]:
    return {
        "executor": lease.executor,
        "ttl_seconds": lease.ttl_seconds,
        "expires_at": lease.expires_at,
        "state": lease.state,
    }


def _locked_leases(restricted: Callable[[Select[Any]], Select[Any]]) -> Select[Any]:
    x = lease_columns
    found = restricted(select(x.run_key, x.executor, x.ttl_seconds, x.expires_at, x.state))
    return found.order_by(x.run_key).with_for_update(of=run_leases)


def _locked_runs(restricted: Callable[[Select[Any]], Select[Any]]) -> Select[Any]:
    # So that none is removed meanwhile.
    found = restricted(select(runs.c.run_key, runs.c.key, runs.c.executor)).order_by(runs.c.run_key)
    return found.with_for_update(read=True, key_share=True, of=runs)


async def return_some(
    transaction: Transaction, run_keys: Sequence[bytes], executor: str, now: datetime
) -> list[bytes]:
    """Take back lost actions of runs whose executor renewed their leases, and return the runs of which there
    may be more. Aborts that were confirmed in place of the executor wait for it again."""
    rows = await fetch_having(transaction, "lock leases", lease_columns.run_key, run_keys, _locked_leases)
    leases = {key: _Lease(*rest) for key, *rest in rows}
    lost = sorted(
        key
        for key, lease in leases.items()
        if lease.executor == executor and lease.state is not LeaseState.HELD
    )
    keys: list[bytes] = []
    whole: list[bytes] = []
    for run_key in lost:
        room = MAX_RETURNED - len(keys)
        if not room:
            break
        found = await transaction.fetch("lost actions", _lost_actions, {"run_key": run_key, "limit": room})
        keys += [key for (key,) in found]
        if len(found) < room:
            whole.append(run_key)
    await _return(transaction, keys, f"the executor {executor} renewed its lease", now)
    await request_again(transaction, whole, now)
    for run_key in whole:
        leases[run_key].state = LeaseState.HELD
    await update_rows(transaction, run_leases, [{"run_key": key, **_values(leases[key])} for key in whole])
    return [key for key in lost if key not in set(whole)]


async def _return(transaction: Transaction, keys: Sequence[bytes], reason: str, now: datetime) -> None:
    """Take these lost actions back; those below an abort are aborted."""
    found = await lock_lifecycles(transaction, sorted(keys))
    lost = {key: each for key, each in found.items() if each.lost_phase is not None}
    if not lost:
        return
    after = {key: taken_back(each) for key, each in lost.items()}
    await lock_runs_by_key(transaction, sorted({key[:16] for key in lost}))
    ancestry = await read_ancestry(transaction, lost)
    aborts = {key: abort for key in lost if (abort := ancestry.nearest_abort(key)) is not None}
    for key in aborts:
        after[key] = aborted(after[key], now)
    await store_lifecycles(transaction, lost, after, now)
    await update_rows(transaction, actions, [{"key": k, **a.columns()} for k, a in sorted(aborts.items())])
    await take_back(transaction, lost, reason, now)


def _lost_actions() -> Select[Any]:
    of_run = c.run_key == bindparam("run_key", type_=c.run_key.type)
    found = select(c.key).where(of_run, is_lost()).order_by(c.depth)
    return found.limit(bindparam("limit", type_=BigInteger))
