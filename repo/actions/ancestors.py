"""Whether actions lie below one that was aborted."""

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
    """The abort request of an action, which counts for what is below it too."""

    reason: str | None
    requested_by: Mapping[str, Any] | None
    requested_at: datetime

    def columns(self) -> dict[str, Any]:
        """What an action has that is aborted with it: a request of its own, which waits for the executor."""
        return {
            "abort_state": AbortState.REQUESTED,
            "abort_reason": self.reason,
            "abort_requested_by": self.requested_by,
            "abort_requested_at": self.requested_at,
        }


@dataclass(frozen=True, slots=True)
class Ancestry:
    """Some actions that are stored, with what is above them."""

    depths: Mapping[bytes, int]
    """How deep each of the actions is; those that do not exist are missing."""
    aborts: Mapping[bytes, AbortAbove]
    """The nearest abort of each of them, its own included, where there is one."""


async def lock_runs(
    database: Database, connection: AsyncConnection, runs: Iterable[RunIdentifier]
) -> dict[RunIdentifier, str]:
    """The names of the roots of those runs that are stored. Until this transaction ends, no run of them is
    removed, and no abort in them is confirmed: that would miss what this transaction adds."""
    by_key = {run.key: run for run in runs}
    statement = having_keys(database, select(c.run_key, c.name).where(is_root), c.run_key, by_key)
    statement = statement.order_by(c.key).with_for_update(read=True, key_share=True, of=actions)
    return {by_key[run_key]: name for run_key, name in await connection.execute(statement)}


async def read_ancestry(database: Database, connection: AsyncConnection, keys: Iterable[bytes]) -> Ancestry:
    """The actions among those with these keys that are stored. Each step up is two look-ups by the primary
    key, also where a planner expects many actions."""
    wanted = set(keys)
    columns = (c.key, c.parent_key, c.depth, c.abort_state)
    up = having_keys(database, select(*columns), c.key, wanted).cte("up", recursive=True)
    above = actions.alias("above")
    parent_key, abort_state = (
        select(column).where(above.c.key == up.c.parent_key).scalar_subquery()
        for column in (above.c.parent_key, above.c.abort_state)
    )
    step = select(up.c.parent_key, parent_key, up.c.depth - literal(1), abort_state)
    up = up.union(step.where(up.c.parent_key.is_not(None), up.c.abort_state.is_(None)))
    found = {row.key: row for row in await connection.execute(select(up))}
    requests = await _requests(database, connection, [key for key, row in found.items() if row.abort_state])
    nearest: dict[bytes | None, AbortAbove | None] = {None: None}
    nearest.update((key, abort) for key, abort in requests.items())
    for each in wanted & found.keys():
        path, key = [], each
        while key not in nearest:
            path.append(key)
            key = found[key].parent_key
        nearest.update(dict.fromkeys(path, nearest[key]))
    return Ancestry(
        {key: found[key].depth for key in wanted & found.keys()},
        {key: abort for key in wanted if (abort := nearest.get(key)) is not None},
    )


async def _requests(
    database: Database, connection: AsyncConnection, keys: Iterable[bytes]
) -> dict[bytes, AbortAbove]:
    aborted = list(keys)
    if not aborted:
        return {}
    columns = (c.key, c.abort_reason, c.abort_requested_by, c.abort_requested_at)
    rows = await connection.execute(having_keys(database, select(*columns), c.key, aborted))
    return {key: AbortAbove(*rest) for key, *rest in rows}
