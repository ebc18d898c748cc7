"""The filters of runs and of actions. Each field is declared once, with its SQL and its Python form.

CONTRIBUTING.md has the recipe for another one. The tests compare the two forms of every field, and the fields
with the input of `graph.schema.inputs.filters`.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import (
    ColumnElement,
    and_,
    false,
    literal_column,
    or_,
    union_all,
)
from sqlalchemy.sql.selectable import GenerativeSelect

from repo.actions.criteria import (
    Predicate,
    any_of,
    at_least,
    at_most,
    conditions,
    criteria,
    declare,
    equal,
    has_value,
    none_of,
    terms,
)
from repo.actions.rows import ActionRow, run_of
from repo.actions.search import (
    contains,
    name_search,
    run_search,
    run_search_conditions,
    run_search_terms,
    runs_with_code,
)
from repo.domain.errors import InvalidArgument
from repo.domain.identifiers import RunIdentifier
from repo.domain.phases import AbortState, ActionPhase, ActionType, RunSource
from repo.sql.database import Database
from repo.sql.functions import has_label
from repo.sql.terms import AllOf, AnyOf, numbers
from repo.tables import actions, is_run_abort_pending, runs

MAX_LABELS_IN_FILTER = 100
"""Each label makes the statement longer."""
MAX_RUNS_IN_FILTER = 1000
"""Each identifier makes the statement longer."""

c = actions.c
r = runs.c


@dataclass(frozen=True, slots=True)
class LabelFilter:
    """Runs with this label; with any value if none is given."""

    key: str
    value: str | None = None


# Creator, labels, durations, members


def _creator_subject(row: ActionRow) -> str | None:
    creator = run_of(row).created_by
    return creator.subject if creator else None


def _created_by(value: str) -> Predicate:
    def matches(row: ActionRow) -> bool:
        creator = run_of(row).created_by
        return creator is not None and value in (creator.subject, creator.name)

    return matches


def _has_label(row: ActionRow, label: LabelFilter) -> bool:
    labels = run_of(row).labels_document
    return label.key in labels and label.value in (None, labels[label.key])


def _label_condition(label: LabelFilter) -> ColumnElement[bool]:
    return has_label(r.labels, label.key, label.value)


def _label_term(label: LabelFilter) -> str:
    return f"label={label.key}" if label.value is None else f"value={label.key}={label.value}"


def _latest_creation(value: tuple[int, datetime | None]) -> datetime | None:
    """The latest creation time of an unfinished run that has lasted that long at that time."""
    shortest, as_of = value
    try:
        return None if as_of is None else as_of - timedelta(milliseconds=shortest)
    except OverflowError:
        return None


def _min_duration_conditions(value: tuple[int, datetime | None]) -> list[ColumnElement[bool]]:
    ended, latest = r.duration_ms >= value[0], _latest_creation(value)
    if latest is None:
        return [ended]
    return [or_(ended, and_(r.ended_at.is_(None), r.created_at <= latest))]


def _min_duration(value: tuple[int, datetime | None]) -> Predicate:
    shortest, latest = value[0], _latest_creation(value)

    def matches(row: ActionRow) -> bool:
        run = run_of(row)
        if run.duration_ms is not None:
            return run.duration_ms >= shortest
        return latest is not None and run.created_at <= latest

    return matches


def _paused_conditions(value: bool) -> list[ColumnElement[bool]]:
    zero: ColumnElement[int] = literal_column("0")
    return [r.paused_actions > zero if value else r.paused_actions <= zero]


def _abort_pending_conditions(value: bool) -> list[ColumnElement[bool]]:
    pending = and_(r.abort_state.is_not(None), is_run_abort_pending)
    return [is_run_abort_pending if value else ~pending]


PENDING_ABORTS = (AbortState.REQUESTED, AbortState.RETRYING)
"""The states of an abort that waits for its executor, as in `is_run_abort_pending`."""


def _run_time(row: ActionRow) -> datetime:
    return run_of(row).triggered_at or run_of(row).created_at


def _silent_since(value: datetime) -> Predicate:
    def matches(row: ActionRow) -> bool:
        reported_at = row.last_reported_at
        return run_of(row).ended_at is None and reported_at is not None and reported_at < value

    return matches


def _one_of_runs(value: tuple[RunIdentifier, ...]) -> Predicate:
    keys = {each.key for each in value}
    return lambda row: run_of(row).run_key in keys


@dataclass(frozen=True, slots=True)
class RunFilter:
    """All fields that are set must match; a list matches any of its members. Times are UTC and inclusive,
    durations are milliseconds. Raises InvalidArgument for too many labels or identifiers."""

    ids: tuple[RunIdentifier, ...] | None = declare(
        lambda value: [r.run_key.in_([each.key for each in value])], _one_of_runs, has_index=True
    )
    phases: tuple[ActionPhase, ...] | None = any_of(r.phase, "run.phase", can_change=True, has_index=True)
    exclude_phases: tuple[ActionPhase, ...] | None = none_of(
        r.phase, "run.phase", can_change=True, has_index=True
    )
    project: str | None = equal(r.project, "run.project")
    domain: str | None = equal(r.domain, "run.domain")
    task_name: str | None = equal(r.task_name, "run.task_name", "task")
    task_version: str | None = equal(r.task_version, "run.task_version", "version")
    function_name: str | None = equal(r.function_name, "run.function_name", "function")
    trigger_task_name: str | None = equal(r.trigger_task_name, "run.trigger_task_name", "trigger task")
    trigger_name: str | None = equal(r.trigger_name, "run.trigger_name", "trigger")
    created_by_subject: str | None = equal(r.created_by_subject, _creator_subject, "subject")
    search: str | None = declare(
        run_search_conditions, run_search, can_change=True, ignores_empty=True, terms=run_search_terms
    )
    created_by: str | None = declare(
        lambda value: [or_(r.created_by_subject == value, r.created_by_name == value)],
        _created_by,
        terms=lambda value: f"creator={value}",
    )
    """The subject or the name of the creator."""
    has_task: bool | None = has_value(r.task_name, "run.task_name", "task")
    has_function: bool | None = has_value(r.function_name, "run.function_name", "function")
    sources: tuple[RunSource, ...] | None = any_of(r.source, "run.source", term="source")
    labels: tuple[LabelFilter, ...] | None = declare(
        lambda labels: [or_(false(), *map(_label_condition, labels))],
        lambda labels: lambda row: any(_has_label(row, each) for each in labels),
        terms=lambda labels: AnyOf(map(_label_term, labels)) if labels else None,
    )
    all_labels: tuple[LabelFilter, ...] | None = declare(
        lambda labels: map(_label_condition, labels),
        lambda labels: lambda row: all(_has_label(row, each) for each in labels),
        terms=lambda labels: AllOf(map(_label_term, labels)) if labels else None,
    )
    # A report of an earlier creation moves the time.
    start_date: datetime | None = at_least(r.run_time, _run_time, has_index=True)
    end_date: datetime | None = at_most(r.run_time, _run_time, has_index=True)
    min_duration_ms: int | None = declare(
        _min_duration_conditions,
        _min_duration,
        can_change=True,
        companion="min_duration_as_of",
        has_index=True,
    )
    min_duration_as_of: datetime | None = None
    """Unfinished runs match `min_duration_ms` too, if they have lasted that long at this time."""
    max_duration_ms: int | None = at_most(r.duration_ms, "run.duration_ms", has_index=True)
    has_paused_actions: bool | None = declare(
        _paused_conditions,
        lambda value: lambda row: row.has_paused_actions is value,
        can_change=True,
        has_index=True,
    )
    abort_pending: bool | None = declare(
        _abort_pending_conditions,
        lambda value: lambda row: (run_of(row).abort_state in PENDING_ABORTS) is value,
        can_change=True,
        has_index=True,
    )

    executor: str | None = declare(
        lambda value: [r.executor == value],
        lambda value: lambda row: run_of(row).executor == value,
        can_change=True,
        has_index=True,
    )
    """The executor that renewed the run's lease last."""
    silent_since: datetime | None = declare(
        lambda value: [r.ended_at.is_(None), r.last_reported_at < value],
        _silent_since,
        can_change=True,
        has_index=True,
    )
    """Unfinished runs of which nothing was reported since this time."""

    def __post_init__(self) -> None:
        count = len(self.labels or ()) + len(self.all_labels or ())
        if count > MAX_LABELS_IN_FILTER:
            raise InvalidArgument(f"a filter takes at most {MAX_LABELS_IN_FILTER} labels, not {count}")
        if self.ids is not None and len(self.ids) > MAX_RUNS_IN_FILTER:
            raise InvalidArgument(f"a filter takes at most {MAX_RUNS_IN_FILTER} ids, not {len(self.ids)}")

    @property
    def has_conditions(self) -> bool:
        """Whether any field restricts the runs: blank text and empty lists do not."""
        values = (getattr(self, name) for name in criteria(RunFilter))
        stripped = (value.strip() if isinstance(value, str) else value for value in values)
        return any(value is not None and value not in ("", ()) for value in stripped)


@dataclass(frozen=True, slots=True)
class ActionFilter:
    """All fields that are set must match; a list matches any of its members."""

    phases: tuple[ActionPhase, ...] | None = any_of(c.phase, "action.phase", can_change=True)
    exclude_phases: tuple[ActionPhase, ...] | None = none_of(c.phase, "action.phase", can_change=True)
    search: str | None = declare(
        lambda term: [contains(c.search_text, term)],
        name_search(
            lambda row: row.action.name,
            lambda row: row.action.task_name,
            lambda row: row.action.function_name,
        ),
        ignores_empty=True,
    )
    # What describes an action may end that it matches as a placeholder.
    types: tuple[ActionType, ...] | None = any_of(
        c.type, "action.type", can_change=lambda types: ActionType.TASK in types
    )
    group: str | None = equal(c.group, "action.group")
    parent_name: str | None = equal(c.parent_name, "action.parent_name", can_change=True)


def run_conditions(filter: RunFilter | None) -> list[ColumnElement[bool]]:
    """The filter as SQL, of `runs`."""
    return conditions(filter)


def candidates(database: Database, filter: RunFilter | None) -> GenerativeSelect | None:
    """The numbers of the runs that may match, by the index of terms, some perhaps twice; None if it does not
    know them."""
    wanted = terms(filter)
    if wanted is None:
        return None
    found = numbers(database, wanted)
    if filter is not None and filter.search:
        return union_all(found, runs_with_code(filter.search))
    return found


def action_conditions(filter: ActionFilter | None) -> list[ColumnElement[bool]]:
    """The filter as SQL."""
    return conditions(filter)
