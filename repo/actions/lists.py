"""The orders of lists of runs and actions, and the condition for what a caller may read."""

from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Table, and_, false, or_, true
from sqlalchemy.sql.elements import NamedColumn

from repo.domain.authorization import Scopes
from repo.domain.pages import Order, OrderField
from repo.sql.paging import Keyset
from repo.tables import actions, runs

c = actions.c


def in_scopes(scopes: Scopes) -> list[ColumnElement[bool]]:
    """The condition for an action in one of the scopes; no condition for everywhere."""
    return _in_scopes(scopes, c.project, c.domain)


def runs_in_scopes(scopes: Scopes) -> list[ColumnElement[bool]]:
    """`in_scopes` for a row of `runs`."""
    return _in_scopes(scopes, runs.c.project, runs.c.domain)


def _in_scopes(scopes: Scopes, in_project: Any, in_domain: Any) -> list[ColumnElement[bool]]:
    if scopes is None:
        return []
    # Sorted, so that equal scopes make equal statements.
    named = sorted(scopes, key=lambda scope: tuple(map(str, scope)))
    pairs = [((in_project, project), (in_domain, domain)) for project, domain in named]
    return [or_(false(), *(and_(true(), *(x == y for x, y in pair if y is not None)) for pair in pairs))]


tree_order = Keyset("TREE", c.depth, False, (c.created_at, c.name))
"""Within a run: parents before their children, then the oldest first."""


def order_of_actions(order: Order | None, within_a_run: bool) -> Keyset:
    """The total order of actions that begins with `order`; ties are ordered by name within a run, where
    names are unique, and by key across runs. The default is the order of the tree within a run, and
    newest first across runs."""
    if order is None and within_a_run:
        return tree_order
    return _keyset(order or Order(), actions, c.name, c.name if within_a_run else c.key)


def order_of_runs(order: Order) -> Keyset:
    """The total order of `runs` that begins with `order`."""
    return _keyset(order, runs, runs.c.run_name, runs.c.key)


def cursor_of_run(created_at: datetime, key: bytes) -> str:
    """The cursor of a run in lists of runs, the newest first. `key` is that of its root."""
    return order_of_runs(Order()).cursor((created_at, key))


order_of_aborts = Keyset("ABORT_REQUESTED_AT", c.abort_requested_at, False, (c.key,))
"""The oldest abort request first."""


@cache
def _keyset(order: Order, table: Table, name: NamedColumn[Any], tie: NamedColumn[Any]) -> Keyset:
    column = name if order.field is OrderField.NAME else table.c[order.field.value]
    nullable = order.field in (OrderField.ENDED_AT, OrderField.DURATION)
    return Keyset(order.field.name, column, order.descending, () if tie is column else (tie,), nullable)
