"""The columns of runs and actions, for all statements that read them. A field of `Run` or `Action` is read
from the column of the same name, except for those named here."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from operator import itemgetter
from typing import Any

from sqlalchemy import case, false, select
from sqlalchemy.sql.elements import NamedColumn

from repo.domain.models import Action, Run
from repo.sql.rows import Entity
from repo.tables import actions, is_root, runs

Attributes = frozenset[str] | None
"""The names of the attributes to read: only these are set on the objects; None for all."""

c = actions.c

_COMMON = {"created_by_document": "created_by", "error_document": "error", "notes_document": "notes"}


def _columns_of(kind: type[Any], **other_names: str) -> dict[str, NamedColumn[Any]]:
    """The columns of the fields of `kind`."""
    names = _COMMON | other_names
    return {each.name: c[names.get(each.name, each.name)] for each in fields(kind)}


ACTIONS = Entity(_columns_of(Action, dependencies_document="dependencies", progress_document="progress"))
RUNS = Entity(_columns_of(Run, name="run_name", root_name="name", labels_document="labels"))
ACTION_COLUMNS = tuple(ACTIONS.columns.values())
"""The columns that `Action(*row)` takes."""
RUN_COLUMNS = tuple(RUNS.columns.values())
"""The columns that `Run(*row)` takes."""


@dataclass(frozen=True, slots=True)
class ActionRow:
    """An action as it is stored now, with the run that it is the root of."""

    action: Action
    run: Run | None
    """None unless the action is a root."""
    parent_key: bytes | None
    state_transaction_id: int | None
    has_paused_actions: bool
    """Whether any action of the run is PAUSED; false unless the action is a root."""
    last_reported_at: datetime | None
    """When anything of the run was last reported; None unless the action is a root."""
    size: int
    """Characters of its long text."""


def run_of(row: ActionRow) -> Run:
    """The run of a row that is a root."""
    assert row.run is not None
    return row.run


_paused_actions = select(runs.c.paused_actions).where(runs.c.run_key == c.run_key).scalar_subquery()
_last_reported = select(runs.c.last_reported_at).where(runs.c.run_key == c.run_key).scalar_subquery()
_ONLY_RUNS = [column for column in RUN_COLUMNS if column not in set(ACTION_COLUMNS)]
ROW_COLUMNS = (
    *ACTION_COLUMNS,
    *_ONLY_RUNS,
    c.parent_key,
    c.state_transaction_id,
    case((is_root, _paused_actions > 0), else_=false()).label("has_paused_actions"),
    case((is_root, _last_reported)).label("last_reported_at"),
)
"""The columns that `action_row` takes."""
_places = {column.name: place for place, column in enumerate((*ACTION_COLUMNS, *_ONLY_RUNS))}
_run_values = itemgetter(*(_places[column.name] for column in RUN_COLUMNS))


def action_row(values: Sequence[Any], size: int) -> ActionRow:
    """The row of these values of ROW_COLUMNS."""
    *_, parent_key, state_transaction_id, has_paused, last_reported_at = values
    action = Action(*values[: len(ACTION_COLUMNS)])
    run = Run(*_run_values(values)) if parent_key is None else None
    return ActionRow(action, run, parent_key, state_transaction_id, bool(has_paused), last_reported_at, size)
