"""Ancestors of actions: their places in the tree of a run, and whether one of them was aborted."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, case, cast, literal, null, select

from repo.domain.identifiers import RunIdentifier
from repo.domain.models import Abort, identity_from_json
from repo.domain.phases import AbortState
from repo.domain.slices import in_slices
from repo.sql.batches import fetch_having, is_executed_for_each
from repo.sql.transactions import Transaction
from repo.tables import actions, is_root

c = actions.c


@dataclass(frozen=True, slots=True)
class AbortAbove:
    """The abort request of an action, which also applies to its descendants."""

    state: AbortState
    reason: str | None
    requested_by: Mapping[str, Any] | None
    requested_at: datetime
    attempt_count: int
    next_attempt_at: datetime | None
    last_error: str | None
    confirmed_at: datetime | None

    def columns(self) -> dict[str, Any]:
        """The columns of a descendant's own request, which waits for the executor."""
        return {
            "abort_state": AbortState.REQUESTED,
            "abort_reason": self.reason,
            "abort_requested_by": self.requested_by,
            "abort_requested_at": self.requested_at,
        }

    @property
    def abort(self) -> Abort:
        """The request as readers see it."""
        requested_by = identity_from_json(self.requested_by)
        values = {each.name: getattr(self, each.name) for each in fields(Abort)}
        return Abort(**{**values, "requested_by": requested_by})


_REQUEST = [c[f"abort_{each.name}"] for each in fields(AbortAbove)]


@dataclass(frozen=True, slots=True)
class Node:
    """A stored action in the tree of its run."""

    key: bytes
    parent_key: bytes | None
    depth: int
    flags: int
    """The sum of ABORTED and PLACEHOLDER, as far as they hold."""
    name: str | None
    created_at: datetime | None
    placeholder_since: datetime | None
    """These three are None for an action that was only read as an ancestor."""

    @property
    def is_aborted(self) -> bool:
        """Whether an abort of this action was requested."""
        return bool(self.flags & ABORTED)

    @property
    def is_placeholder(self) -> bool:
        """Whether no report has described it."""
        return bool(self.flags & PLACEHOLDER)


ABORTED, PLACEHOLDER = 1, 2


@dataclass(frozen=True, slots=True)
class Ancestry:
    """Some actions with all above them, and the aborts of these."""

    nodes: Mapping[bytes, Node]
    """Those that exist, by key."""
    aborts: Mapping[bytes, AbortAbove]
    """The abort requests of those that have one, by key."""

    def nearest_abort(self, key: bytes) -> AbortAbove | None:
        """The request of the action, or of the nearest one above it that has one."""
        node = self.nodes.get(key)
        while node is not None:
            if node.is_aborted:
                return self.aborts[node.key]
            node = self.nodes[node.parent_key] if node.parent_key else None
        return None


async def lock_runs(transaction: Transaction, runs: Iterable[RunIdentifier]) -> dict[RunIdentifier, bytes]:
    """Lock the runs that exist and return the keys of their roots. Until this transaction ends, none of them
    is removed, and no abort in them is confirmed: both would miss what this transaction adds."""
    by_key = {run.key: run for run in runs}
    return {by_key[run_key]: key for run_key, key in await lock_runs_by_key(transaction, by_key)}


async def lock_runs_by_key(transaction: Transaction, run_keys: Iterable[bytes]) -> list[list[Any]]:
    """As `lock_runs`: the keys of the runs, and those of their roots."""
    return await fetch_having(transaction, "lock runs", c.run_key, run_keys, _roots)


def _roots(restricted: Callable[[Select[Any]], Select[Any]]) -> Select[Any]:
    statement = restricted(select(c.run_key, c.key)).where(is_root).order_by(c.key)
    return statement.with_for_update(read=True, key_share=True, of=actions)


async def read_ancestry(transaction: Transaction, keys: Iterable[bytes]) -> Ancestry:
    """The ancestry of those of the actions that exist."""
    if is_executed_for_each(transaction):
        rows = await _read_in_parts(transaction, set(keys))
    else:
        rows = await fetch_having(transaction, "ancestry", c.key, set(keys), _upwards)
    nodes: dict[bytes, Node] = {}
    async for row in in_slices(rows):
        if row[0] not in nodes or row[4] is not None:
            nodes[row[0]] = Node(*row)
    aborted = [node.key for node in nodes.values() if node.is_aborted]
    requests = await fetch_having(transaction, "aborts above", c.key, aborted, _requests)
    return Ancestry(nodes, {key: AbortAbove(*values) for key, *values in requests})


async def _read_in_parts(transaction: Transaction, keys: Iterable[bytes]) -> list[list[Any]]:
    """The rows of `_upwards`, if it is executed for each key: only for the deepest of what is not read
    yet, since the time for a chain of actions would grow with the square of its length."""
    rows = await fetch_having(transaction, "nodes", c.key, keys, _own)
    known, size = {row[0] for row in rows}, 1
    depths = {row[1]: row[2] for row in rows if row[1] is not None}
    waiting = sorted(depths, key=lambda key: (-depths[key], key))
    while waiting := [key for key in waiting if key not in known]:
        found = await fetch_having(transaction, "ancestry", c.key, waiting[:size], _upwards)
        rows += found
        known |= {row[0] for row in found} | set(waiting[:size])
        size *= 2
    return rows


def _own(restricted: Callable[[Select[Any]], Select[Any]]) -> Select[Any]:
    rest = (c.name, c.created_at, c.placeholder_since)
    return restricted(select(c.key, c.parent_key, c.depth, _flags(actions), *rest))


def _upwards(restricted: Callable[[Select[Any]], Select[Any]]) -> Select[Any]:
    """Some actions and all above them. Each step up is lookups by primary key, whatever a planner expects:
    with a join, one that knew the table when it was small read all of it for each action."""
    rest = (c.name, c.created_at, c.placeholder_since)
    up = restricted(select(c.key, c.parent_key, c.depth, _flags(actions), *rest)).cte("up", recursive=True)
    above = actions.alias("above")
    of_parent = [
        select(column).where(above.c.key == up.c.parent_key).scalar_subquery()
        for column in (above.c.parent_key, _flags(above))
    ]
    parent_key, flags = of_parent
    unread = (cast(null(), column.type) for column in rest)
    step = select(up.c.parent_key, parent_key, up.c.depth - literal(1), flags, *unread)
    return select(up.union(step.where(up.c.parent_key.is_not(None))))


def _flags(table: FromClause) -> ColumnElement[int]:
    is_aborted = case((table.c.abort_state.is_not(None), ABORTED), else_=0)
    is_placeholder = case((table.c.placeholder_since.is_not(None), PLACEHOLDER), else_=0)
    return (is_aborted + is_placeholder).label("flags")


def _requests(restricted: Callable[[Select[Any]], Select[Any]]) -> Select[Any]:
    return restricted(select(c.key, *_REQUEST))
