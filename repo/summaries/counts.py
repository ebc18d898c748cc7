"""Counts of runs by project or by creator."""

from dataclasses import dataclass
from enum import Enum
from typing import Any

from sqlalchemy import Select, func, literal_column, select

from repo.actions.filters import RunFilter
from repo.actions.run_pages import matching_runs
from repo.domain.authorization import Scopes
from repo.domain.errors import InvalidArgument
from repo.domain.models import PhaseCount
from repo.domain.pages import MAX_PAGE
from repo.domain.phases import ActionPhase
from repo.sql.database import Database
from repo.tables import runs

r = runs.c


class RunGrouping(Enum):
    """What runs are counted by."""

    PROJECT = "project"
    CREATOR = "created_by_subject"


@dataclass(frozen=True, slots=True)
class RunCount:
    """The matching runs of a project or of a creator, by phase."""

    project: str | None
    """The project; None if they are counted by creator."""
    created_by_subject: str | None
    """The creator; None if they are counted by project, or name no creator."""
    created_by_name: str | None
    """A name of the creator, if any of the runs has one."""
    phase_counts: list[PhaseCount]

    @property
    def runs(self) -> int:
        """The number of runs."""
        return sum(each.count for each in self.phase_counts)


async def fetch_counts(
    database: Database, by: RunGrouping, filter: RunFilter | None, scopes: Scopes, first: int
) -> list[RunCount]:
    """The `first` groups of the matching runs in these scopes, that with the most runs first. Reads all that
    match. Raises InvalidArgument."""
    if not 0 <= first <= MAX_PAGE:
        raise InvalidArgument(f"first must be between 0 and {MAX_PAGE}, not {first}")

    def statement() -> Select[Any]:
        matching = matching_runs(database, filter, scopes, r[by.value], r.created_by_name, r.phase)
        # OFFSET keeps SQLite from an index of the groups, by which it would read all runs.
        group, name, phase = matching.offset(literal_column("0")).subquery().c
        return select(group, phase, func.count(), func.max(name)).group_by(group, phase)

    found = await database.fetch(("counts of runs", by, filter, scopes), statement, {})
    counts: dict[str | None, dict[ActionPhase, int]] = {}
    names: dict[str | None, str] = {}
    for group, phase, count, name in found.decoded():
        counts.setdefault(group, {})[phase] = count
        if name is not None:
            names[group] = max(name, names.get(group, name))
    is_project = by is RunGrouping.PROJECT
    made = [
        RunCount(
            project=group if is_project else None,
            created_by_subject=None if is_project else group,
            created_by_name=None if is_project else names.get(group),
            phase_counts=[PhaseCount(*each) for each in sorted(counted.items())],
        )
        for group, counted in counts.items()
    ]
    made.sort(key=lambda each: (-each.runs, each.project or each.created_by_subject or ""))
    return made[:first]
