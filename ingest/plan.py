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
class ClusterEvent:
    """An event of the cluster, reported with the step of an action."""

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
    """Other fields of the event: info, cluster, logs, outputs, error."""
    cluster_events: tuple[ClusterEvent, ...] = ()
    state: str | None = None

    @property
    def rank(self) -> tuple[int, ActionPhase]:
        """Increases from step to step of an action, as the phase rules require."""
        return self.attempt, self.phase


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a log."""

    offset_ms: int
    text: str
    stream: str = "stdout"
    level: str | None = None


@dataclass(frozen=True, slots=True)
class PlannedAction:
    """An action and its steps; it is created with the first one."""

    name: str
    parent_name: str | None
    steps: tuple[Step, ...]
    fields: Json = field(default_factory=dict)
    """Other fields of createAction: group, spec, labels, task, …"""
    dependencies: tuple[str, ...] = ()
    """The names of the actions that must end before it can begin."""
    ignored_aborts: int = 0
    """The number of abort requests that it ignores while it runs."""
    lines: tuple[Line, ...] = ()
    """The log of its last attempt."""
    artifacts: tuple[Json, ...] = ()
    """The artifacts of its last attempt, without what names the attempt: fields of storeArtifact."""

    def start_of(self, attempt: int) -> int | None:
        """The offset at which this attempt started to run; None if it did not."""
        for step in self.steps:
            if step.attempt == attempt and step.phase is ActionPhase.RUNNING:
                return step.offset_ms
        return None


@dataclass(frozen=True)
class Plan:
    """A run and its actions: the root first, and every parent before its children."""

    run: RunIdentifier
    began_at: datetime
    actions: tuple[PlannedAction, ...]

    @property
    def root(self) -> PlannedAction:
        """The root action."""
        return self.actions[0]

    @property
    def duration_ms(self) -> int:
        """From the beginning to the root's last step, in milliseconds."""
        return self.root.steps[-1].offset_ms

    @cached_property
    def by_name(self) -> dict[str, PlannedAction]:
        """The actions by their names."""
        return {action.name: action for action in self.actions}

    def time_at(self, offset_ms: int) -> datetime:
        """The planned time of an offset."""
        return self.began_at + timedelta(milliseconds=offset_ms)

    def descendants(self, name: str) -> Iterator[PlannedAction]:
        """All descendants of an action, parents first."""
        below = {name}
        for action in self.actions:
            if action.parent_name in below:
                below.add(action.name)
                yield action

    def run_input(self) -> Json:
        """The RunIdentifierInput of the run."""
        return {"project": self.run.project, "domain": self.run.domain, "name": self.run.name}

    def id_input(self, name: str) -> Json:
        """The ActionIdentifierInput of an action."""
        return {
            "project": self.run.project,
            "domain": self.run.domain,
            "runName": self.run.name,
            "name": name,
        }

    def create_input(self, action: PlannedAction, at: datetime) -> Json:
        """The CreateActionInput of an action."""
        return {
            **action.fields,
            "id": self.id_input(action.name),
            "parentName": action.parent_name,
            "dependencies": self._reported_dependencies(action),
            "createdAt": at.isoformat(),
            "phase": action.steps[0].phase.name,
            "cacheStatus": action.steps[0].cache_status.name,
        }

    def _reported_dependencies(self, action: PlannedAction) -> list[str]:
        """Its dependencies. Of more than the API accepts, those that end last: they determine its start."""
        names = action.dependencies
        if len(names) <= MAX_DEPENDENCIES:
            return list(names)
        last = nlargest(MAX_DEPENDENCIES, names, key=lambda name: self.by_name[name].steps[-1].offset_ms)
        reported = set(last)
        return [name for name in names if name in reported]

    def event_input(self, action: PlannedAction, step: Step, at: datetime) -> Json:
        """The ActionEventInput of a step."""
        document = {
            **step.event,
            "action": self.id_input(action.name),
            "attempt": step.attempt,
            "phase": step.phase.name,
            "occurredAt": at.isoformat(),
        }
        if step.cache_status is not CacheStatus.DISABLED:
            document["cacheStatus"] = step.cache_status.name
        if step.cluster_events:
            document["clusterEvents"] = [
                {
                    "occurredAt": at.isoformat(),
                    "reason": cluster_event.reason,
                    "message": cluster_event.message,
                    "warning": cluster_event.warning,
                }
                for cluster_event in step.cluster_events
            ]
        return document

    def phase_input(
        self, action: PlannedAction, step: Step, started_at: datetime | None, ended_at: datetime | None
    ) -> Json:
        """The UpdateActionPhaseInput of a step."""
        return {
            "id": self.id_input(action.name),
            "phase": step.phase.name,
            "attempts": step.attempt,
            "cacheStatus": step.cache_status.name,
            "startTime": started_at and started_at.isoformat(),
            "endTime": ended_at.isoformat() if ended_at and step.phase.is_terminal else None,
        }

    def final_input(self, action: PlannedAction) -> Json:
        """The UpdateActionPhaseInput of an action's last step, with the planned times."""
        last = action.steps[-1]
        start = action.start_of(last.attempt)
        started_at = None if start is None else self.time_at(start)
        return self.phase_input(action, last, started_at, self.time_at(last.offset_ms))
