"""Owns which runs and actions a list holds: filters and orders as SQL, and rows as what callers get."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, and_, false, literal_column, or_, true
from sqlalchemy.sql.elements import NamedColumn

from repo.domain.authorization import Scopes
from repo.domain.errors import InvalidArgument
from repo.domain.identifiers import compositions, stored_foldings
from repo.domain.models import (
    MADE_OF,
    UNSUCCESSFUL,
    Action,
    Run,
)
from repo.domain.phases import ActionPhase, ActionType, RunSource
from repo.sql.database import (
    Database,
    FreeText,
    constant,
    holds_text,
)
from repo.sql.paging import Keyset, Order, OrderField
from repo.sql.rows import Entity
from repo.tables import actions, is_abort_pending, is_root, run_time

MAX_WANTED_LABELS = 100
"""The most labels that a filter may hold: each makes the statement longer."""


@dataclass(frozen=True, slots=True)
class LabelFilter:
    """A label that a run has, with any value where none is given."""

    key: str
    value: str | None = None


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Every field that is set must match; a list matches any of its members. Times are UTC and
    inclusive, durations are milliseconds."""

    project: str | None = None
    domain: str | None = None
    phases: tuple[ActionPhase, ...] | None = None
    exclude_phases: tuple[ActionPhase, ...] | None = None
    search: str | None = None
    task_name: str | None = None
    task_version: str | None = None
    function_name: str | None = None
    trigger_task_name: str | None = None
    trigger_name: str | None = None
    sources: tuple[RunSource, ...] | None = None
    created_by_subject: str | None = None
    created_by: str | None = None
    """The subject or the name of who created it."""
    has_task: bool | None = None
    has_function: bool | None = None
    labels: tuple[LabelFilter, ...] | None = None
    all_labels: tuple[LabelFilter, ...] | None = None
    start_date: datetime | None = None
    end_date: datetime | None = None
    min_duration_ms: int | None = None
    min_duration_as_of: datetime | None = None
    """Runs that have not ended match the shortest duration too where they had lasted so long by then."""
    max_duration_ms: int | None = None
    has_paused_actions: bool | None = None
    abort_pending: bool | None = None

    def __post_init__(self) -> None:
        """Raises InvalidArgument where it holds too many labels."""
        count = len(self.labels or ()) + len(self.all_labels or ())
        if count > MAX_WANTED_LABELS:
            raise InvalidArgument(f"a filter holds at most {MAX_WANTED_LABELS} labels, not {count}")

    @property
    def has_conditions(self) -> bool:
        """Whether it says anything: blank text and empty lists do not."""
        # The moment that durations are measured to says nothing alone.
        names = (each.name for each in fields(self) if each.name != "min_duration_as_of")
        values = (getattr(self, name) for name in names)
        stripped = (value.strip() if isinstance(value, str) else value for value in values)
        return any(value is not None and value not in ("", ()) for value in stripped)


@dataclass(frozen=True, slots=True)
class ActionFilter:
    """Every field that is set must match; a list matches any of its members."""

    phases: tuple[ActionPhase, ...] | None = None
    exclude_phases: tuple[ActionPhase, ...] | None = None
    search: str | None = None
    types: tuple[ActionType, ...] | None = None
    group: str | None = None
    parent_name: str | None = None


c = actions.c
_SHARED = (
    c.key,
    c.run_key,
    c.project,
    c.domain,
    c.phase,
    c.attempts,
    c.cache_status,
    c.task_project,
    c.task_domain,
    c.task_name,
    c.task_version,
    c.task_type,
    c.function_name,
    c.environment_name,
    c.created_by,
    c.abort_state,
    c.abort_reason,
    c.abort_requested_by,
    c.abort_requested_at,
    c.abort_attempt_count,
    c.abort_next_attempt_at,
    c.abort_last_error,
    c.abort_confirmed_at,
    c.error,
    c.error_attempt,
    c.created_at,
    c.started_at,
    c.ended_at,
    c.updated_at,
    c.duration_ms,
    c.revision,
)
ACTION_COLUMNS = (
    *_SHARED,
    c.run_name,
    c.name,
    c.parent_name,
    c.type,
    c.group,
    c.spec,
    c.state,
    c.dependencies,
)
"""What Action is built from, in the order of its fields."""
RUN_COLUMNS = (
    *_SHARED,
    c.run_name,
    c.name,
    c.source,
    c.labels,
    c.trigger_task_name,
    c.trigger_name,
    c.trigger_revision,
    c.triggered_at,
    c.abort_batch,
)
"""What Run is built from, in the order of its fields."""

Attributes = frozenset[str] | None
"""Names of attributes of what is listed: objects have no others then. None stands for all."""

ACTIONS = Entity(Action, ACTION_COLUMNS, MADE_OF)
RUNS = Entity(Run, RUN_COLUMNS, MADE_OF)


def within(scopes: Scopes) -> list[ColumnElement[bool]]:
    """The condition for being in one of these projects and domains; none for everywhere."""
    if scopes is None:
        return []
    # In one order, so that the same ones make the same statement.
    named = sorted(scopes, key=lambda scope: tuple(map(str, scope)))
    return [or_(false(), *(_in_scope(project, domain) for project, domain in named))]


def _in_scope(project: str | None, domain: str | None) -> ColumnElement[bool]:
    pairs = ((c.project, project), (c.domain, domain))
    return and_(true(), *(column == value for column, value in pairs if value is not None))


def matching_actions(wanted: ActionFilter | None) -> list[ColumnElement[bool]]:
    """The conditions of a filter of actions."""
    if wanted is None:
        return []
    conditions = _phases(wanted.phases, wanted.exclude_phases)
    if wanted.search:
        conditions.append(_holds(c.search_text, wanted.search))
    if wanted.types is not None:
        conditions.append(actions.c.type.in_(wanted.types))
    for column, value in ((actions.c.group, wanted.group), (actions.c.parent_name, wanted.parent_name)):
        if value is not None:
            conditions.append(column == value)
    return conditions


def matching_runs(wanted: RunFilter | None, database: Database) -> list[ColumnElement[bool]]:
    """The conditions of a filter of runs, being a root among them."""
    if wanted is None:
        return [is_root]
    conditions = [is_root, *_phases(wanted.phases, wanted.exclude_phases)]
    for column, value in (
        (c.project, wanted.project),
        (c.domain, wanted.domain),
        (c.task_name, wanted.task_name),
        (c.task_version, wanted.task_version),
        (c.function_name, wanted.function_name),
        (c.trigger_task_name, wanted.trigger_task_name),
        (c.trigger_name, wanted.trigger_name),
        (c.created_by_subject, wanted.created_by_subject),
    ):
        if value is not None:
            conditions.append(column == value)
    if wanted.search:
        conditions.append(_found_by(wanted.search))
    if wanted.created_by is not None:
        conditions.append(
            or_(
                c.created_by_subject == wanted.created_by, _text_in(c.created_by, "name") == wanted.created_by
            )
        )
    for column, has in ((c.task_name, wanted.has_task), (c.function_name, wanted.has_function)):
        if has is not None:
            conditions.append(column.is_not(None) if has else column.is_(None))
    if wanted.sources is not None:
        conditions.append(c.source.in_(wanted.sources))
    if wanted.labels is not None:
        found = (database.has_label(c.labels, label.key, label.value) for label in wanted.labels)
        conditions.append(or_(false(), *found))
    for label in wanted.all_labels or ():
        conditions.append(database.has_label(c.labels, label.key, label.value))
    if wanted.start_date is not None:
        conditions.append(run_time >= wanted.start_date)
    if wanted.end_date is not None:
        conditions.append(run_time <= wanted.end_date)
    if wanted.min_duration_ms is not None:
        lasted = c.duration_ms >= wanted.min_duration_ms
        latest = created_until(wanted)
        if latest is not None:
            lasted = or_(lasted, and_(c.ended_at.is_(None), c.created_at <= latest))
        conditions.append(lasted)
    if wanted.max_duration_ms is not None:
        conditions.append(c.duration_ms <= wanted.max_duration_ms)
    if wanted.has_paused_actions is not None:
        member = actions.alias("member")
        paused = (
            member.select()
            .with_only_columns(member.c.name)
            .where(member.c.run_key == c.run_key, constant(member.c.phase, ActionPhase.PAUSED))
            .exists()
        )
        conditions.append(paused if wanted.has_paused_actions else ~paused)
    if wanted.abort_pending is not None:
        pending = and_(c.abort_state.is_not(None), is_abort_pending)
        conditions.append(pending if wanted.abort_pending else ~pending)
    return conditions


def created_until(wanted: RunFilter) -> datetime | None:
    """When a run that has not ended must have been created at the latest to match the shortest duration;
    None where no such run does."""
    if wanted.min_duration_ms is None or wanted.min_duration_as_of is None:
        return None
    try:
        return wanted.min_duration_as_of - timedelta(milliseconds=wanted.min_duration_ms)
    except OverflowError:
        return None


def _holds(column: ColumnElement[str], term: str) -> ColumnElement[bool]:
    return or_(*(holds_text(column, each) for each in stored_foldings(term)))


def spellings(term: str) -> list[str]:
    """How an error code may be written that a search for the term finds: so, in upper or in lower case."""
    return list(dict.fromkeys((term, term.upper(), term.lower())))


def _found_by(term: str) -> ColumnElement[bool]:
    """Whether a search for the term finds the run: `repo.watch.matching` says the same."""
    found: list[ColumnElement[bool]] = [_holds(c.run_search_text, term)]
    if "/" in term:
        path = c.project + "/" + c.domain + "/" + c.run_name
        found += [holds_text(path, each) for each in compositions(term)]
    code = _text_in(c.error, "code")
    shown = and_(constant(c.phase, *sorted(UNSUCCESSFUL)), c.error_attempt == c.attempts)
    found.append(and_(shown, or_(*(holds_text(code, spelling) for spelling in spellings(term)))))
    return or_(*found)


def _text_in(document: ColumnElement[Any], key: str) -> ColumnElement[str]:
    """The text under this key of a JSON object; null where there is none."""
    return document.op("->>", return_type=FreeText())(literal_column(f"'{key}'"))


def _phases(
    phases: Sequence[ActionPhase] | None, excluded: Sequence[ActionPhase] | None
) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if phases is not None:
        conditions.append(actions.c.phase.in_(phases))
    if excluded:
        conditions.append(actions.c.phase.not_in(excluded))
    return conditions


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
