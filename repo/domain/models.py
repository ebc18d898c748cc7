"""The objects of the repository: runs, actions, events and their values.

All times are aware and in UTC. All durations are milliseconds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from math import isfinite
from typing import Any, NamedTuple

from repo.domain.errors import InvalidArgument
from repo.domain.identifiers import ActionIdentifier, RunIdentifier
from repo.domain.phases import (
    AbortState,
    ActionPhase,
    ActionType,
    CacheStatus,
    ErrorKind,
    IdentityKind,
    RunSource,
)


@dataclass(frozen=True, slots=True)
class TaskIdentifier:
    """The version of a task that an action executes."""

    project: str
    domain: str
    name: str
    version: str


@dataclass(frozen=True, slots=True)
class TriggerIdentifier:
    """The trigger that started a run."""

    task_name: str
    name: str
    revision: int | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """A person or a program."""

    kind: IdentityKind
    subject: str
    name: str | None = None
    email: str | None = None


@dataclass(frozen=True, slots=True)
class Label:
    """A label of a run."""

    key: str
    value: str


@dataclass(frozen=True, slots=True)
class ActionError:
    """Why an attempt did not succeed."""

    kind: ErrorKind
    message: str
    code: str | None = None


@dataclass(frozen=True, slots=True)
class LogLink:
    """A link to a log of an attempt."""

    name: str
    uri: str


@dataclass(frozen=True, slots=True)
class ClusterEvent:
    """A message from the cluster about an attempt."""

    occurred_at: datetime
    message: str
    reason: str | None = None
    warning: bool = False


@dataclass(frozen=True, slots=True)
class PhaseCount:
    """The number of actions in a phase."""

    phase: ActionPhase
    count: int


@dataclass(frozen=True, slots=True)
class Abort:
    """An abort request: requester, reason and progress."""

    state: AbortState
    reason: str | None
    requested_by: Identity | None
    requested_at: datetime
    attempt_count: int
    next_attempt_at: datetime | None
    last_error: str | None
    confirmed_at: datetime | None


@dataclass(frozen=True, slots=True)
class AbortProgress:
    """The progress of a bulk abort."""

    requested: int
    pending: int
    """Not confirmed yet."""
    confirmed: int
    failed: int
    """Failed after the last attempt."""


@dataclass(frozen=True, slots=True)
class AbortMetrics:
    """Metrics of pending aborts."""

    pending: int
    oldest_requested_at: datetime | None


def identity_from_json(document: Mapping[str, Any] | None) -> Identity | None:
    """Parses an identity from JSON."""
    if document is None:
        return None
    return Identity(
        IdentityKind[document["kind"]], document["subject"], document.get("name"), document.get("email")
    )


def identity_to_json(identity: Identity | None) -> dict[str, Any] | None:
    """The JSON that `identity_from_json` parses."""
    if identity is None:
        return None
    return {
        "kind": identity.kind.name,
        "subject": identity.subject,
        "name": identity.name,
        "email": identity.email,
    }


def error_from_json(document: Mapping[str, Any] | None) -> ActionError | None:
    """Parses an error from JSON."""
    if document is None:
        return None
    return ActionError(ErrorKind[document["kind"]], document["message"], document.get("code"))


def error_to_json(error: ActionError | None) -> dict[str, Any] | None:
    """The JSON that `error_from_json` parses."""
    if error is None:
        return None
    return {"kind": error.kind.name, "message": error.message, "code": error.code}


def check_number(value: float | None, what: str) -> None:
    """Raises InvalidArgument for a number that is not finite."""
    if value is not None and not isfinite(value):
        raise InvalidArgument(f"{what} must be a finite number, not {value}")


@dataclass(frozen=True, slots=True)
class Progress:
    """How much of an action is done."""

    done: float
    total: float | None
    message: str | None
    reported_at: datetime

    def __post_init__(self) -> None:
        check_number(self.done, "progress.done")
        check_number(self.total, "progress.total")

    def check(self) -> None:
        """Raises InvalidArgument for a negative number. Not at construction, since one may be stored."""
        for name, value in (("done", self.done), ("total", self.total)):
            if value is not None and value < 0:
                raise InvalidArgument(f"progress.{name} must be at least 0, not {value:g}")


def progress_from_json(document: Mapping[str, Any] | None) -> Progress | None:
    """Parses a progress from JSON."""
    if document is None:
        return None
    reported_at = datetime.fromisoformat(document["reported_at"])
    return Progress(document["done"], document["total"], document["message"], reported_at)


def progress_to_json(progress: Progress) -> dict[str, Any]:
    """The JSON that `progress_from_json` parses."""
    return {
        "done": progress.done,
        "total": progress.total,
        "message": progress.message,
        "reported_at": progress.reported_at.isoformat(),
    }


@dataclass(frozen=True, slots=True)
class Note:
    """What a person or a program wrote about an action, or about a run, of which it is a note of the root."""

    id: bytes
    text: str
    author: Identity | None
    """None if the server requires no authentication."""
    created_at: datetime
    edited_at: datetime | None


def note_from_json(document: Mapping[str, Any]) -> Note:
    """Parses a note from JSON."""
    edited_at = document["edited_at"]
    return Note(
        bytes.fromhex(document["id"]),
        document["text"],
        identity_from_json(document["author"]),
        datetime.fromisoformat(document["created_at"]),
        None if edited_at is None else datetime.fromisoformat(edited_at),
    )


def note_to_json(note: Note) -> dict[str, Any]:
    """The JSON that `note_from_json` parses."""
    return {
        "id": note.id.hex(),
        "text": note.text,
        "author": identity_to_json(note.author),
        "created_at": note.created_at.isoformat(),
        "edited_at": None if note.edited_at is None else note.edited_at.isoformat(),
    }


@dataclass(slots=True)
class ActionRecord:
    """Fields of runs and actions: a row of the table `actions`."""

    key: bytes
    run_key: bytes
    project: str
    domain: str
    phase: ActionPhase
    attempts: int
    cache_status: CacheStatus
    task_project: str | None
    task_domain: str | None
    task_name: str | None
    task_version: str | None
    task_type: str | None
    function_name: str | None
    environment_name: str | None
    created_by_document: Mapping[str, Any] | None
    abort_state: AbortState | None
    abort_reason: str | None
    abort_requested_by: Mapping[str, Any] | None
    abort_requested_at: datetime | None
    abort_attempt_count: int
    abort_next_attempt_at: datetime | None
    abort_last_error: str | None
    abort_confirmed_at: datetime | None
    error_document: Mapping[str, Any] | None
    error_attempt: int | None
    lost_phase: ActionPhase | None
    notes_document: Mapping[str, Any] | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    updated_at: datetime
    duration_ms: int | None
    revision: int

    @property
    def task(self) -> TaskIdentifier | None:
        """The executed task, if named."""
        if (
            self.task_project is None
            or self.task_domain is None
            or self.task_name is None
            or self.task_version is None
        ):
            return None
        return TaskIdentifier(self.task_project, self.task_domain, self.task_name, self.task_version)

    @property
    def created_by(self) -> Identity | None:
        """Who created it, if known."""
        return identity_from_json(self.created_by_document)

    @property
    def abort(self) -> Abort | None:
        """The abort request, if any."""
        if self.abort_state is None or self.abort_requested_at is None:
            return None
        return Abort(
            state=self.abort_state,
            reason=self.abort_reason,
            requested_by=identity_from_json(self.abort_requested_by),
            requested_at=self.abort_requested_at,
            attempt_count=self.abort_attempt_count,
            next_attempt_at=self.abort_next_attempt_at,
            last_error=self.abort_last_error,
            confirmed_at=self.abort_confirmed_at,
        )

    @property
    def note_count(self) -> int:
        """How many notes it has."""
        return 0 if self.notes_document is None else self.notes_document["count"]

    @property
    def last_note(self) -> Note | None:
        """The note that was written last."""
        return None if self.notes_document is None else note_from_json(self.notes_document["last"])

    @property
    def is_lost(self) -> bool:
        """Whether it is FAILED since its executor was lost, until that reports again."""
        return self.lost_phase is not None

    @property
    def error(self) -> ActionError | None:
        """The error of the latest attempt, while the phase is one without success."""
        if self.error_attempt != self.attempts or self.phase not in UNSUCCESSFUL:
            return None
        return error_from_json(self.error_document)


UNSUCCESSFUL = frozenset(
    {ActionPhase.FAILED, ActionPhase.TIMED_OUT, ActionPhase.ABORTED, ActionPhase.SKIPPED}
)
"""The phases of actions that have an error, which for SKIPPED is the reason."""


@dataclass(slots=True)
class Action(ActionRecord):
    """A step of a run."""

    run_name: str
    name: str
    parent_name: str | None
    type: ActionType
    group: str | None
    spec: Any
    state: str | None
    dependencies_document: Sequence[str] | None
    placeholder_since: datetime | None
    progress_document: Mapping[str, Any] | None

    @property
    def is_placeholder(self) -> bool:
        """Whether no report has described it yet."""
        return self.placeholder_since is not None

    @property
    def progress(self) -> Progress | None:
        """The latest reported progress."""
        return progress_from_json(self.progress_document)

    @property
    def identifier(self) -> ActionIdentifier:
        """Its identifier."""
        return ActionIdentifier(self.project, self.domain, self.run_name, self.name)

    @property
    def dependencies(self) -> list[str]:
        """The names of the actions that must end before it can start."""
        return list(self.dependencies_document or ())


@dataclass(slots=True)
class Run(ActionRecord):
    """A run, represented by its root action."""

    name: str
    root_name: str
    source: RunSource | None
    labels_document: Mapping[str, str]
    trigger_task_name: str | None
    trigger_name: str | None
    trigger_revision: int | None
    triggered_at: datetime | None
    abort_batch: str | None
    executor: str | None

    @property
    def identifier(self) -> RunIdentifier:
        """Its identifier."""
        return RunIdentifier(self.project, self.domain, self.name)

    @property
    def labels(self) -> list[Label]:
        """The labels, by key."""
        return [Label(key, value) for key, value in sorted(self.labels_document.items())]

    @property
    def trigger(self) -> TriggerIdentifier | None:
        """The trigger that started this run, if any."""
        if self.trigger_task_name is None or self.trigger_name is None:
            return None
        return TriggerIdentifier(self.trigger_task_name, self.trigger_name, self.trigger_revision)


@dataclass(frozen=True, slots=True)
class RemovedRun:
    """A removed run."""

    key: bytes
    """The key of its root action."""
    project: str
    domain: str
    name: str
    revision: int
    """Higher than any revision that it had."""
    aborts_changed: bool
    """Whether a subscriber may still consider one of its aborts pending."""

    @property
    def run_key(self) -> bytes:
        """The key of the run: the first half of the root's key."""
        return self.key[:16]


@dataclass(frozen=True, slots=True)
class Composite:
    """A composite attribute: present if all its fields have a value."""

    needed: tuple[str, ...]
    fields: Mapping[str, str]
    """Maps its fields to the row's fields."""


_TASK = {name: f"task_{name}" for name in ("project", "domain", "name", "version")}
COMPOSITES: Mapping[str, Composite] = {
    "task": Composite(tuple(_TASK.values()), _TASK),
    "trigger": Composite(
        ("trigger_task_name", "trigger_name"),
        {"task_name": "trigger_task_name", "name": "trigger_name", "revision": "trigger_revision"},
    ),
}
"""Builds `task` and `trigger` from fields without creating the row object."""

SOURCE_FIELDS: Mapping[str, tuple[str, ...]] = {
    "identifier": ("project", "domain", "run_name", "name"),
    "task": COMPOSITES["task"].needed,
    "trigger": (*COMPOSITES["trigger"].needed, "trigger_revision"),
    "created_by": ("created_by_document",),
    "abort": tuple(f"abort_{each.name}" for each in fields(Abort)),
    "is_lost": ("lost_phase",),
    "note_count": ("notes_document",),
    "last_note": ("notes_document",),
    "error": ("phase", "attempts", "error_attempt", "error_document"),
    "labels": ("labels_document",),
    "dependencies": ("dependencies_document",),
    "is_placeholder": ("placeholder_since",),
    "progress": ("progress_document",),
}
"""The fields that each property of runs and actions is computed from."""


@dataclass(frozen=True, slots=True)
class NewAction:
    """An action to create; without `parent_name` it is the root of its run."""

    id: ActionIdentifier
    parent_name: str | None = None
    type: ActionType = ActionType.TASK
    group: str | None = None
    phase: ActionPhase = ActionPhase.QUEUED
    source: RunSource | None = None
    labels: tuple[Label, ...] = ()
    task: TaskIdentifier | None = None
    task_type: str | None = None
    function_name: str | None = None
    environment_name: str | None = None
    trigger: TriggerIdentifier | None = None
    spec: Any = None
    dependencies: tuple[str, ...] = ()
    created_by: Identity | None = None
    created_at: datetime | None = None
    attempts: int = 1
    cache_status: CacheStatus = CacheStatus.DISABLED
    update_triggered_at: bool = False
    triggered_at: datetime | None = None


@dataclass(slots=True)
class NewEvent:
    """An event to insert. Its key is (action, attempt, phase, version)."""

    action: ActionIdentifier
    attempt: int
    phase: ActionPhase
    occurred_at: datetime
    version: int = 0
    reported_at: datetime | None = None
    error: ActionError | None = None
    logs: tuple[LogLink, ...] = ()
    outputs: Any = None
    cluster: str | None = None
    cache_status: CacheStatus | None = None
    cluster_events: tuple[ClusterEvent, ...] = ()
    info: Any = None


@dataclass(slots=True)
class ActionEvent(NewEvent):
    """A stored event."""

    created_at: datetime = field(kw_only=True)
    updated_at: datetime = field(kw_only=True)
    transaction_id: int = field(kw_only=True)


class EventKey(NamedTuple):
    """What identifies an event."""

    action: ActionIdentifier
    attempt: int
    phase: ActionPhase
    version: int


@dataclass(frozen=True, slots=True)
class PhaseTransition:
    """When an attempt was in a phase; open without an end."""

    phase: ActionPhase
    started_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class ActionAttempt:
    """All events of one attempt, merged."""

    attempt: int
    phase: ActionPhase
    started_at: datetime
    ended_at: datetime | None
    error: ActionError | None
    logs: list[LogLink]
    outputs: Any
    cluster: str | None
    cache_status: CacheStatus | None
    cluster_events: list[ClusterEvent]
    phase_transitions: list[PhaseTransition]
    action: ActionIdentifier
