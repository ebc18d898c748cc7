"""Ancestors of actions: their depths, and whether one of them was aborted."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, literal, select

from repo.domain.identifiers import RunIdentifier
from repo.domain.phases import AbortState
from repo.sql.batches import fetch_having
from repo.sql.transactions import Transaction
from repo.tables import actions, is_root

c = actions.c


@dataclass(frozen=True, slots=True)
class AbortAbove:
    """The abort request of an action, which also applies to its descendants."""

    reason: str | None
    requested_by: Mapping[str, Any] | None
    requested_at: datetime

    def columns(self) -> dict[str, Any]:
        """The columns of a descendant's own request, which waits for the executor."""
        return {
            "abort_state": AbortState.REQUESTED,
            "abort_reason": self.reason,
            "abort_requested_by": self.requested_by,
            "abort_requested_at": self.requested_at,
        }


@dataclass(frozen=True, slots=True)
class Ancestry:
    """The depths of some stored actions, and the aborts above them."""

    depths: Mapping[bytes, int]
    """The depth of each action that exists."""
    created_at: Mapping[bytes, datetime]
    """When each action that exists was created."""
    aborts: Mapping[bytes, AbortAbove]
    """The nearest abort of each action, itself included, if there is one."""


async def lock_runs(transaction: Transaction, runs: Iterable[RunIdentifier]) -> dict[RunIdentifier, str]:
    """Lock the runs that exist and return the names of their roots. Until this transaction ends, none of
    them is removed, and no abort in them is confirmed: both would miss what this transaction adds."""
    by_key = {run.key: run for run in runs}
    found = await fetch_having(transaction, "lock runs", c.run_key, by_key, _roots)
    return {by_key[run_key]: name for run_key, name in found}


def _roots(restricted: Callable[[Select[Any]], Select[Any]]) -> Select[Any]:
    statement = restricted(select(c.run_key, c.name)).where(is_root).order_by(c.key)
    return statement.with_for_update(read=True, key_share=True, of=actions)


async def read_ancestry(transaction: Transaction, keys: Iterable[bytes]) -> Ancestry:
    """The ancestry of those of the actions that exist."""
    distinct = set(keys)
    rows = await fetch_having(transaction, "ancestry", c.key, distinct, _upwards)
    found = {row[0]: row for row in rows}
    nearest: dict[bytes | None, AbortAbove | None] = {None: None}
    if aborted := [key for key, _, _, abort_state, _ in found.values() if abort_state]:
        requests = await fetch_having(transaction, "aborts above", c.key, aborted, _requests)
        nearest.update((key, AbortAbove(*values)) for key, *values in requests)
    for each in distinct & found.keys():
        path, key = [], each
        while key not in nearest:
            path.append(key)
            key = found[key][1]
        nearest.update(dict.fromkeys(path, nearest[key]))
    return Ancestry(
        {key: found[key][2] for key in distinct & found.keys()},
        {key: found[key][4] for key in distinct & found.keys()},
        {key: abort for key in distinct if (abort := nearest.get(key)) is not None},
    )


def _upwards(restricted: Callable[[Select[Any]], Select[Any]]) -> Select[Any]:
    """Some actions and all above them, up to the nearest abort. Each step up is lookups by primary key, even
    if the planner expects many actions."""
    columns = (c.key, c.parent_key, c.depth, c.abort_state, c.created_at)
    up = restricted(select(*columns)).cte("up", recursive=True)
    above = actions.alias("above")
    parent_key, abort_state, created_at = (
        select(column).where(above.c.key == up.c.parent_key).scalar_subquery()
        for column in (above.c.parent_key, above.c.abort_state, above.c.created_at)
    )
    step = select(up.c.parent_key, parent_key, up.c.depth - literal(1), abort_state, created_at)
    up = up.union(step.where(up.c.parent_key.is_not(None), up.c.abort_state.is_(None)))
    return select(up)


def _requests(restricted: Callable[[Select[Any]], Select[Any]]) -> Select[Any]:
    return restricted(select(c.key, c.abort_reason, c.abort_requested_by, c.abort_requested_at))
