"""Owns how a plan is played as it would happen: step by step, at its pace, until it ends or is aborted."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from ingest.executor import Executor
from ingest.history import Progress
from ingest.plan import Json, Plan, PlannedAction, Step
from repo.phases import ActionPhase

_Due = tuple[PlannedAction, Step]


class Player:
    """Plays one plan as an executor: what is due is reported, and aborts are honoured.

    A plan that was played in part goes on where it was. An action that is aborted takes its descendants
    with it; what depends on it never starts; and an action above it fails where it would have succeeded.
    """

    def __init__(
        self,
        executor: Executor,
        plan: Plan,
        *,
        speed: float = 1,
        tick_s: float = 0.25,
        poll_s: float = 1,
        progress: Progress = lambda done, total: None,
    ) -> None:
        """`speed` is seconds of the plan per second; what falls due within a tick goes out together, and
        aborts are asked for every `poll_s` seconds."""
        self._executor = executor
        self._plan = plan
        self._speed = speed
        self._tick_s = tick_s
        self._poll_s = poll_s
        self._progress = progress
        self._waiting: deque[_Due] = deque()
        self._reached: dict[str, tuple[int, ActionPhase]] = {}
        self._lost: set[str] = set()
        self._position = 0
        self._resumed_at = datetime.now(UTC)

    async def play(self) -> ActionPhase:
        """The phase in which the run ended. Raises ApiError."""
        root = self._plan.root.name
        await self._catch_up()
        clock = asyncio.get_running_loop()
        began = clock.time()
        polled = began - self._poll_s
        self._resumed_at = datetime.now(UTC)
        while True:
            if clock.time() - polled >= self._poll_s:
                polled = clock.time()
                if await self._honour_aborts():
                    return ActionPhase.ABORTED
            if not self._waiting:
                return self._reached[root][1]
            now_ms = self._position + (clock.time() - began) * 1000 * self._speed
            due = []
            while self._waiting and self._waiting[0][1].offset_ms <= now_ms:
                due.append(self._waiting.popleft())
            await self._report(due)
            self._tell()
            if self._waiting:
                until_next = (self._waiting[0][1].offset_ms - now_ms) / 1000 / self._speed
                await asyncio.sleep(min(max(until_next, self._tick_s), self._poll_s))

    async def _catch_up(self) -> None:
        """Find out where an earlier player stopped."""
        stored = await self._executor.stored_actions(self._plan)
        self._reached = {name: known.rank for name, known in stored.items() if name in self._plan.by_name}
        for action in self._plan.actions:
            reached = self._reached.get(action.name)
            if reached and reached[1] is ActionPhase.ABORTED and action.steps[-1].rank != reached:
                self._lose(action)
        for action, step in _in_order(self._plan):
            reached = self._reached.get(action.name)
            if reached and reached >= step.rank:
                self._position = max(self._position, step.offset_ms)
            # The last step that was reached may have been reported in part.
            if not reached or reached < step.rank or (reached == step.rank and not step.phase.is_terminal):
                self._waiting.append((action, step))
        if self._reached.get(self._plan.root.name, (0, ActionPhase.QUEUED))[1].is_terminal:
            self._waiting.clear()

    def _tell(self) -> None:
        ended = sum(phase.is_terminal for _, phase in self._reached.values())
        self._progress(ended, len(self._plan.actions))

    async def _report(self, due: Sequence[_Due]) -> None:
        created: list[Json] = []
        events: list[Json] = []
        phases: list[Json] = []
        states: dict[str, str] = {}
        reported_at = datetime.now(UTC).isoformat()
        for action, planned in due:
            step = self._as_it_goes(action, planned)
            if step is None:
                continue
            at = self._wall(step.offset_ms)
            if action.name not in self._reached:
                created.append(self._plan.create_input(action, at))
                if action.parent_name is None:
                    created[-1]["updateTriggeredAt"] = True
            events.append(self._plan.event_input(action, step, at) | {"reportedAt": reported_at})
            started_at = at if step.phase is ActionPhase.RUNNING else None
            phases.append(self._plan.phase_input(action, step, started_at, at))
            if step.state is not None:
                states[action.name] = step.state
            self._reached[action.name] = step.rank
        await self._executor.report(created, events, phases)
        for name, state in states.items():
            await self._executor.update_state(self._plan.id_input(name), state)

    def _as_it_goes(self, action: PlannedAction, step: Step) -> Step | None:
        """The step as it happens where something was lost, or None where it does not happen."""
        if action.name in self._lost:
            return None
        if any(name in self._lost for name in action.dependencies):
            self._lose(action)
            if action.name not in self._reached:
                return None
            return _aborted(
                replace(step, attempt=self._reached[action.name][0]), "what it waited for is gone"
            )
        if step is action.steps[-1] and step.phase is ActionPhase.SUCCEEDED:
            gone = [below.name for below in self._plan.descendants(action.name) if below.name in self._lost]
            if gone:
                message = f"{gone[0]} was aborted" if len(gone) == 1 else f"{len(gone)} actions were aborted"
                error = {"kind": "USER", "code": "CHILD_ABORTED", "message": message}
                return replace(step, phase=ActionPhase.FAILED, event={"error": error})
        return step

    def _wall(self, offset_ms: int) -> datetime:
        """When a step that was due falls, in the time that everybody shares; never in the future."""
        due = self._resumed_at + timedelta(milliseconds=(offset_ms - self._position) / self._speed)
        return min(max(due, self._resumed_at), datetime.now(UTC))

    def _lose(self, action: PlannedAction) -> None:
        self._lost.add(action.name)
        self._lost.update(below.name for below in self._plan.descendants(action.name))

    async def _honour_aborts(self) -> bool:
        """Whether the run is over."""
        root = self._plan.root
        phase, asked = await self._executor.aborts_of(self._plan)
        ended_by_others = (
            phase is not None
            and phase.is_terminal
            and not self._reached.get(root.name, (0, ActionPhase.QUEUED))[1].is_terminal
        )
        if ended_by_others and root.name not in asked:
            asked.insert(0, root.name)
        for name in asked:
            if name in self._plan.by_name:
                await self._abort(self._plan.by_name[name])
        return root.name in asked

    async def _abort(self, action: PlannedAction) -> None:
        identifier = self._plan.id_input(action.name)
        await self._executor.mark_abort_attempt(identifier)
        self._lose(action)
        now = datetime.now(UTC)
        events: list[Json] = []
        phases: list[Json] = []
        for gone in (action, *self._plan.descendants(action.name)):
            reached = self._reached.get(gone.name)
            if reached is None or (reached[1].is_terminal and gone is not action):
                continue
            step = _aborted(Step(0, ActionPhase.ABORTED, attempt=reached[0]), "aborted on request")
            events.append(self._plan.event_input(gone, step, now))
            phases.append(self._plan.phase_input(gone, step, None, now))
            self._reached[gone.name] = step.rank
        await self._executor.report([], events, phases)
        await self._executor.clear_abort_request(identifier)
        self._tell()


def _aborted(step: Step, message: str) -> Step:
    error = {"kind": "USER", "code": "ABORTED", "message": message}
    return replace(step, phase=ActionPhase.ABORTED, event={"error": error}, notes=(), state=None)


def _in_order(plan: Plan) -> list[_Due]:
    """All steps by time. At one moment parents begin before their children, and end after them."""
    steps = []
    for index, action in enumerate(plan.actions):
        for step in action.steps:
            ends = step is action.steps[-1] and len(action.steps) > 1
            key = (step.offset_ms, ends, -index if ends else index, step.rank)
            steps.append((key, (action, step)))
    return [due for _, due in sorted(steps, key=lambda item: item[0])]
