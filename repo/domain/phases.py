"""Enumerations of runs and actions, and the rules of phase updates."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import IntEnum

from repo.domain.errors import InvalidArgument


class ActionPhase(IntEnum):
    """The phase of an action. The numbers are stored; their order is the order of phases within an attempt,
    terminal ones last."""

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
    SKIPPED = 110

    @property
    def is_terminal(self) -> bool:
        """Whether the attempt has ended."""
        return self >= ActionPhase.SUCCEEDED

    @property
    def is_final(self) -> bool:
        """Whether no later attempt can reopen it."""
        return self in (ActionPhase.SUCCEEDED, ActionPhase.ABORTED, ActionPhase.RECOVERED)


FIRST_TERMINAL = ActionPhase.SUCCEEDED
"""Stored phases from this number on are terminal."""


class CacheStatus(IntEnum):
    """The cache result of an action's outputs."""

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
    """The origin of an error."""

    USER = 1
    SYSTEM = 2
    UNKNOWN = 3


class IdentityKind(IntEnum):
    """The kind of an identity."""

    USER = 1
    APPLICATION = 2


class CredentialKind(IntEnum):
    """The kind of a credential."""

    TOKEN = 1
    """An API token, sent with each request."""
    SESSION = 2
    """A browser session after signing in."""


class AbortState(IntEnum):
    """The state of an abort request."""

    REQUESTED = 1
    RETRYING = 2
    CONFIRMED = 3
    FAILED = 4


class LeaseState(IntEnum):
    """The state of a run's lease."""

    HELD = 1
    """Its executor renews it, or is not known to be silent."""
    EXPIRING = 2
    """It expired, and only some of the run's open actions have ended: the others are still to be ended, or
    were taken back by reports."""
    EXPIRED = 3
    """It expired; all of them have ended."""


MAX_ATTEMPTS = 2**31 - 1
_AFTER = timedelta(microseconds=1)
"""The resolution of stored times."""


def is_count(number: int) -> bool:
    """Whether this is a valid attempt number."""
    return 0 <= number <= MAX_ATTEMPTS


def check_attempts(attempts: int, what: str = "attempts") -> None:
    """Raises InvalidArgument unless `attempts` can be stored."""
    if not is_count(attempts):
        raise InvalidArgument(f"{what} must be between 0 and {MAX_ATTEMPTS}, not {attempts}")


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """The part of a stored action that reports change. Times are UTC."""

    phase: ActionPhase
    attempts: int
    cache_status: CacheStatus
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    start_time: datetime | None = None
    """The earliest reported start of the attempt; None if `started_at` is the server's time."""
    phase_time: datetime | None = None
    """When `phase` began. For a terminal phase the earliest reported end, as reported (`ended_at` is never
    before the start); for RUNNING and PAUSED the latest report. Of a lost action that of `lost_phase`."""
    lost_phase: ActionPhase | None = None
    """The phase in which its executor was lost; it is FAILED until the executor reports again."""


@dataclass(frozen=True, slots=True)
class PhaseUpdate:
    """A phase update; omitted values are not changed. Times are UTC. Raises InvalidArgument for a negative
    attempt, or an end time with a non-terminal phase."""

    phase: ActionPhase
    attempts: int
    cache_status: CacheStatus | None = None
    end_time: datetime | None = None
    start_time: datetime | None = None
    occurred_at: datetime | None = None
    """When the action entered this phase."""

    def __post_init__(self) -> None:
        check_attempts(self.attempts)
        if self.end_time is not None and not self.phase.is_terminal:
            raise InvalidArgument(f"endTime goes with a terminal phase, not with {self.phase.name}")

    @property
    def start(self) -> datetime | None:
        """When the attempt started running, if reported."""
        is_running = self.phase is ActionPhase.RUNNING
        return self.start_time or (self.occurred_at if is_running else None)

    @property
    def time(self) -> datetime | None:
        """When the phase began, if relevant and reported. `start_time` is not a resume time, since many
        executors repeat it in each report."""
        if self.phase.is_terminal:
            return self.end_time or self.occurred_at
        return self.occurred_at if self.phase >= ActionPhase.RUNNING else None


@dataclass(frozen=True, slots=True)
class PhaseUpdateResult:
    """The result of a phase update."""

    applied: bool
    """The action is now in the reported phase."""
    changed: bool
    """Something was stored."""


def begin(phase: ActionPhase, attempts: int, cache_status: CacheStatus, created_at: datetime) -> Lifecycle:
    """The lifecycle of an action created in `phase`: start and end default to its creation until they are
    reported."""
    check_attempts(attempts)
    return Lifecycle(
        phase=phase,
        attempts=attempts,
        cache_status=cache_status,
        created_at=created_at,
        started_at=created_at if phase is ActionPhase.RUNNING else None,
        ended_at=created_at if phase.is_terminal else None,
    )


def advance(stored: Lifecycle, update: PhaseUpdate, now: datetime) -> tuple[Lifecycle, bool]:
    """The lifecycle after `update`, and whether the action is in the reported phase.

    - A higher attempt reopens any phase but SUCCEEDED, ABORTED and RECOVERED, and starts over.
    - Within an attempt the phase never goes back, and a terminal phase is final. Only PAUSED can return to
      RUNNING: of the reports of RUNNING and PAUSED, the one that occurred last counts. A report without a
      time counts as the last, unless it is the first with a start, and that is before the pause.
    - The earliest report of an attempt's start counts, and the earliest of its end in the stored phase, even
      if it arrives too late for its phase. Reported times replace those of the server's clock.
    - A report that is too late for its phase still counts for the cache status, if no other report of the
      attempt named one (or DISABLED).
    - Creation, start and end stay in order: an earlier start moves the creation, and an end that was reported
      before the start becomes the start.
    - The loss of its executor is provisional: a report of the same attempt takes it back before it applies.
    """
    stored = _without_stale_times(stored)
    if takes_back(stored, update.attempts):
        stored = taken_back(stored)
    if update.attempts > stored.attempts and not stored.phase.is_final:
        fresh = Lifecycle(stored.phase, update.attempts, CacheStatus.DISABLED, stored.created_at)
        return _enter(fresh, update, now), True
    if update.attempts > stored.attempts:
        return stored, False
    if update.attempts < stored.attempts:
        return created_by(stored, update.start), False
    if update.phase is stored.phase:
        return _repeat(stored, update), True
    if _is_late(stored, update):
        return _started_by(_cached_by(stored, update), update.start), False
    return _enter(stored, update, now), True


def created_by(stored: Lifecycle, time: datetime | None) -> Lifecycle:
    """The lifecycle with a creation time no later than this."""
    if time is None or time >= stored.created_at:
        return stored
    return _in_order(replace(stored, created_at=time))


def described_at(
    stored: Lifecycle, created_at: datetime | None, placeholder_since: datetime | None
) -> Lifecycle:
    """The lifecycle of a placeholder once it is described: a reported creation replaces the server's time,
    but not an earlier start."""
    if created_at is None:
        return stored
    if stored.created_at != placeholder_since:
        return created_by(stored, created_at)
    start = stored.start_time
    return _in_order(replace(stored, created_at=min(created_at, start) if start else created_at))


def aborted(stored: Lifecycle, now: datetime) -> Lifecycle:
    """The lifecycle of an unfinished action after its abort."""
    ended = replace(stored, phase=ActionPhase.ABORTED, ended_at=now, phase_time=now)
    return _in_order(ended)


def lost(stored: Lifecycle, at: datetime) -> Lifecycle:
    """The lifecycle of an unfinished action whose executor has been silent since this time."""
    return replace(stored, phase=ActionPhase.FAILED, ended_at=_bounded(stored, at), lost_phase=stored.phase)


def takes_back(stored: Lifecycle, attempt: int) -> bool:
    """Whether a report of this attempt takes back the loss of the executor: it is the attempt that was lost,
    or the first one of an action of which none had been reported."""
    if stored.lost_phase is None:
        return False
    is_unreported = stored.attempts == 0 and stored.lost_phase is ActionPhase.QUEUED
    return is_unreported or attempt == stored.attempts


def taken_back(stored: Lifecycle) -> Lifecycle:
    """The lifecycle of a lost action whose executor lives."""
    assert stored.lost_phase is not None
    return replace(stored, phase=stored.lost_phase, ended_at=None, lost_phase=None)


def _without_stale_times(stored: Lifecycle) -> Lifecycle:
    """The lifecycle without outdated reported times, which servers of older versions do not maintain."""
    if stored.lost_phase is not None:
        return stored
    start_time, phase_time = stored.start_time, stored.phase_time
    if start_time is not None and start_time != stored.started_at:
        stored = replace(stored, start_time=None)
    if phase_time and stored.phase.is_terminal and _bounded(stored, phase_time) != stored.ended_at:
        stored = replace(stored, phase_time=None)
    return stored


def _is_late(stored: Lifecycle, update: PhaseUpdate) -> bool:
    """Whether the update precedes the stored phase of the same attempt."""
    if {stored.phase, update.phase} == {ActionPhase.RUNNING, ActionPhase.PAUSED}:
        if stored.phase_time is None:
            return False
        if update.time is None:
            start = update.start if stored.started_at is None else None
            return start is not None and start < stored.phase_time
        return (update.time, update.phase) < (stored.phase_time, stored.phase)
    return stored.phase.is_terminal or update.phase < stored.phase


def _cached_by(stored: Lifecycle, update: PhaseUpdate) -> Lifecycle:
    """The lifecycle with the cache status of a late update of an earlier phase, unless it has one."""
    is_known = stored.cache_status is not CacheStatus.DISABLED
    if is_known or update.cache_status is None or update.phase.is_terminal:
        return stored
    return replace(stored, cache_status=update.cache_status)


def _enter(stored: Lifecycle, update: PhaseUpdate, now: datetime) -> Lifecycle:
    """The lifecycle in the phase of the update."""
    is_running = update.phase is ActionPhase.RUNNING
    phase_time = update.time
    if phase_time is None and stored.phase_time is not None and not update.phase.is_terminal:
        # After all reported times: executors' clocks are not compared with the server's.
        phase_time = stored.phase_time + _AFTER
    start = stored.started_at or (max(now, stored.created_at) if is_running else None)
    entered = Lifecycle(
        update.phase,
        stored.attempts,
        stored.cache_status if update.cache_status is None else update.cache_status,
        stored.created_at,
        start,
        now if update.phase.is_terminal else None,
        stored.start_time,
        phase_time,
    )
    return _started_by(entered, update.start)


def _repeat(stored: Lifecycle, update: PhaseUpdate) -> Lifecycle:
    """The lifecycle after another report of the stored phase."""
    phase_time = stored.phase_time
    if phase_time is None:
        phase_time = update.time
    elif update.time is not None:
        phase_time = (min if stored.phase.is_terminal else max)(phase_time, update.time)
    cache_status = stored.cache_status if update.cache_status is None else update.cache_status
    if (cache_status, phase_time) != (stored.cache_status, stored.phase_time):
        stored = replace(stored, cache_status=cache_status, phase_time=phase_time)
    return _started_by(stored, update.start)


def _started_by(stored: Lifecycle, time: datetime | None) -> Lifecycle:
    """The lifecycle with a start no later than this."""
    if time is not None:
        start = min(time, stored.start_time or time)
        created_at = min(time, stored.created_at)
        stored = replace(stored, created_at=created_at, started_at=start, start_time=start)
    return _in_order(stored)


def _in_order(progress: Lifecycle) -> Lifecycle:
    """The lifecycle with an end not before its start."""
    if not progress.phase.is_terminal:
        return progress
    assert progress.ended_at is not None
    reported = None if progress.lost_phase is not None else progress.phase_time
    ended_at = _bounded(progress, reported or progress.ended_at)
    return progress if ended_at == progress.ended_at else replace(progress, ended_at=ended_at)


def _bounded(progress: Lifecycle, end: datetime) -> datetime:
    return max(end, progress.created_at, progress.started_at or progress.created_at)
