"""The objects of the API, with the names of schema.graphql, which describes each field. Times are in UTC."""

# Annotations are evaluated, also by Python 3.9: see decoding.

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Optional

from .enums import ActionPhase, ActionType, ArtifactKind, CacheStatus, LogLevel, RunSource
from .values import (
    Abort,
    ActionError,
    ActionIdentifier,
    Identity,
    Label,
    Metric,
    PhaseCount,
    Progress,
    RunIdentifier,
    TaskIdentifier,
    TriggerIdentifier,
)


@dataclass(frozen=True)
class Run:
    """A run."""

    id: str
    project: str
    domain: str
    name: str
    phase: ActionPhase
    source: Optional[RunSource]
    labels: tuple[Label, ...]
    task: Optional[TaskIdentifier]
    task_type: Optional[str]
    function_name: Optional[str]
    environment_name: Optional[str]
    trigger: Optional[TriggerIdentifier]
    created_by: Optional[Identity]
    abort: Optional[Abort]
    error: Optional[ActionError]
    attempts: int
    cache_status: CacheStatus
    created_at: datetime
    triggered_at: Optional[datetime]
    started_at: Optional[datetime]
    ended_at: Optional[datetime]
    updated_at: datetime
    duration_ms: Optional[int]
    revision: int
    executor: Optional[str]
    lease_expires_at: Optional[datetime]
    last_reported_at: Optional[datetime]
    phase_counts: tuple[PhaseCount, ...]

    @property
    def identifier(self) -> RunIdentifier:
        """What identifies it, also in another project than that of the client."""
        return RunIdentifier(self.project, self.domain, self.name)

    @property
    def has_ended(self) -> bool:
        """Whether it is in a terminal phase."""
        return self.ended_at is not None

    def label(self, key: str) -> Optional[str]:
        """The value of a label, or None."""
        return next((each.value for each in self.labels if each.key == key), None)


@dataclass(frozen=True)
class Action:
    """An action of a run."""

    id: str
    project: str
    domain: str
    run_name: str
    name: str
    parent_name: Optional[str]
    type: ActionType
    group: Optional[str]
    phase: ActionPhase
    is_lost: bool
    attempts: int
    cache_status: CacheStatus
    task: Optional[TaskIdentifier]
    task_type: Optional[str]
    function_name: Optional[str]
    environment_name: Optional[str]
    dependencies: tuple[str, ...]
    is_placeholder: bool
    progress: Optional[Progress]
    metrics: tuple[Metric, ...]
    abort: Optional[Abort]
    error: Optional[ActionError]
    created_by: Optional[Identity]
    created_at: datetime
    started_at: Optional[datetime]
    ended_at: Optional[datetime]
    updated_at: datetime
    duration_ms: Optional[int]
    revision: int

    @property
    def identifier(self) -> ActionIdentifier:
        """What identifies it."""
        return ActionIdentifier(self.project, self.domain, self.run_name, self.name)

    @property
    def has_ended(self) -> bool:
        """Whether it is in a terminal phase."""
        return self.ended_at is not None


@dataclass(frozen=True)
class LogLink:
    """A link to a log of an attempt."""

    name: str
    uri: str


@dataclass(frozen=True)
class ClusterEvent:
    """A message from the cluster about an attempt."""

    occurred_at: datetime
    message: str
    reason: Optional[str]
    warning: bool


@dataclass(frozen=True)
class ActionEvent:
    """A report of an executor about an attempt of an action."""

    id: str
    action: ActionIdentifier
    attempt: int
    phase: ActionPhase
    version: int
    occurred_at: datetime
    reported_at: Optional[datetime]
    error: Optional[ActionError]
    logs: tuple[LogLink, ...]
    outputs: Any
    cluster: Optional[str]
    cache_status: Optional[CacheStatus]
    cluster_events: tuple[ClusterEvent, ...]
    info: Any
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class LogLine:
    """A line of the log of an attempt. Numbers that are skipped are of missing lines."""

    number: int
    stream: str
    at: datetime
    level: Optional[LogLevel]
    text: str


@dataclass(frozen=True)
class Artifact:
    """What an attempt takes in or leaves behind. Its `url` is valid for a limited time."""

    attempt: int
    kind: ArtifactKind
    name: str
    media_type: str
    digest: str
    size: int
    created_at: datetime
    url: str
    json: Any
    text: Optional[str]


@dataclass(frozen=True)
class AbortRunPayload:
    """The result of aborting a run."""

    requested: bool
    run: Run


@dataclass(frozen=True)
class AbortActionPayload:
    """The result of aborting an action."""

    requested: bool
    action: Action


@dataclass(frozen=True)
class Change:
    """A change of a run's actions. Not part of the contract: it is made from frames of a subscription."""

    action: Action
    """As it is now; if it was removed, as it was last."""
    previous: Optional[Action]
    """As it was in the change before; None the first time."""
    is_removed: bool = False
    """Whether it no longer matches the filter, or was deleted."""
