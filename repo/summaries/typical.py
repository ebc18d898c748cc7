"""How long the runs of a task usually take, by its recent runs: few rows are read, however many it has."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Integer, Select, bindparam, literal_column, select, union_all

from repo.actions.lists import runs_in_scopes
from repo.domain.authorization import Scopes
from repo.domain.phases import ActionPhase
from repo.sql.database import Database
from repo.sql.types import FreeText, Name
from repo.summaries.tasks import TaskKey
from repo.tables import has_only_function, has_task, runs

RECENT_RUNS = 200
"""The newest runs of a task that are looked at."""

_AT_ONCE = 100
"""Tasks that a statement reads: SQLite limits the parts of one."""

r = runs.c


@dataclass(frozen=True, slots=True)
class TypicalDuration:
    """Percentiles (nearest rank) of the durations, creation to end, of those of a task's recent runs that
    succeeded."""

    runs: int
    """How many succeeded, at least one."""
    p50_ms: int
    p95_ms: int


def task_of(project: str, domain: str, task_name: str | None, function_name: str | None) -> TaskKey | None:
    """The group of a run, if it has a typical duration: its task, or its function if it names no task; None
    if it names neither."""
    if task_name is not None:
        return TaskKey(project, domain, task_name, None)
    return None if function_name is None else TaskKey(project, domain, None, function_name)


async def fetch_typical(
    database: Database, keys: Collection[TaskKey], scopes: Scopes
) -> dict[TaskKey, TypicalDuration]:
    """The typical durations of these tasks, of the runs in these scopes; those without a succeeded run among
    the recent ones are left out."""
    # Those with a task first: then only their numbers make another statement.
    wanted = sorted(dict.fromkeys(keys), key=lambda key: key.task_name is None)
    found: dict[TaskKey, TypicalDuration] = {}
    for start in range(0, len(wanted), _AT_ONCE):
        found |= await _fetch_some(database, wanted[start : start + _AT_ONCE], scopes)
    return found


async def _fetch_some(
    database: Database, keys: Sequence[TaskKey], scopes: Scopes
) -> dict[TaskKey, TypicalDuration]:
    with_task = sum(key.task_name is not None for key in keys)
    shape = "typical durations", with_task, len(keys) - with_task, scopes
    rows = await database.fetch(shape, lambda: _recent(with_task, len(keys), scopes), _values(keys))
    durations: list[list[int]] = [[] for _ in keys]
    for number, phase, duration in rows.decoded():
        if phase is ActionPhase.SUCCEEDED and duration is not None:
            durations[number].append(duration)
    return {
        key: TypicalDuration(len(each), nearest(each, 50), nearest(each, 95))
        for key, each in zip(keys, map(sorted, durations), strict=True)
        if each
    }


def nearest(durations: Sequence[int], percent: int) -> int:
    """The percentile of sorted numbers by the nearest rank: the first that is at least that part of them."""
    return durations[-(-len(durations) * percent // 100) - 1]


def _recent(with_task: int, count: int, scopes: Scopes) -> Select[Any]:
    """The phases and durations of the newest runs of each task, read from an index in its order."""
    parts = []
    for number in range(count):
        name, is_of_kind = (
            (r.task_name, has_task) if number < with_task else (r.function_name, has_only_function)
        )
        newest = select(literal_column(str(number), Integer).label("number"), r.phase, r.duration_ms).where(
            r.project == bindparam(f"project_of_{number}", type_=Name),
            r.domain == bindparam(f"domain_of_{number}", type_=Name),
            name == bindparam(f"name_of_{number}", type_=FreeText),
            is_of_kind,
            *runs_in_scopes(scopes),
        )
        newest = newest.order_by(r.created_at.desc()).limit(literal_column(str(RECENT_RUNS)))
        parts.append(select(newest.subquery()))
    return select(union_all(*parts).subquery())


def _values(keys: Sequence[TaskKey]) -> dict[str, Any]:
    """The values of the parameters of `_recent`."""
    values: dict[str, Any] = {}
    for number, key in enumerate(keys):
        values |= {
            f"project_of_{number}": key.project,
            f"domain_of_{number}": key.domain,
            f"name_of_{number}": key.function_name if key.task_name is None else key.task_name,
        }
    return values
