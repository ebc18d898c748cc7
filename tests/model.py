"""Owns a plain model of the record, in memory: what the repository must answer, written from the rules.

It shares no rule with the code that it checks; times that the server takes itself are windows.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from repo import (
    Abort,
    AbortState,
    Action,
    ActionError,
    ActionPhase,
    CacheStatus,
    NewAction,
    NewEvent,
    PhaseUpdate,
)

P = ActionPhase
LADDER = [P.QUEUED, P.WAITING_FOR_RESOURCES, P.INITIALIZING, P.RUNNING, P.PAUSED]
TERMINAL = {P.SUCCEEDED, P.FAILED, P.ABORTED, P.TIMED_OUT, P.RECOVERED}
FINAL = {P.SUCCEEDED, P.ABORTED, P.RECOVERED}


@dataclass(frozen=True)
class Window:
    """A time that the server takes: not before `start`, and not after it is looked at."""

    start: datetime

    def __eq__(self, other: object) -> bool:
        return isinstance(other, datetime) and self.start <= other <= datetime.now(UTC)


Moment = datetime | Window | None


@dataclass
class Row:
    """What is known of one action."""

    given: NewAction
    created_at: Moment
    phase: ActionPhase
    attempts: int
    cache_status: CacheStatus
    started_at: Moment = None
    ended_at: Moment = None
    state: str | None = None
    abort: AbortState | None = None
    abort_reason: str | None = None
    abort_count: int = 0
    events: dict[tuple[int, ActionPhase, int], NewEvent] = field(default_factory=dict)
    seen: Action | None = None
    """What the repository answered last."""
    touched: bool = False
    """Whether a call since then may have changed it; whatever none touches stays exactly so."""

    @property
    def name(self) -> str:
        return self.given.id.name

    @property
    def parent(self) -> str | None:
        return self.given.parent_name

    def error(self) -> ActionError | None:
        """The error of the earliest terminal event of the latest attempt that has one."""
        ends = [event for event in self.events.values() if event.phase in TERMINAL]
        if self.phase not in {P.FAILED, P.TIMED_OUT, P.ABORTED} or not ends:
            return None
        latest = max(event.attempt for event in ends)
        first = min(
            (event for event in ends if event.attempt == latest),
            key=lambda event: (event.reported_at or event.occurred_at, event.phase, event.version),
        )
        return first.error if latest == self.attempts else None

    def advance(self, update: PhaseUpdate, now: Window) -> bool:
        """Whether the update applies, and then what it changes."""
        before = replace(self)
        if not self._advance(update, now):
            return False
        self.touched |= self != before
        return True

    def _advance(self, update: PhaseUpdate, now: Window) -> bool:
        if update.attempts > self.attempts:
            if self.phase in FINAL:
                return False
            self.attempts, self.started_at, self.ended_at = update.attempts, None, None
        elif update.attempts < self.attempts:
            return False
        elif update.phase == self.phase:
            self.cache_status = update.cache_status
            self.started_at = self.started_at or update.start_time
            return True
        elif self.phase in TERMINAL:
            return False
        elif update.phase in LADDER and LADDER.index(update.phase) < LADDER.index(self.phase):
            return False
        self.phase, self.cache_status = update.phase, update.cache_status
        if update.start_time:
            self.started_at = update.start_time
        elif update.phase is P.RUNNING and self.started_at is None:
            self.started_at = now
        if update.phase in TERMINAL:
            self.end(update.end_time, now)
        return True

    def end(self, at: datetime | None, now: Window) -> None:
        """The end that is given, or now; never before the beginning."""
        created_at = self.seen.created_at if self.seen else self.created_at
        assert isinstance(created_at, datetime)
        self.ended_at = max(at, created_at) if at else created_at if created_at > now.start else now

    def request_abort(self, reason: str | None, now: Window) -> bool:
        """Whether this is the request."""
        if self.phase in TERMINAL:
            return False
        self.phase, self.abort, self.abort_reason = P.ABORTED, AbortState.REQUESTED, reason
        self.end(None, now)
        self.touched = True
        return True

    @property
    def waits(self) -> bool:
        """Whether an abort of it is not confirmed."""
        return self.abort in (AbortState.REQUESTED, AbortState.RETRYING, AbortState.FAILED)

    def confirm_abort(self, below: "Sequence[Row]", now: Window) -> None:
        """The action is gone: of what is below it the abort is confirmed too, or asked for and confirmed."""
        if not self.waits:
            return
        for row in (self, *below):
            if row.request_abort(self.abort_reason, now) or row.waits:
                row.abort, row.touched = AbortState.CONFIRMED, True

    def check(self, found: Action) -> None:
        """That the answer is what is known, and that nothing moved that must not."""
        before, self.seen = self.seen, found
        assert before is None or before == found or self.touched
        self.touched = False
        shown: Abort | None = found.abort
        assert (found.name, found.parent_name, found.type) == (self.name, self.parent, self.given.type)
        assert (found.phase, found.attempts, found.cache_status) == (
            self.phase,
            self.attempts,
            self.cache_status,
        )
        assert self.created_at == found.created_at
        assert self.started_at == found.started_at, (self.started_at, found.started_at)
        assert self.ended_at == found.ended_at, (self.ended_at, found.ended_at)
        assert (found.state, found.error) == (self.state, self.error())
        assert (shown and (shown.state, shown.reason, shown.attempt_count)) == (
            self.abort and (self.abort, self.abort_reason, self.abort_count)
        )
        lasted = found.ended_at and (found.ended_at - found.created_at) // timedelta(milliseconds=1)
        assert found.duration_ms == lasted
        # From here on what the server took is known.
        self.created_at, self.started_at, self.ended_at = found.created_at, found.started_at, found.ended_at
        if before is not None and before != found:
            assert found.revision > before.revision
            assert found.attempts >= before.attempts
            assert found.updated_at >= before.updated_at
            assert before.phase not in FINAL or found.phase is before.phase
            assert (
                before.phase not in TERMINAL
                or found.attempts > before.attempts
                or ((found.phase, found.ended_at) == (before.phase, before.ended_at))
            )


class Record:
    """The actions of a few runs, by run and name."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], Row] = {}

    def run(self, run: str) -> list[Row]:
        """The actions of one run."""
        return [row for (of, _), row in self.rows.items() if of == run]

    def root(self, run: str) -> Row | None:
        """The root action of a run."""
        return next((row for row in self.run(run) if row.parent is None), None)

    def below(self, run: str, name: str) -> list[Row]:
        """The descendants of an action."""
        children = [row for row in self.run(run) if row.parent == name]
        return children + [row for child in children for row in self.below(run, child.name)]

    def depth(self, row: Row) -> int:
        """How far an action is from the root."""
        if row.parent is None:
            return 0
        return self.depth(self.rows[row.given.id.run_name, row.parent]) + 1

    def refusals(self, batch: Sequence[NewAction]) -> set[str]:
        """The names of the errors that a batch may be refused with; none if it is not refused."""
        new = self._new(batch)
        reasons = set()
        roots = {run: root.name for run, _ in self.rows if (root := self.root(run))}
        for action in new.values():
            run, parent = action.id.run_name, action.parent_name
            if parent is None:
                if roots.setdefault(run, action.id.name) != action.id.name:
                    reasons.add("Conflict")
                continue
            if (run, parent) not in self.rows and (run, parent) not in new:
                reasons |= {"RunNotFound", "ActionNotFound"}
            passed = set()
            while parent is not None and (run, parent) in new and parent not in passed:
                passed.add(parent)
                parent = new[run, parent].parent_name
            if parent in passed:
                reasons.add("InvalidArgument")
        return reasons

    def create(self, batch: Sequence[NewAction], now: Window) -> int:
        """How many of the actions are new."""
        new = self._new(batch)
        for key, action in new.items():
            created_at: Moment = action.created_at or now
            self.rows[key] = Row(
                replace(action),
                created_at,
                action.phase,
                action.attempts,
                action.cache_status,
                started_at=created_at if action.phase is P.RUNNING else None,
                ended_at=created_at if action.phase in TERMINAL else None,
            )
        return len(new)

    def _new(self, batch: Iterable[NewAction]) -> dict[tuple[str, str], NewAction]:
        new: dict[tuple[str, str], NewAction] = {}
        for action in batch:
            key = action.id.run_name, action.id.name
            if key not in self.rows:
                new.setdefault(key, action)
        return new
