"""Plans: what an executor will report of a run and when, in terms of the API.

A plan is the same whether it comes from a recording or from the demo, and whether it is played live
or written at once. All offsets are milliseconds since the run began.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from heapq import nlargest
from typing import Any

from repo.domain.identifiers import MAX_DEPENDENCIES, RunIdentifier
from repo.domain.phases import ActionPhase, CacheStatus

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Note:
    """Something that the cluster says as an action enters a phase."""

    reason: str
    message: str
    warning: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """An action enters a phase."""

    offset_ms: int
    phase: ActionPhase
    attempt: int = 1
    cache_status: CacheStatus = CacheStatus.DISABLED
    event: Json = field(default_factory=dict)
    """More fields of the event: info, cluster, logs, outputs, error."""
    notes: tuple[Note, ...] = ()
    state: str | None = None

    @property
    def rank(self) -> tuple[int, ActionPhase]:
        """Grows from step to step of one action, as the phase rules demand."""
        return self.attempt, self.phase


@dataclass(frozen=True, slots=True)
class PlannedAction:
    """An action and its steps; with the first one it is created."""

    name: str
    parent_name: str | None
    steps: tuple[Step, ...]
    fields: Json = field(default_factory=dict)
    """More fields of createAction: group, spec, labels, task, …"""
    dependencies: tuple[str, ...] = ()
    """Names of the actions that have to end before it can begin."""
    deaf_for: int = 0
    """How many requests to stop it while it is at work it does not heed."""

    def start_of(self, attempt: int) -> int | None:
        """The offset at which this attempt began to run."""
        for step in self.steps:
            if step.attempt == attempt and step.phase is ActionPhase.RUNNING:
                return step.offset_ms
        return None


@dataclass(frozen=True)
class Plan:
    """A run: its actions, the root first and every parent before its children."""

    run: RunIdentifier
    began_at: datetime
    actions: tuple[PlannedAction, ...]

    @property
    def root(self) -> PlannedAction:
        """The action that is the run itself."""
        return self.actions[0]

    @property
    def duration_ms(self) -> int:
        """From the beginning to the root's last step."""
        return self.root.steps[-1].offset_ms

    @cached_property
    def by_name(self) -> dict[str, PlannedAction]:
        """The actions by their names."""
        return {action.name: action for action in self.actions}

    def moment(self, offset_ms: int) -> datetime:
        """When something happens, if the run begins when the plan says."""
        return self.began_at + timedelta(milliseconds=offset_ms)

    def descendants(self, name: str) -> Iterator[PlannedAction]:
        """All actions below one, parents first."""
        below = {name}
        for action in self.actions:
            if action.parent_name in below:
                below.add(action.name)
                yield action

    def run_input(self) -> Json:
        """RunIdentifierInput."""
        return {"project": self.run.project, "domain": self.run.domain, "name": self.run.name}

    def id_input(self, name: str) -> Json:
        """ActionIdentifierInput."""
        return {
            "project": self.run.project,
            "domain": self.run.domain,
            "runName": self.run.name,
            "name": name,
        }

    def create_input(self, action: PlannedAction, at: datetime) -> Json:
        """CreateActionInput."""
        return {
            **action.fields,
            "id": self.id_input(action.name),
            "parentName": action.parent_name,
            "dependencies": self._told_dependencies(action),
            "createdAt": at.isoformat(),
            "phase": action.steps[0].phase.name,
            "cacheStatus": action.steps[0].cache_status.name,
        }

    def _told_dependencies(self, action: PlannedAction) -> list[str]:
        """Its dependencies; of more than the API takes those that end last, which are what it waits for."""
        names = action.dependencies
        if len(names) <= MAX_DEPENDENCIES:
            return list(names)
        last = nlargest(MAX_DEPENDENCIES, names, key=lambda name: self.by_name[name].steps[-1].offset_ms)
        told = set(last)
        return [name for name in names if name in told]

    def event_input(self, action: PlannedAction, step: Step, at: datetime) -> Json:
        """ActionEventInput."""
        document = {
            **step.event,
            "action": self.id_input(action.name),
            "attempt": step.attempt,
            "phase": step.phase.name,
            "occurredAt": at.isoformat(),
        }
        if step.cache_status is not CacheStatus.DISABLED:
            document["cacheStatus"] = step.cache_status.name
        if step.notes:
            document["clusterEvents"] = [
                {
                    "occurredAt": at.isoformat(),
                    "reason": note.reason,
                    "message": note.message,
                    "warning": note.warning,
                }
                for note in step.notes
            ]
        return document

    def phase_input(
        self, action: PlannedAction, step: Step, started_at: datetime | None, ended_at: datetime | None
    ) -> Json:
        """UpdateActionPhaseInput."""
        return {
            "id": self.id_input(action.name),
            "phase": step.phase.name,
            "attempts": step.attempt,
            "cacheStatus": step.cache_status.name,
            "startTime": started_at and started_at.isoformat(),
            "endTime": ended_at.isoformat() if ended_at and step.phase.is_terminal else None,
        }

    def final_input(self, action: PlannedAction) -> Json:
        """UpdateActionPhaseInput for where the plan leaves an action, at the planned times."""
        last = action.steps[-1]
        start = action.start_of(last.attempt)
        started_at = None if start is None else self.moment(start)
        return self.phase_input(action, last, started_at, self.moment(last.offset_ms))
