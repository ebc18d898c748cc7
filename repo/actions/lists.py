"""The orders of lists of runs and actions, and the condition for what a caller may read."""

from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, and_, false, or_, true
from sqlalchemy.sql.elements import NamedColumn

from repo.domain.authorization import Scopes
from repo.domain.pages import Order, OrderField
from repo.sql.paging import Keyset
from repo.tables import actions

c = actions.c


def in_scopes(scopes: Scopes) -> list[ColumnElement[bool]]:
    """The condition for being in one of these projects and domains; none for everywhere."""
    if scopes is None:
        return []
    # In one order, so that the same ones make the same statement.
    named = sorted(scopes, key=lambda scope: tuple(map(str, scope)))
    return [or_(false(), *(_in_scope(project, domain) for project, domain in named))]


def _in_scope(project: str | None, domain: str | None) -> ColumnElement[bool]:
    pairs = ((c.project, project), (c.domain, domain))
    return and_(true(), *(column == value for column, value in pairs if value is not None))


tree_order = Keyset("TREE", c.depth, False, (c.created_at, c.name))
"""Within a run: parents before their children, then the oldest first."""


def order_of_actions(order: Order | None, within_a_run: bool) -> Keyset:
    """The total order of actions that begins with `order`: then by name within a run, where names are
    unique, and by key across runs. Without one, it is the order of the tree within a run, and the newest
    first across runs."""
    if order is None and within_a_run:
        return tree_order
    return _keyset(order or Order(), c.name, c.name if within_a_run else c.key)


def order_of_runs(order: Order) -> Keyset:
    """The total order of runs that begins with `order`."""
    return _keyset(order, c.run_name, c.key)


order_of_aborts = Keyset("ABORT_REQUESTED_AT", c.abort_requested_at, False, (c.key,))
"""The oldest abort request first."""


@cache
def _keyset(order: Order, name: NamedColumn[Any], tie: NamedColumn[Any]) -> Keyset:
    column = name if order.field is OrderField.NAME else c[order.field.value]
    nullable = order.field in (OrderField.ENDED_AT, OrderField.DURATION)
    return Keyset(order.field.name, column, order.descending, () if tie is column else (tie,), nullable)
