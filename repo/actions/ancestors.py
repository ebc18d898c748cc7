"""Ancestors of actions: their places in the tree of a run, and whether one of them was aborted."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, select

from repo.domain.identifiers import RunIdentifier
from repo.domain.models import Abort, identity_from_json
from repo.domain.phases import AbortState
from repo.domain.slices import in_slices
from repo.sql.batches import fetch_having
from repo.sql.functions import looked_up
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
    name: str
    depth: int
    created_at: datetime
    placeholder_since: datetime | None
    is_aborted: bool


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
    found = await fetch_having(transaction, "lock runs", c.run_key, by_key, _roots)
    return {by_key[run_key]: key for run_key, key in found}


def _roots(restricted: Callable[[Select[Any]], Select[Any]]) -> Select[Any]:
    statement = restricted(select(c.run_key, c.key)).where(is_root).order_by(c.key)
    return statement.with_for_update(read=True, key_share=True, of=actions)


async def read_ancestry(transaction: Transaction, keys: Iterable[bytes]) -> Ancestry:
    """The ancestry of those of the actions that exist."""
    rows = await fetch_having(transaction, "ancestry", c.key, set(keys), _upwards)
    nodes = {row[0]: Node(*row) async for row in in_slices(rows)}
    aborted = [node.key for node in nodes.values() if node.is_aborted]
    requests = await fetch_having(transaction, "aborts above", c.key, aborted, _requests)
    return Ancestry(nodes, {key: AbortAbove(*values) for key, *values in requests})


def _upwards(restricted: Callable[[Select[Any]], Select[Any]]) -> Select[Any]:
    """Some actions and all above them. Each step up is a lookup by primary key, even if the planner expects
    many actions."""
    up = restricted(select(*_columns(actions))).cte("up", recursive=True)
    above = actions.alias("above")
    step = select(*_columns(above)).join_from(up, above, above.c.key == looked_up(up.c.parent_key))
    return select(up.union(step))


def _columns(table: FromClause) -> list[ColumnElement[Any]]:
    of = table.c
    is_aborted = of.abort_state.is_not(None).label("is_aborted")
    return [of.key, of.parent_key, of.name, of.depth, of.created_at, of.placeholder_since, is_aborted]


def _requests(restricted: Callable[[Select[Any]], Select[Any]]) -> Select[Any]:
    return restricted(select(c.key, *_REQUEST))
