"""The values that objects of the API consist of, with the names of schema.graphql."""

# Annotations are evaluated, also by Python 3.9: see decoding.

from dataclasses import dataclass
from datetime import datetime
from typing import Optional

from .enums import AbortState, ActionPhase, ErrorKind, IdentityKind


@dataclass(frozen=True)
class RunIdentifier:
    """Identifies a run."""

    project: str
    domain: str
    name: str

    @classmethod
    def parse(cls, text: str) -> "RunIdentifier":
        """From `project/domain/name`, where only the name may contain slashes. Raises ValueError."""
        parts = text.split("/", 2)
        if len(parts) != 3 or not all(parts):
            raise ValueError(f"{text!r} does not name a run: use project/domain/name")
        return cls(*parts)

    def __str__(self) -> str:
        return f"{self.project}/{self.domain}/{self.name}"


@dataclass(frozen=True)
class ActionIdentifier:
    """Identifies an action."""

    project: str
    domain: str
    run_name: str
    name: str


@dataclass(frozen=True)
class TaskIdentifier:
    """The version of a task that an action executes."""

    project: str
    domain: str
    name: str
    version: str


@dataclass(frozen=True)
class TriggerIdentifier:
    """The trigger that started a run."""

    task_name: str
    name: str
    revision: Optional[int]


@dataclass(frozen=True)
class Identity:
    """A person or a program."""

    kind: IdentityKind
    subject: str
    name: Optional[str]
    email: Optional[str]


@dataclass(frozen=True)
class Label:
    """A label of a run."""

    key: str
    value: str


@dataclass(frozen=True)
class PhaseCount:
    """The number of actions in a phase."""

    phase: ActionPhase
    count: int


@dataclass(frozen=True)
class ActionError:
    """Why an attempt did not succeed. Lists and streams cut its message at 10,000 characters."""

    kind: ErrorKind
    code: Optional[str]
    summary: str
    message: str


@dataclass(frozen=True)
class Abort:
    """A request to abort an action: its requester, reason and progress."""

    state: AbortState
    reason: Optional[str]
    requested_by: Optional[Identity]
    requested_at: datetime
    attempt_count: int
    next_attempt_at: Optional[datetime]
    last_error: Optional[str]
    confirmed_at: Optional[datetime]


@dataclass(frozen=True)
class Progress:
    """How much of an action is done."""

    done: float
    total: Optional[float]
    message: Optional[str]
    reported_at: datetime


@dataclass(frozen=True)
class Metric:
    """The values of a metric of an action."""

    name: str
    unit: Optional[str]
    last: float
    last_at: datetime
    minimum: float
    maximum: float
