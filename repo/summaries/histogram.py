"""Owns how many runs began when: counts by phase in equal parts of a time."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, bindparam, func, select

from repo.actions.filters import RunFilter, run_conditions
from repo.actions.lists import in_scopes
from repo.domain.authorization import Scopes
from repo.domain.errors import InvalidArgument
from repo.domain.models import PhaseCount
from repo.domain.phases import ActionPhase
from repo.sql.database import Database
from repo.sql.functions import time_bucket
from repo.sql.types import Duration, UtcDateTime
from repo.tables import actions, run_time

MAX_BUCKETS = 500
"""The most parts that a histogram has."""


@dataclass(frozen=True, slots=True)
class RunHistogramBucket:
    """How many runs began from one moment to just before another, by their phase now."""

    start_date: datetime
    end_date: datetime
    phase_counts: list[PhaseCount]


async def count_runs(
    database: Database,
    start_date: datetime,
    end_date: datetime,
    buckets: int,
    wanted: RunFilter | None,
    scopes: Scopes,
) -> list[RunHistogramBucket]:
    """How many runs in these scopes that match began in each part, oldest first. The parts are equal to
    the microsecond: the last one has what is over. Raises InvalidArgument."""
    if not 1 <= buckets <= MAX_BUCKETS:
        raise InvalidArgument(f"buckets must be between 1 and {MAX_BUCKETS}, not {buckets}")
    if end_date <= start_date:
        raise InvalidArgument("endDate must be after startDate")
    length = (end_date - start_date) // buckets
    if not length:
        raise InvalidArgument(f"from startDate to endDate are not even {buckets} microseconds")

    def statement() -> Select[Any]:
        start, end = (bindparam(name, type_=UtcDateTime) for name in ("start", "end"))
        part = time_bucket(run_time, start, bindparam("length", type_=Duration))
        then = (run_time >= start, run_time < end)
        began = select(part.label("part"), actions.c.phase)
        began_in = began.where(*in_scopes(scopes), *run_conditions(wanted), *then).subquery()
        # In no order: many rows are counted as they come, and none is sorted.
        return select(began_in.c.part, began_in.c.phase, func.count()).group_by(*began_in.c)

    given = {"start": start_date, "end": end_date, "length": length}
    found = await database.fetch(("run histogram", wanted, scopes), statement, given)
    counts: list[dict[ActionPhase, int]] = [{} for _ in range(buckets)]
    for part, phase, count in found.decoded():
        counted = counts[min((part - start_date) // length, buckets - 1)]
        counted[phase] = counted.get(phase, 0) + count
    starts = [start_date + length * number for number in range(buckets)]
    return [
        RunHistogramBucket(start, end, [PhaseCount(*each) for each in sorted(counted.items())])
        for start, end, counted in zip(starts, (*starts[1:], end_date), counts, strict=True)
    ]
