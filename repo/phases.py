"""Owns the enumerations of runs and actions, and the rules by which an action's phase moves."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import IntEnum

from repo.errors import InvalidArgument


class ActionPhase(IntEnum):
    """Where an action is in its life. The numbers are stored, and their order is the order of the
    phases within one attempt; all terminal phases come last."""

    QUEUED = 10
    WAITING_FOR_RESOURCES = 20
    INITIALIZING = 30
    RUNNING = 40
    PAUSED = 50
    SUCCEEDED = 60
    FAILED = 70
    ABORTED = 80
    TIMED_OUT = 90
    RECOVERED = 100

    @property
    def is_terminal(self) -> bool:
        """Whether the action has ended, in this attempt at least."""
        return self >= ActionPhase.SUCCEEDED

    @property
    def is_final(self) -> bool:
        """Whether no later attempt can reopen the action either."""
        return self in (ActionPhase.SUCCEEDED, ActionPhase.ABORTED, ActionPhase.RECOVERED)


FIRST_TERMINAL = ActionPhase.SUCCEEDED
"""Every stored phase at or above this number is terminal."""


class CacheStatus(IntEnum):
    """What the catalog did for the outputs of an action."""

    DISABLED = 0
    MISS = 1
    HIT = 2
    POPULATED = 3
    LOOKUP_FAILURE = 4
    PUT_FAILURE = 5
    SKIPPED = 6
    EVICTED = 7


class ActionType(IntEnum):
    """What kind of step an action is."""

    TASK = 1
    TRACE = 2
    CONDITION = 3


class RunSource(IntEnum):
    """Who or what started a run."""

    WEB = 1
    CLI = 2
    SCHEDULE_TRIGGER = 3
    TRACKED = 4
    ARTIFACT_TRIGGER = 5


class ErrorKind(IntEnum):
    """Whose fault an error is."""

    USER = 1
    SYSTEM = 2
    UNKNOWN = 3


class IdentityKind(IntEnum):
    """Whether an identity is a person's or a program's."""

    USER = 1
    APPLICATION = 2


class CredentialKind(IntEnum):
    """Who shows a credential."""

    TOKEN = 1
    """A program, with each request."""
    SESSION = 2
    """A browser, after its user has signed in."""


class AbortState(IntEnum):
    """How far an abort request has come."""

    REQUESTED = 1
    RETRYING = 2
    CONFIRMED = 3
    FAILED = 4


MAX_ATTEMPTS = 2**31 - 1


def is_count(number: int) -> bool:
    """Whether this can be the number of an attempt at all."""
    return 0 <= number <= MAX_ATTEMPTS


def check_attempts(attempts: int, what: str = "attempts") -> None:
    """Raise InvalidArgument unless `attempts` is a count that can be stored."""
    if not is_count(attempts):
        raise InvalidArgument(f"{what} must be between 0 and {MAX_ATTEMPTS}, not {attempts}")


@dataclass(frozen=True, slots=True)
class Progress:
    """The part of a stored action that a phase update can change. Times are UTC."""

    phase: ActionPhase
    attempts: int
    cache_status: CacheStatus
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PhaseUpdate:
    """What an executor reports of an action. Times are UTC.

    Raises InvalidArgument for a negative attempt, or an end time with a phase that is not terminal.
    """

    phase: ActionPhase
    attempts: int
    cache_status: CacheStatus = CacheStatus.DISABLED
    end_time: datetime | None = None
    start_time: datetime | None = None

    def __post_init__(self) -> None:
        check_attempts(self.attempts)
        if self.end_time is not None and not self.phase.is_terminal:
            raise InvalidArgument(f"endTime goes with a terminal phase, not with {self.phase.name}")


def begin(phase: ActionPhase, attempts: int, cache_status: CacheStatus, created_at: datetime) -> Progress:
    """The progress of an action that is created in `phase`: it started, or ended, when it was created."""
    check_attempts(attempts)
    return Progress(
        phase=phase,
        attempts=attempts,
        cache_status=cache_status,
        created_at=created_at,
        started_at=created_at if phase is ActionPhase.RUNNING else None,
        ended_at=created_at if phase.is_terminal else None,
    )


def advance(stored: Progress, update: PhaseUpdate, now: datetime) -> Progress | None:
    """What is stored after `update`, or None where it is older than what is stored and changes nothing.

    - A higher attempt reopens anything but SUCCEEDED, ABORTED and RECOVERED, and starts afresh: the
      end is cleared, the start is `start_time`, or now where the new attempt is RUNNING already.
    - Within an attempt the phase never goes back (PAUSED is behind RUNNING: only an end follows it),
      and a terminal phase is left by nothing.
    - The phase that is stored already, again, may change the cache status and add a start that was
      not known; the end stays.
    - The end is `end_time`, else now, and never before the action was created.
    """
    if update.attempts > stored.attempts:
        if stored.phase.is_final:
            return None
        base = replace(stored, attempts=update.attempts, started_at=None, ended_at=None)
    elif update.attempts < stored.attempts:
        return None
    elif update.phase is stored.phase:
        return replace(
            stored,
            cache_status=update.cache_status,
            started_at=stored.started_at or update.start_time,
        )
    elif stored.phase.is_terminal or update.phase < stored.phase:
        return None
    else:
        base = stored
    started_at = update.start_time or base.started_at
    if started_at is None and update.phase is ActionPhase.RUNNING:
        started_at = now
    ended_at = None
    if update.phase.is_terminal:
        ended_at = max(update.end_time or now, stored.created_at)
    return replace(
        base,
        phase=update.phase,
        cache_status=update.cache_status,
        started_at=started_at,
        ended_at=ended_at,
    )
