"""A histogram of runs: counts by phase in equal intervals of time."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, bindparam, func, select

from repo.actions.filters import RunFilter, run_conditions
from repo.actions.lists import runs_in_scopes
from repo.domain.authorization import Scopes
from repo.domain.errors import InvalidArgument
from repo.domain.models import PhaseCount
from repo.domain.phases import ActionPhase
from repo.sql.database import Database
from repo.sql.functions import time_bucket
from repo.sql.types import Duration, UtcDateTime
from repo.tables import runs

MAX_BUCKETS = 500
"""The maximum number of buckets."""


@dataclass(frozen=True, slots=True)
class RunHistogramBucket:
    """The number of runs that began within an interval, by their current phase; the end is exclusive."""

    start_date: datetime
    end_date: datetime
    phase_counts: list[PhaseCount]


async def fetch_histogram(
    database: Database,
    start_date: datetime,
    end_date: datetime,
    buckets: int,
    filter: RunFilter | None,
    scopes: Scopes,
) -> list[RunHistogramBucket]:
    """The histogram of the matching runs in these scopes, oldest bucket first. Buckets are equal to the
    microsecond; the last one gets the remainder. Raises InvalidArgument."""
    if not 1 <= buckets <= MAX_BUCKETS:
        raise InvalidArgument(f"buckets must be between 1 and {MAX_BUCKETS}, not {buckets}")
    if end_date <= start_date:
        raise InvalidArgument("endDate must be after startDate")
    length = (end_date - start_date) // buckets
    if not length:
        raise InvalidArgument(
            f"from startDate to endDate must be at least {buckets} microseconds, one a bucket"
        )

    def statement() -> Select[Any]:
        start, end = (bindparam(name, type_=UtcDateTime) for name in ("start", "end"))
        part = time_bucket(runs.c.run_time, start, bindparam("length", type_=Duration))
        within = (runs.c.run_time >= start, runs.c.run_time < end)
        began = select(part.label("part"), runs.c.phase)
        began_in = began.where(*runs_in_scopes(scopes), *run_conditions(filter), *within).subquery()
        # Without ORDER BY: the rows are counted by hash, not sorted.
        return select(began_in.c.part, began_in.c.phase, func.count()).group_by(*began_in.c)

    values = {"start": start_date, "end": end_date, "length": length}
    found = await database.fetch(("run histogram", filter, scopes), statement, values)
    counts: list[dict[ActionPhase, int]] = [{} for _ in range(buckets)]
    for part, phase, count in found.decoded():
        counted = counts[min((part - start_date) // length, buckets - 1)]
        counted[phase] = counted.get(phase, 0) + count
    starts = [start_date + length * number for number in range(buckets)]
    return [
        RunHistogramBucket(start, end, [PhaseCount(*each) for each in sorted(counted.items())])
        for start, end, counted in zip(starts, (*starts[1:], end_date), counts, strict=True)
    ]
