"""Plays a plan in real time: step by step, until it ends or is aborted."""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from ingest.aborts import RunAborts
from ingest.executor import Executor
from ingest.history import OnProgress
from ingest.plan import ClusterEvent, Json, Plan, PlannedAction, Step
from repo.domain.phases import ActionPhase

_Due = tuple[PlannedAction, Step]
_MAX_WAIT_S = 5.0
"""The maximum seconds between two checks for aborts."""


class Player:
    """Plays a plan as an executor: reports steps when they are due, and handles aborts. A partly played plan
    is resumed. Aborting an action stops its descendants; actions that depend on it never start, and its
    ancestors fail instead of succeeding. An action with a pending abort reports nothing more until it has
    stopped. An action that ignores a number of requests stops, together with its aborted ancestor, at the
    request after them."""

    def __init__(
        self,
        executor: Executor,
        plan: Plan,
        aborts: RunAborts,
        *,
        speed: float = 1,
        tick_s: float = 0.25,
        progress: OnProgress = lambda done, total: None,
    ) -> None:
        """`speed` is seconds of the plan per second; steps due within a tick are reported together."""
        self._executor = executor
        self._plan = plan
        self._aborts = aborts
        self._speed = speed
        self._tick_s = tick_s
        self._progress = progress
        self._waiting: deque[_Due] = deque()
        self._reached: dict[str, tuple[int, ActionPhase]] = {}
        self._cancelled: set[str] = set()
        self._stopped: set[str] = set()
        self.started = False
        """Whether the run has been created."""
        self._position = 0
        self._resumed_at = datetime.now(UTC)

    @property
    def reached(self) -> Mapping[str, tuple[int, ActionPhase]]:
        """The attempts and phases that were reported, by action."""
        return self._reached

    async def play(self) -> ActionPhase:
        """Plays until the run ends; returns its phase. Raises ApiError."""
        root = self._plan.root.name
        await self._resume()
        clock = asyncio.get_running_loop()
        began = clock.time()
        self._resumed_at = datetime.now(UTC)
        while True:
            ignored = await self._handle_aborts()
            if root in self._stopped:
                return ActionPhase.ABORTED
            if not ignored and (not self._waiting or root in self._cancelled):
                return ActionPhase.ABORTED if root in self._cancelled else self._reached[root][1]
            now_ms = self._position + (clock.time() - began) * 1000 * self._speed
            due = []
            while self._waiting and self._waiting[0][1].offset_ms <= now_ms:
                due.append(self._waiting.popleft())
            await self._report(due)
            self._report_progress()
            if self._waiting:
                until_next = (self._waiting[0][1].offset_ms - now_ms) / 1000 / self._speed
                await self._aborts.wait(min(max(until_next, self._tick_s), _MAX_WAIT_S))
            elif ignored:
                await self._aborts.wait(_MAX_WAIT_S)

    async def _resume(self) -> None:
        """Resumes after what an earlier player reported."""
        stored = await self._executor.stored_actions(self._plan)
        self._reached = {name: known.rank for name, known in stored.items() if name in self._plan.by_name}
        for action in self._plan.actions:
            reached = self._reached.get(action.name)
            if reached and reached[1] is ActionPhase.ABORTED and action.steps[-1].rank != reached:
                self._cancel(action)
        for action, step in _in_order(self._plan):
            reached = self._reached.get(action.name)
            if reached and reached >= step.rank:
                self._position = max(self._position, step.offset_ms)
            # The last step may have been reported partly.
            if not reached or reached < step.rank or (reached == step.rank and not step.phase.is_terminal):
                self._waiting.append((action, step))
        if self._reached.get(self._plan.root.name, (0, ActionPhase.QUEUED))[1].is_terminal:
            self._waiting.clear()

    def _report_progress(self) -> None:
        ended = sum(phase.is_terminal for _, phase in self._reached.values())
        self._progress(ended, len(self._plan.actions))

    async def _report(self, due: Sequence[_Due]) -> None:
        created: list[Json] = []
        events: list[Json] = []
        phases: list[Json] = []
        states: dict[str, str] = {}
        ended: list[PlannedAction] = []
        reported_at = datetime.now(UTC).isoformat()
        for action, planned in due:
            step = self._adjust(action, planned)
            if step is None:
                continue
            at = self._wall_time(step.offset_ms)
            if action.name not in self._reached:
                created.append(self._plan.create_input(action, at))
                if action.parent_name is None:
                    created[-1]["triggeredAt"] = at.isoformat()
            events.append(self._plan.event_input(action, step, at) | {"reportedAt": reported_at})
            started_at = at if step.phase is ActionPhase.RUNNING else None
            phases.append(self._plan.phase_input(action, step, started_at, at))
            if step.state is not None:
                states[action.name] = step.state
            if step is action.steps[-1]:
                ended.append(action)
            self._reached[action.name] = step.rank
        await self._executor.report(created)
        self.started = self._plan.root.name in self._reached
        # Before the phases: when a phase is visible, its state is stored.
        for name, state in states.items():
            await self._executor.update_state(self._plan.id_input(name), state)
        await self._executor.write_output(self._plan, ended, self._wall_time)
        await self._executor.report([], events, phases)

    def _adjust(self, action: PlannedAction, step: Step) -> Step | None:
        """The step, changed by aborts; None if it no longer happens."""
        if action.name in self._cancelled:
            return None
        if any(name in self._cancelled for name in action.dependencies):
            self._cancel(action)
            if action.name not in self._reached:
                return None
            return _aborted(replace(step, attempt=self._reached[action.name][0]), "a dependency was aborted")
        if step is action.steps[-1] and step.phase is ActionPhase.SUCCEEDED:
            aborted = [
                below.name for below in self._plan.descendants(action.name) if below.name in self._cancelled
            ]
            if aborted:
                message = (
                    f"{aborted[0]} was aborted"
                    if len(aborted) == 1
                    else f"{len(aborted)} actions were aborted"
                )
                error = {"kind": "USER", "code": "CHILD_ABORTED", "message": message}
                return replace(step, phase=ActionPhase.FAILED, event={"error": error})
        return step

    def _wall_time(self, offset_ms: int) -> datetime:
        """The wall-clock time of a step; never in the future."""
        due = self._resumed_at + timedelta(milliseconds=(offset_ms - self._position) / self._speed)
        return min(max(due, self._resumed_at), datetime.now(UTC))

    def _cancel(self, action: PlannedAction) -> None:
        self._cancelled.add(action.name)
        self._cancelled.update(below.name for below in self._plan.descendants(action.name))

    async def _handle_aborts(self) -> bool:
        """Stops actions with pending aborts; returns whether some ignored the request."""
        root = self._plan.root
        pending = await self._aborts.pending()
        if (
            pending.ended
            and root.name not in pending.attempts
            and not self._reached.get(root.name, (0, ActionPhase.QUEUED))[1].is_terminal
        ):
            await self._stop(root, 1)
        ignored = False
        # Parents first: the confirmation of an abort also confirms those below.
        for action in self._plan.actions if pending.attempts else ():
            attempts = pending.attempts.get(action.name)
            if attempts is None or action.name in self._stopped:
                continue
            self._cancel(action)
            if attempts > self._ignored_aborts(action):
                await self._stop(action, attempts)
            else:
                ignored = True
        return ignored

    def _ignored_aborts(self, action: PlannedAction) -> int:
        """The number of requests that the action or a running descendant ignores."""
        at_work = [action]
        for below in self._plan.descendants(action.name):
            reached = self._reached.get(below.name)
            if reached is not None and not reached[1].is_terminal:
                at_work.append(below)
        return max(each.ignored_aborts for each in at_work)

    async def _stop(self, action: PlannedAction, attempts: int) -> None:
        self._cancel(action)
        now = datetime.now(UTC)
        events: list[Json] = []
        phases: list[Json] = []
        for each in (action, *self._plan.descendants(action.name)):
            reached = self._reached.get(each.name)
            if reached is None or (reached[1].is_terminal and each is not action):
                continue
            step = _aborted(Step(0, ActionPhase.ABORTED, attempt=reached[0]), "aborted on request")
            if each.ignored_aborts:
                message = f"Killed at request {attempts}: earlier requests were ignored"
                step = replace(step, cluster_events=(ClusterEvent("Killing", message, warning=True),))
            events.append(self._plan.event_input(each, step, now))
            phases.append(self._plan.phase_input(each, step, None, now))
            self._reached[each.name] = step.rank
        await self._executor.report([], events, phases)
        await self._executor.clear_abort_request(self._plan.id_input(action.name))
        for each in (action, *self._plan.descendants(action.name)):
            self._stopped.add(each.name)
            self._aborts.confirmed(each.name)
        self._report_progress()


def _aborted(step: Step, message: str) -> Step:
    error = {"kind": "USER", "code": "ABORTED", "message": message}
    return replace(step, phase=ActionPhase.ABORTED, event={"error": error}, cluster_events=(), state=None)


def _in_order(plan: Plan) -> list[_Due]:
    """All steps by time. At equal times, parents begin before their children and end after them."""
    steps = []
    for index, action in enumerate(plan.actions):
        for step in action.steps:
            ends = step is action.steps[-1] and len(action.steps) > 1
            key = (step.offset_ms, ends, -index if ends else index, step.rank)
            steps.append((key, (action, step)))
    return [due for _, due in sorted(steps, key=lambda item: item[0])]
