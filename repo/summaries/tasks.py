"""Owns what many runs come to together: summed up by what they execute, and counted by when they began."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Integer,
    Select,
    and_,
    bindparam,
    case,
    cast,
    column,
    func,
    literal_column,
    select,
    table,
    values,
)

from repo.actions.filters import RunFilter, run_conditions
from repo.actions.lists import in_scopes
from repo.actions.rows import RUNS, Attributes
from repo.domain.authorization import Access
from repo.domain.errors import InvalidArgument
from repo.domain.models import PhaseCount, Run
from repo.domain.pages import Page, PageRequest
from repo.domain.phases import ActionPhase
from repo.sql.database import Database
from repo.sql.functions import constant
from repo.sql.paging import Keyset, fetch_page
from repo.sql.statements import ResultSet
from repo.sql.types import CodePoints, FreeText, Name, UtcDateTime
from repo.summaries import histogram
from repo.summaries.histogram import RunHistogramBucket
from repo.tables import actions

MAX_RECENT_RUNS = 50
"""The most runs that are listed of each task."""

_PHASES = sorted(ActionPhase)
_FAILED = frozenset({ActionPhase.FAILED, ActionPhase.TIMED_OUT})

c = actions.c


@dataclass(frozen=True, slots=True)
class TaskKey:
    """What some runs have in common: the task, or the function where they name no task, or neither."""

    project: str
    domain: str
    task_name: str | None
    function_name: str | None


@dataclass(frozen=True, slots=True)
class Durations:
    """How long the runs of a task took that succeeded, by nearest rank; None where there are none."""

    p50_ms: int | None = None
    p95_ms: int | None = None


@dataclass(frozen=True, slots=True)
class TaskSummary:
    """The runs of a task that match a filter."""

    project: str
    domain: str
    task_name: str | None
    function_name: str | None
    wanted: RunFilter | None
    """The filter."""
    phase_counts: list[PhaseCount]
    last_created_at: datetime

    @property
    def key(self) -> TaskKey:
        """What the runs have in common."""
        return TaskKey(self.project, self.domain, self.task_name, self.function_name)

    @property
    def runs(self) -> int:
        """How many they are."""
        return sum(each.count for each in self.phase_counts)

    @property
    def ended(self) -> int:
        """How many of them have ended, aborted ones included."""
        return sum(each.count for each in self.phase_counts if each.phase.is_terminal)

    @property
    def failed(self) -> int:
        """How many of them have failed or timed out."""
        return sum(each.count for each in self.phase_counts if each.phase in _FAILED)

    @property
    def failure_rate(self) -> float | None:
        """The failed ones by those that have ended; None where none has."""
        return self.failed / self.ended if self.ended else None


# A run that names a task counts for the task alone, whichever function it names.
_function_name = case((c.task_name.is_(None), c.function_name)).label("function_name")

_task = table(
    "task",
    column("project", Name),
    column("domain", Name),
    column("task_name", FreeText),
    column("function_name", FreeText),
    column("last_created_at", UtcDateTime),
    column("name", CodePoints),
    column("kind", Integer),
    *(column(f"phase_{phase.value}", BigInteger) for phase in _PHASES),
)
_order_of_tasks = Keyset(
    "LAST_CREATED_AT",
    _task.c.last_created_at,
    True,
    (_task.c.project, _task.c.domain, _task.c.name, _task.c.kind),
    ties_descending=False,
)
"""The newest run first, then by name: which a task and a function may have in common."""


class Summaries:
    """Aggregates of the runs that a caller may read: each is one statement, and reads all runs that match."""

    def __init__(self, database: Database, access: Access) -> None:
        self._database = database
        self._access = access

    async def list_tasks(
        self, wanted: RunFilter | None = None, page: PageRequest = PageRequest()
    ) -> Page[TaskSummary]:
        """A page of what the runs that match execute, the one with the newest run first. Raises
        InvalidCursor."""
        return await fetch_page(
            self._database,
            ("list of tasks", wanted, self._access.readable),
            lambda: select(*_task.c).add_cte(_tasks(self._matching(wanted))),
            _order_of_tasks,
            page,
            lambda found: [_summary(row, wanted) for row in found.decoded()],
        )

    async def count_tasks(self, wanted: RunFilter | None = None) -> int:
        """How many summaries list_tasks has."""

        def statement() -> Select[Any]:
            named = select(c.project, c.domain, c.task_name, _function_name).distinct()
            return select(func.count()).select_from(named.where(*self._matching(wanted)).subquery())

        found = await self._database.fetch(("count of tasks", wanted, self._access.readable), statement, {})
        ((count,),) = found.decoded()
        return int(count)

    async def list_durations(
        self, keys: Collection[TaskKey], wanted: RunFilter | None = None
    ) -> dict[TaskKey, Durations]:
        """How long the runs of each task took that match and succeeded."""
        tasks = list(dict.fromkeys(keys))
        if not tasks:
            return {}

        def statement() -> Select[Any]:
            given = _given(len(tasks))
            rank = func.row_number().over(partition_by=given.c.number, order_by=c.duration_ms)
            runs = func.count().over(partition_by=given.c.number)
            matching = (*self._matching(wanted), constant(c.phase, ActionPhase.SUCCEEDED))
            ranked = (
                select(given.c.number, c.duration_ms, rank.label("rank"), runs.label("runs"))
                .join_from(given, actions, _are_of(given))
                .where(*matching)
                .subquery()
            )
            # The nearest rank is the first that is not below so many percent of them.
            of = ranked.c
            nearest = (
                func.min(case((of.rank * 100 >= of.runs * percent, of.duration_ms))) for percent in (50, 95)
            )
            return select(of.number, *nearest).group_by(of.number)

        key = "durations of tasks", len(tasks), wanted, self._access.readable
        found = await self._database.fetch(key, statement, _values(tasks))
        durations = {tasks[number]: Durations(*rest) for number, *rest in found.decoded()}
        return {task: durations.get(task, Durations()) for task in tasks}

    async def list_recent_runs(
        self,
        keys: Collection[TaskKey],
        wanted: RunFilter | None = None,
        first: int = 20,
        attributes: Attributes = None,
    ) -> dict[TaskKey, Sequence[Run]]:
        """The newest runs of each task that match, so many of each; of which only these attributes are read,
        or all. Raises InvalidArgument."""
        if not 0 <= first <= MAX_RECENT_RUNS:
            raise InvalidArgument(f"first must be between 0 and {MAX_RECENT_RUNS}, not {first}")
        tasks, names = list(dict.fromkeys(keys)), RUNS.names(attributes)
        if not tasks:
            return {}

        def statement() -> Select[Any]:
            given = _given(len(tasks))
            newest_first = (c.created_at.desc(), c.key.desc())
            rank = func.row_number().over(partition_by=given.c.number, order_by=newest_first)
            # Keys are sorted, not whole rows.
            ranked = (
                select(c.key, given.c.number, rank.label("rank"))
                .join_from(given, actions, _are_of(given))
                .where(*self._matching(wanted))
                .subquery()
            )
            found = select(*RUNS.select(names), ranked.c.number).join_from(
                ranked, actions, c.key == ranked.c.key
            )
            return found.where(ranked.c.rank <= bindparam("first", type_=BigInteger)).order_by(ranked.c.rank)

        key = "runs of tasks", len(tasks), names, wanted, self._access.readable
        found = await self._database.fetch(key, statement, {**_values(tasks), "first": first})
        rows: list[list[Sequence[Any]]] = [[] for _ in tasks]
        for row in found.raw:
            rows[row[-1]].append(row)
        return {
            task: ResultSet(found.prepared, of_it).rows(Run, names)
            for task, of_it in zip(tasks, rows, strict=True)
        }

    async def list_histogram(
        self, start_date: datetime, end_date: datetime, buckets: int, wanted: RunFilter | None = None
    ) -> list[RunHistogramBucket]:
        """How many runs that match began in each of so many equal parts from one date to just before the
        other, oldest first. Raises InvalidArgument."""
        return await histogram.count_runs(
            self._database, start_date, end_date, buckets, wanted, self._access.readable
        )

    def _matching(self, wanted: RunFilter | None) -> list[ColumnElement[bool]]:
        """The conditions of a filter of runs, of those that may be seen."""
        return [*in_scopes(self._access.readable), *run_conditions(wanted)]


def _tasks(matching: Sequence[ColumnElement[bool]]) -> CTE:
    """The table `_task` of the runs that match. Many rows are counted by few columns; what is left is counted
    again, by task."""
    by = (c.project, c.domain, c.task_name, _function_name, c.phase)
    runs, last = func.count().label("runs"), func.max(c.created_at).label("last_created_at")
    counted = select(*by, runs, last).where(*matching).group_by(*by).subquery().c
    kind = case(
        (counted.task_name.is_not(None), literal_column("0")),
        (counted.function_name.is_not(None), literal_column("1")),
        else_=literal_column("2"),
    )
    name = func.coalesce(counted.task_name, counted.function_name, literal_column("''"))
    in_phase = (
        func.sum(case((constant(counted.phase, phase), counted.runs), else_=literal_column("0")))
        for phase in _PHASES
    )
    task = (counted.project, counted.domain, counted.task_name, counted.function_name)
    made = (func.max(counted.last_created_at), cast(name, CodePoints), kind)
    numbers = (cast(count, BigInteger) for count in in_phase)
    named = zip(_task.c, (*task, *made, *numbers), strict=True)
    return select(*(value.label(as_.name) for as_, value in named)).group_by(*task).cte("task")


def _summary(row: Sequence[Any], wanted: RunFilter | None) -> TaskSummary:
    project, domain, task_name, function_name, last_created_at, _, _, *counts = row[: len(_task.c)]
    phases = zip(_PHASES, counts, strict=True)
    phase_counts = [PhaseCount(phase, count) for phase, count in phases if count]
    return TaskSummary(project, domain, task_name, function_name, wanted, phase_counts, last_created_at)


def _given(count: int) -> CTE:
    """So many tasks as a table, each with its number; their names are parameters."""
    columns: Sequence[Any] = (
        column("number", Integer),
        column("project", Name),
        column("domain", Name),
        column("executed", FreeText),
    )
    rows = [
        tuple(bindparam(f"{each.name}_of_{i}", type_=each.type) for each in columns) for i in range(count)
    ]
    return values(*columns, name="given").data(rows).cte("given")


def _values(tasks: Sequence[TaskKey]) -> dict[str, Any]:
    """What the parameters of `_given` are."""
    found: dict[str, Any] = {}
    for number, task in enumerate(tasks):
        if task.task_name is not None:
            executed = f"task {task.task_name}"
        else:
            executed = "" if task.function_name is None else f"function {task.function_name}"
        given = {"number": number, "project": task.project, "domain": task.domain, "executed": executed}
        found |= {f"{name}_of_{number}": value for name, value in given.items()}
    return found


def _are_of(given: CTE) -> ColumnElement[bool]:
    """The runs are of a task that is given. What they execute is one expression: of two, a planner takes it
    that next to no run matches both."""
    executed = func.coalesce(
        literal_column("'task '", FreeText) + c.task_name,
        literal_column("'function '", FreeText) + c.function_name,
        literal_column("''", FreeText),
    )
    return and_(c.project == given.c.project, c.domain == given.c.domain, executed == given.c.executed)
