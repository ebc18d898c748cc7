"""Ancestors of actions: their depths, and whether one of them was aborted."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from repo.domain.identifiers import RunIdentifier
from repo.domain.phases import AbortState
from repo.sql.database import Database
from repo.sql.filters import having_keys
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
    aborts: Mapping[bytes, AbortAbove]
    """The nearest abort of each action, itself included, if there is one."""


async def lock_runs(
    database: Database, connection: AsyncConnection, runs: Iterable[RunIdentifier]
) -> dict[RunIdentifier, str]:
    """Lock the runs that exist and return the names of their roots. Until this transaction ends, none of
    them is removed, and no abort in them is confirmed: both would miss what this transaction adds."""
    by_key = {run.key: run for run in runs}
    statement = having_keys(database, select(c.run_key, c.name).where(is_root), c.run_key, by_key)
    statement = statement.order_by(c.key).with_for_update(read=True, key_share=True, of=actions)
    return {by_key[run_key]: name for run_key, name in await connection.execute(statement)}


async def read_ancestry(database: Database, connection: AsyncConnection, keys: Iterable[bytes]) -> Ancestry:
    """The ancestry of those of the actions that exist. Each step up is two lookups by primary key, even if
    the planner expects many actions."""
    distinct = set(keys)
    columns = (c.key, c.parent_key, c.depth, c.abort_state)
    up = having_keys(database, select(*columns), c.key, distinct).cte("up", recursive=True)
    above = actions.alias("above")
    parent_key, abort_state = (
        select(column).where(above.c.key == up.c.parent_key).scalar_subquery()
        for column in (above.c.parent_key, above.c.abort_state)
    )
    step = select(up.c.parent_key, parent_key, up.c.depth - literal(1), abort_state)
    up = up.union(step.where(up.c.parent_key.is_not(None), up.c.abort_state.is_(None)))
    found = {row.key: row for row in await connection.execute(select(up))}
    nearest: dict[bytes | None, AbortAbove | None] = {None: None}
    if aborted := [key for key, row in found.items() if row.abort_state]:
        request = (c.key, c.abort_reason, c.abort_requested_by, c.abort_requested_at)
        rows = await connection.execute(having_keys(database, select(*request), c.key, aborted))
        nearest.update((key, AbortAbove(*values)) for key, *values in rows)
    for each in distinct & found.keys():
        path, key = [], each
        while key not in nearest:
            path.append(key)
            key = found[key].parent_key
        nearest.update(dict.fromkeys(path, nearest[key]))
    return Ancestry(
        {key: found[key].depth for key in distinct & found.keys()},
        {key: abort for key in distinct if (abort := nearest.get(key)) is not None},
    )
