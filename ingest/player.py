"""Plays a plan in real time: step by step, until it ends or is aborted."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from ingest.aborts import AbortsOfRun
from ingest.executor import Executor
from ingest.history import Progress
from ingest.plan import Json, Note, Plan, PlannedAction, Step
from repo.domain.phases import ActionPhase

_Due = tuple[PlannedAction, Step]
_LOOK_AGAIN_S = 5.0
"""How long to wait at the most for what may be asked."""


class Player:
    """Plays one plan as an executor: what is due is reported, and aborts are honoured.

    A plan that was played in part goes on where it was. An action that is aborted takes its descendants
    with it; what depends on it never starts; and an action above it fails where it would have succeeded.
    Of what is asked to stop nothing more is reported until it is gone; what is deaf for a number of
    requests is gone, and with it what it is part of, when it is asked once more.
    """

    def __init__(
        self,
        executor: Executor,
        plan: Plan,
        aborts: AbortsOfRun,
        *,
        speed: float = 1,
        tick_s: float = 0.25,
        progress: Progress = lambda done, total: None,
    ) -> None:
        """`speed` is seconds of the plan per second; what falls due within a tick goes out together."""
        self._executor = executor
        self._plan = plan
        self._aborts = aborts
        self._speed = speed
        self._tick_s = tick_s
        self._progress = progress
        self._waiting: deque[_Due] = deque()
        self._reached: dict[str, tuple[int, ActionPhase]] = {}
        self._lost: set[str] = set()
        self._gone: set[str] = set()
        self.begun = False
        """Whether the server knows of the run."""
        self._position = 0
        self._resumed_at = datetime.now(UTC)

    async def play(self) -> ActionPhase:
        """The phase in which the run ended. Raises ApiError."""
        root = self._plan.root.name
        await self._catch_up()
        clock = asyncio.get_running_loop()
        began = clock.time()
        self._resumed_at = datetime.now(UTC)
        while True:
            unheeded = await self._honour_aborts()
            if root in self._gone:
                return ActionPhase.ABORTED
            if not unheeded and (not self._waiting or root in self._lost):
                return ActionPhase.ABORTED if root in self._lost else self._reached[root][1]
            now_ms = self._position + (clock.time() - began) * 1000 * self._speed
            due = []
            while self._waiting and self._waiting[0][1].offset_ms <= now_ms:
                due.append(self._waiting.popleft())
            await self._report(due)
            self._tell()
            if self._waiting:
                until_next = (self._waiting[0][1].offset_ms - now_ms) / 1000 / self._speed
                await self._aborts.wait(min(max(until_next, self._tick_s), _LOOK_AGAIN_S))
            elif unheeded:
                await self._aborts.wait(_LOOK_AGAIN_S)

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
        await self._executor.report(created)
        self.begun = self._plan.root.name in self._reached
        # Before the phases: whoever sees a phase finds the state that goes with it.
        for name, state in states.items():
            await self._executor.update_state(self._plan.id_input(name), state)
        await self._executor.report([], events, phases)

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
        """Whether something that is asked to stop does not heed it yet."""
        root = self._plan.root
        asked = await self._aborts.asked()
        if (
            asked.ended
            and root.name not in asked.attempts
            and not self._reached.get(root.name, (0, ActionPhase.QUEUED))[1].is_terminal
        ):
            await self._stop(root, 1)
        unheeded = False
        for name, attempts in asked.attempts.items():
            action = self._plan.by_name.get(name)
            if action is None or name in self._gone:
                continue
            self._lose(action)
            if attempts > self._deaf_for(action):
                await self._stop(action, attempts)
            else:
                unheeded = True
        return unheeded

    def _deaf_for(self, action: PlannedAction) -> int:
        """How many requests are not heeded by the action or by what is at work below it."""
        at_work = [action]
        for below in self._plan.descendants(action.name):
            reached = self._reached.get(below.name)
            if reached is not None and not reached[1].is_terminal:
                at_work.append(below)
        return max(each.deaf_for for each in at_work)

    async def _stop(self, action: PlannedAction, attempts: int) -> None:
        self._lose(action)
        now = datetime.now(UTC)
        events: list[Json] = []
        phases: list[Json] = []
        for gone in (action, *self._plan.descendants(action.name)):
            reached = self._reached.get(gone.name)
            if reached is None or (reached[1].is_terminal and gone is not action):
                continue
            step = _aborted(Step(0, ActionPhase.ABORTED, attempt=reached[0]), "aborted on request")
            if gone.deaf_for:
                message = f"Killed at request {attempts}: it did not heed those before"
                step = replace(step, notes=(Note("Killing", message, warning=True),))
            events.append(self._plan.event_input(gone, step, now))
            phases.append(self._plan.phase_input(gone, step, None, now))
            self._reached[gone.name] = step.rank
        await self._executor.report([], events, phases)
        await self._executor.clear_abort_request(self._plan.id_input(action.name))
        self._gone.add(action.name)
        self._aborts.confirmed(action.name)
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
