"""Aggregates of runs by task."""

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
from repo.actions.lists import runs_in_scopes
from repo.actions.rows import RUNS, Attributes
from repo.domain.authorization import Access
from repo.domain.errors import InvalidArgument
from repo.domain.models import PhaseCount, Run
from repo.domain.pages import Page, PageRequest
from repo.domain.phases import ActionPhase
from repo.sql.database import Database
from repo.sql.filters import join_list
from repo.sql.functions import constant
from repo.sql.paging import Keyset, fetch_page
from repo.sql.statements import ResultSet
from repo.sql.types import CodePoints, FreeText, Name, UtcDateTime
from repo.summaries import grid, histogram
from repo.summaries.grid import RunGrid
from repo.summaries.histogram import RunHistogramBucket
from repo.tables import actions, runs

MAX_RECENT_RUNS = 50
"""The maximum number of recent runs per task."""

_PHASES = sorted(ActionPhase)
_FAILED = frozenset({ActionPhase.FAILED, ActionPhase.TIMED_OUT})

r = runs.c


@dataclass(frozen=True, slots=True)
class TaskKey:
    """The group of a run: its task, or its function if it names no task, or neither."""

    project: str
    domain: str
    task_name: str | None
    function_name: str | None


@dataclass(frozen=True, slots=True)
class Durations:
    """Percentiles (nearest rank) of the durations of a task's succeeded runs; None without any."""

    p50_ms: int | None = None
    p95_ms: int | None = None


@dataclass(frozen=True, slots=True)
class TaskSummary(TaskKey):
    """The runs of a task that match a filter."""

    filter: RunFilter | None
    """The filter."""
    phase_counts: list[PhaseCount]
    last_created_at: datetime

    @property
    def key(self) -> TaskKey:
        """The group of the runs."""
        return TaskKey(self.project, self.domain, self.task_name, self.function_name)

    @property
    def runs(self) -> int:
        """The number of runs."""
        return sum(each.count for each in self.phase_counts)

    @property
    def ended(self) -> int:
        """The number of ended runs, aborted and skipped ones included."""
        return sum(each.count for each in self.phase_counts if each.phase.is_terminal)

    @property
    def failed(self) -> int:
        """The number of failed and timed-out runs."""
        return sum(each.count for each in self.phase_counts if each.phase in _FAILED)

    @property
    def failure_rate(self) -> float | None:
        """The fraction of ended runs that failed; None if none has ended."""
        return self.failed / self.ended if self.ended else None


# A run that names a task counts only for the task, whatever function it names.
_function_name = case((r.task_name.is_(None), r.function_name)).label("function_name")

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
"""The newest run first, then by name and kind, since a task and a function may have the same name."""


class Summaries:
    """Aggregates of the runs that a caller may read. Each is one statement that reads all matching runs."""

    def __init__(self, database: Database, access: Access) -> None:
        self._database = database
        self._access = access

    async def list_tasks(
        self, filter: RunFilter | None = None, page: PageRequest = PageRequest()
    ) -> Page[TaskSummary]:
        """A page of the tasks of the matching runs, that of the newest run first. Raises InvalidCursor."""
        return await fetch_page(
            self._database,
            ("list of tasks", filter, self._access.readable),
            lambda: select(*_task.c).add_cte(_tasks(self._matching(filter))),
            _order_of_tasks,
            page,
            lambda found: [_summary(row, filter) for row in found.decoded()],
        )

    async def count_tasks(self, filter: RunFilter | None = None) -> int:
        """The number of summaries in `list_tasks`."""

        def statement() -> Select[Any]:
            named = select(r.project, r.domain, r.task_name, _function_name).distinct()
            return select(func.count()).select_from(named.where(*self._matching(filter)).subquery())

        found = await self._database.fetch(("count of tasks", filter, self._access.readable), statement, {})
        ((count,),) = found.decoded()
        return int(count)

    async def list_durations(
        self, keys: Collection[TaskKey], filter: RunFilter | None = None
    ) -> dict[TaskKey, Durations]:
        """The durations of each task's matching runs."""
        tasks = list(dict.fromkeys(keys))
        if not tasks:
            return {}

        def statement() -> Select[Any]:
            listed = _task_table(len(tasks))
            rank = func.row_number().over(partition_by=listed.c.number, order_by=r.duration_ms)
            of_task = func.count().over(partition_by=listed.c.number)
            # Not a condition on the phase: SQLite would read by its index, and all runs.
            duration = case((constant(r.phase, ActionPhase.SUCCEEDED), r.duration_ms))
            ranked = (
                self._of_tasks(
                    listed, listed.c.number, r.duration_ms, rank.label("rank"), of_task.label("runs")
                )
                .where(*self._matching(filter), duration.is_not(None))
                .subquery()
            )
            # The nearest rank is the first that is at least that percentage of the runs.
            of = ranked.c
            nearest = (
                func.min(case((of.rank * 100 >= of.runs * percent, of.duration_ms))) for percent in (50, 95)
            )
            return select(of.number, *nearest).group_by(of.number)

        key = "durations of tasks", len(tasks), filter, self._access.readable
        found = await self._database.fetch(key, statement, _task_values(tasks))
        durations = {tasks[number]: Durations(*rest) for number, *rest in found.decoded()}
        return {task: durations.get(task, Durations()) for task in tasks}

    async def list_recent_runs(
        self,
        keys: Collection[TaskKey],
        filter: RunFilter | None = None,
        first: int = 20,
        attributes: Attributes = None,
    ) -> dict[TaskKey, Sequence[Run]]:
        """The `first` newest matching runs of each task, with these attributes or all. Raises
        InvalidArgument."""
        if not 0 <= first <= MAX_RECENT_RUNS:
            raise InvalidArgument(f"first must be between 0 and {MAX_RECENT_RUNS}, not {first}")
        tasks, names = list(dict.fromkeys(keys)), RUNS.names(attributes)
        if not tasks:
            return {}

        def statement() -> Select[Any]:
            listed = _task_table(len(tasks))
            newest_first = (r.created_at.desc(), r.key.desc())
            rank = func.row_number().over(partition_by=listed.c.number, order_by=newest_first)
            # Sorts keys instead of whole rows.
            ranked = (
                self._of_tasks(listed, r.key, listed.c.number, rank.label("rank"))
                .where(*self._matching(filter))
                .subquery()
            )
            found = select(*RUNS.select(names), ranked.c.number).join_from(
                ranked, actions, actions.c.key == ranked.c.key
            )
            return found.where(ranked.c.rank <= bindparam("first", type_=BigInteger)).order_by(ranked.c.rank)

        key = "runs of tasks", len(tasks), names, filter, self._access.readable
        found = await self._database.fetch(key, statement, {**_task_values(tasks), "first": first})
        rows: list[list[Sequence[Any]]] = [[] for _ in tasks]
        for row in found.raw:
            rows[row[-1]].append(row)
        return {
            task: ResultSet(found.prepared, of_it).rows(Run, names)
            for task, of_it in zip(tasks, rows, strict=True)
        }

    async def list_histogram(
        self, start_date: datetime, end_date: datetime, buckets: int, filter: RunFilter | None = None
    ) -> list[RunHistogramBucket]:
        """The histogram of the matching runs between two dates, the end exclusive, oldest bucket first.
        Raises InvalidArgument."""
        return await histogram.fetch_histogram(
            self._database, start_date, end_date, buckets, filter, self._access.readable
        )

    async def get_grid(
        self,
        filter: RunFilter | None = None,
        runs: int = 30,
        first: int = 200,
        attributes: Attributes = None,
    ) -> RunGrid:
        """The newest matching runs side by side with their actions; see `repo.summaries.grid`. Raises
        InvalidArgument."""
        return await grid.fetch_grid(self._database, filter, self._access.readable, runs, first, attributes)

    def _matching(self, filter: RunFilter | None) -> list[ColumnElement[bool]]:
        """The filter as SQL, for runs that the caller may read."""
        return [*runs_in_scopes(self._access.readable), *run_conditions(filter)]

    def _of_tasks(self, listed: CTE, *columns: ColumnElement[Any]) -> Select[Any]:
        """The runs of the tasks in the table. Task and function are one expression: for two conditions a
        planner would expect almost no matches."""
        executed = func.coalesce(
            literal_column("'task '", FreeText) + r.task_name,
            literal_column("'function '", FreeText) + r.function_name,
            literal_column("''", FreeText),
        )
        same = and_(r.project == listed.c.project, r.domain == listed.c.domain, executed == listed.c.executed)
        return join_list(self._database, select(*columns), runs, listed, same, listed.c.number)


def _tasks(matching: Sequence[ColumnElement[bool]]) -> CTE:
    """The table `_task` of the matching runs. Grouped twice: first many rows by few columns, then the result
    by task."""
    by = (r.project, r.domain, r.task_name, _function_name, r.phase)
    # OFFSET keeps SQLite from an index of the groups, by which it would read all runs.
    found = select(*by, r.created_at).where(*matching).offset(literal_column("0")).subquery()
    *by_found, created_at = found.c
    count, last = func.count().label("runs"), func.max(created_at).label("last_created_at")
    counted = select(*by_found, count, last).group_by(*by_found).subquery().c
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


def _summary(row: Sequence[Any], filter: RunFilter | None) -> TaskSummary:
    project, domain, task_name, function_name, last_created_at, _, _, *counts = row[: len(_task.c)]
    phases = zip(_PHASES, counts, strict=True)
    phase_counts = [PhaseCount(phase, count) for phase, count in phases if count]
    return TaskSummary(project, domain, task_name, function_name, filter, phase_counts, last_created_at)


def _task_table(count: int) -> CTE:
    """A table of `count` tasks with their numbers; the names are parameters."""
    columns: Sequence[Any] = (
        column("number", Integer),
        column("project", Name),
        column("domain", Name),
        column("executed", FreeText),
    )
    rows = [
        tuple(bindparam(f"{each.name}_of_{i}", type_=each.type) for each in columns) for i in range(count)
    ]
    return values(*columns, name="listed").data(rows).cte("listed")


def _task_values(tasks: Sequence[TaskKey]) -> dict[str, Any]:
    """The values of the parameters of `_task_table`."""
    found: dict[str, Any] = {}
    for number, task in enumerate(tasks):
        if task.task_name is not None:
            executed = f"task {task.task_name}"
        else:
            executed = "" if task.function_name is None else f"function {task.function_name}"
        listed = {"number": number, "project": task.project, "domain": task.domain, "executed": executed}
        found |= {f"{name}_of_{number}": value for name, value in listed.items()}
    return found
