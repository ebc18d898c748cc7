"""A plain in-memory model of the repository, written from the rules, for comparison. It shares no code with
the repository. Times taken by the server are windows."""

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
TERMINAL = {P.SUCCEEDED, P.FAILED, P.ABORTED, P.TIMED_OUT, P.RECOVERED, P.SKIPPED}
FINAL = {P.SUCCEEDED, P.ABORTED, P.RECOVERED}


@dataclass(frozen=True)
class Window:
    """A time taken by the server: not before `start`, and not after the comparison."""

    start: datetime

    def __eq__(self, other: object) -> bool:
        return isinstance(other, datetime) and self.start <= other <= datetime.now(UTC)


Time = datetime | Window | None


def latest(*moments: Time) -> Time:
    """The latest: a time taken by the server is later than all earlier ones."""
    taken = [moment for moment in moments if isinstance(moment, Window)]
    return taken[0] if taken else max(moment for moment in moments if isinstance(moment, datetime))


def _turn_of(update: PhaseUpdate) -> datetime | None:
    """The reported time of an update to RUNNING or PAUSED."""
    return update.occurred_at if update.phase in (P.RUNNING, P.PAUSED) else None


@dataclass
class Row:
    """The expected state of one action."""

    action: NewAction
    created_at: Time
    phase: ActionPhase
    attempts: int
    cache_status: CacheStatus
    started_at: Time = None
    ended_at: Time = None
    reported_start: datetime | None = None
    """The earliest reported start of this attempt."""
    reported_end: datetime | None = None
    """The earliest reported end of this attempt."""
    turned_at: datetime | None = None
    """The reported time of the last change between RUNNING and PAUSED."""
    state: str | None = None
    abort: AbortState | None = None
    abort_reason: str | None = None
    abort_count: int = 0
    events: dict[tuple[int, ActionPhase, int], NewEvent] = field(default_factory=dict)
    seen: Action | None = None
    """The last result of the repository."""
    touched: bool = False
    """Whether a call since then may have changed it; otherwise it must be equal."""

    @property
    def name(self) -> str:
        return self.action.id.name

    @property
    def parent(self) -> str | None:
        return self.action.parent_name

    def error(self) -> ActionError | None:
        """The first error of the phase in which the latest finished attempt first ended."""
        ends = [event for event in self.events.values() if event.phase in TERMINAL]
        if self.phase not in {P.FAILED, P.TIMED_OUT, P.ABORTED, P.SKIPPED} or not ends:
            return None
        latest = max(event.attempt for event in ends)
        of_latest = sorted(
            (event for event in ends if event.attempt == latest),
            key=lambda event: (event.reported_at or event.occurred_at, event.phase, event.version),
        )
        errors = [event.error for event in of_latest if event.phase is of_latest[0].phase and event.error]
        return errors[0] if errors and latest == self.attempts else None

    def advance(self, update: PhaseUpdate, now: Window) -> bool:
        """Applies an update; returns whether the action is then in its phase."""
        before = replace(self)
        applied = self._advance(update, now)
        self.touched |= self != before
        return applied

    def _advance(self, update: PhaseUpdate, now: Window) -> bool:
        started = update.start_time or (update.occurred_at if update.phase is P.RUNNING else None)
        if update.attempts < self.attempts:
            self.was_created_by(started)
            return False
        if update.attempts > self.attempts:
            if self.phase in FINAL:
                return False
            self.attempts, self.phase, self.cache_status = update.attempts, P.QUEUED, CacheStatus.DISABLED
            self.started_at = self.ended_at = self.reported_start = self.reported_end = self.turned_at = None
        moves = self._moves(update)
        if moves:
            self._move(update, now)
        elif update.phase not in TERMINAL and self.cache_status is CacheStatus.DISABLED:
            self.cache_status = update.cache_status or CacheStatus.DISABLED
        if started:
            self.started_at = self.reported_start = min(started, self.reported_start or started)
        self.was_created_by(started)
        return moves

    def _moves(self, update: PhaseUpdate) -> bool:
        if update.phase is self.phase:
            return True
        if self.phase in TERMINAL or update.phase in TERMINAL:
            return self.phase not in TERMINAL
        if {update.phase, self.phase} == {P.RUNNING, P.PAUSED}:
            at, before = _turn_of(update), self.turned_at
            if before is None:
                return True
            if at is None:
                start = update.start_time if self.started_at is None else None
                return start is None or start >= before
            return at > before or (at == before and update.phase is P.PAUSED)
        return LADDER.index(update.phase) > LADDER.index(self.phase)

    def _move(self, update: PhaseUpdate, now: Window) -> None:
        if update.cache_status is not None:
            self.cache_status = update.cache_status
        at = _turn_of(update)
        if update.phase is not self.phase and at is None and update.phase in (P.RUNNING, P.PAUSED):
            at = self.turned_at and self.turned_at + timedelta(microseconds=1)
        elif update.phase is self.phase and at is not None and self.turned_at is not None:
            at = max(at, self.turned_at)
        if at is not None or update.phase is not self.phase:
            self.turned_at = at
        if update.phase is P.RUNNING:
            self.started_at = self.started_at or now
        if update.phase in TERMINAL:
            reported = update.end_time or update.occurred_at
            self.reported_end = (
                min(reported, self.reported_end or reported) if reported else self.reported_end
            )
            self.ended_at = self.ended_at or now
        self.phase = update.phase

    def was_created_by(self, at: datetime | None) -> None:
        """The action was created at this time or earlier; its end is not before its creation or start."""
        if at:
            assert isinstance(self.created_at, datetime)
            self.touched |= at < self.created_at
            self.created_at = min(at, self.created_at)
        if self.phase in TERMINAL:
            self.ended_at = latest(self.reported_end or self.ended_at, self.created_at, self.started_at)

    def request_abort(self, reason: str | None, now: Window) -> bool:
        """Requests an abort; returns whether it is the first request."""
        if self.phase in TERMINAL:
            return False
        self.phase, self.abort, self.abort_reason = P.ABORTED, AbortState.REQUESTED, reason
        self.ended_at, self.reported_end = latest(now, self.created_at, self.started_at), None
        self.touched = True
        return True

    @property
    def unconfirmed(self) -> bool:
        """Whether its abort is unconfirmed."""
        return self.abort in (AbortState.REQUESTED, AbortState.RETRYING, AbortState.FAILED)

    def confirm_abort(self, below: "Sequence[Row]", now: Window) -> None:
        """Confirms the abort of the action and of its descendants, requesting it where needed."""
        if not self.unconfirmed:
            return
        for row in (self, *below):
            if row.request_abort(self.abort_reason, now) or row.unconfirmed:
                row.abort, row.touched = AbortState.CONFIRMED, True

    def check(self, found: Action) -> None:
        """Checks that a result agrees with the model and that nothing else changed."""
        before, self.seen = self.seen, found
        assert before is None or before == found or self.touched
        self.touched = False
        abort: Abort | None = found.abort
        assert (found.name, found.parent_name, found.type) == (self.name, self.parent, self.action.type)
        assert (found.phase, found.attempts, found.cache_status) == (
            self.phase,
            self.attempts,
            self.cache_status,
        )
        assert self.created_at == found.created_at
        assert self.started_at == found.started_at, (self.started_at, found.started_at)
        assert self.ended_at == found.ended_at, (self.ended_at, found.ended_at)
        assert (found.state, found.error) == (self.state, self.error())
        assert (abort and (abort.state, abort.reason, abort.attempt_count)) == (
            self.abort and (self.abort, self.abort_reason, self.abort_count)
        )
        lasted = found.ended_at and (found.ended_at - found.created_at) // timedelta(milliseconds=1)
        assert found.duration_ms == lasted
        # From here on, the times taken by the server are known.
        self.created_at, self.started_at, self.ended_at = found.created_at, found.started_at, found.ended_at
        if before is not None and before != found:
            assert found.revision > before.revision
            assert found.attempts >= before.attempts
            assert found.updated_at >= before.updated_at
            assert found.created_at <= before.created_at
            assert before.phase not in FINAL or found.phase is before.phase
            assert (
                before.phase not in TERMINAL
                or found.attempts > before.attempts
                or found.phase is before.phase
            )
        times = [found.created_at, found.started_at or found.created_at, found.ended_at or datetime.now(UTC)]
        assert times == sorted(times)


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
        """The distance of an action from the root."""
        if row.parent is None:
            return 0
        return self.depth(self.rows[row.action.id.run_name, row.parent]) + 1

    def refusals(self, batch: Sequence[NewAction]) -> set[str]:
        """The names of the errors with which a batch may be rejected; empty if it is accepted."""
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
        """Creates actions; returns the number of new ones."""
        new = self._new(batch)
        for action in batch:
            known = self.rows.get((action.id.run_name, action.id.name))
            if known is not None:
                known.was_created_by(action.created_at)
        reported = [(action.id.run_name, action.id.name, action.created_at) for action in batch]
        for key, action in new.items():
            times = [at for *of, at in reported if tuple(of) == key and at is not None]
            created_at: Time = min(times) if times else now
            self.rows[key] = Row(
                replace(action),
                created_at,
                action.phase,
                action.attempts,
                action.cache_status,
                started_at=created_at if action.phase is P.RUNNING else None,
                ended_at=created_at if action.phase in TERMINAL else None,
            )
        for key in new:
            above = self.aborted_above(self.rows[key])
            if above is not None:
                self.rows[key].request_abort(above.abort_reason, now)
        return len(new)

    def aborted_above(self, row: Row) -> Row | None:
        """The nearest ancestor aborted by a request."""
        if row.parent is None:
            return None
        parent = self.rows[row.action.id.run_name, row.parent]
        return parent if parent.abort is not None else self.aborted_above(parent)

    def advance(self, updates: Sequence[tuple[tuple[str, str], PhaseUpdate]], now: Window) -> list[bool]:
        """Applies updates; returns for each whether the action is then in its phase."""
        ended = {key for key, _ in updates if self.rows[key].phase in TERMINAL}
        applied = [self.rows[key].advance(update, now) for key, update in updates]
        reopened = {key for key in ended if self.rows[key].phase not in TERMINAL}
        above = {key: self.aborted_above(self.rows[key]) for key in reopened}
        stopped = {key: row for key, row in above.items() if row is not None}
        for key, row in stopped.items():
            self.rows[key].request_abort(row.abort_reason, now)
        return [each and key not in stopped for each, (key, _) in zip(applied, updates, strict=True)]

    def request_abort(self, run: str, name: str, reason: str | None, now: Window) -> bool:
        """Requests an abort; returns whether it aborts the action or else an unfinished descendant."""
        row = self.rows[run, name]
        if row.request_abort(reason, now):
            return True
        return not row.unconfirmed and any(
            [each.request_abort(reason, now) for each in self.below(run, name)]
        )

    def _new(self, batch: Iterable[NewAction]) -> dict[tuple[str, str], NewAction]:
        new: dict[tuple[str, str], NewAction] = {}
        for action in batch:
            key = action.id.run_name, action.id.name
            if key not in self.rows:
                new.setdefault(key, action)
        return new
