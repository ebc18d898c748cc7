"""Reports what the demo's actions put out, while they run and afterwards."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from ingest.client import ApiError
from ingest.demo.output import Attempt, artifacts, attempts_of, lines, metrics, progress
from ingest.executor import Executor
from ingest.plan import Json, Plan
from repo.domain.phases import ActionPhase

Reached = Mapping[str, tuple[int, ActionPhase]]
"""The attempts and phases of actions by name."""

_TICK_S = 2.0
_MIN_TICK_S = 0.25


class Narrator:
    """Writes the logs, progress, metrics and files of a run. Repeating it changes nothing: each line has its
    number."""

    def __init__(self, executor: Executor, plan: Plan, *, speed: float = 1) -> None:
        """`speed` is seconds of the plan per second."""
        self._executor = executor
        self._plan = plan
        self._speed = speed
        self._began: dict[tuple[str, int], datetime] = {}
        self._written: dict[tuple[str, int], int] = {}
        self._ended: set[tuple[str, int]] = set()
        self._over = asyncio.Event()
        self._children: dict[str, list[str]] = {}
        for action in plan.actions:
            if action.parent_name not in (None, plan.root.name):
                self._children.setdefault(str(action.parent_name), []).append(action.name)
        self._counts: dict[str, int] = {}
        self._attempts: dict[str, dict[int, Attempt]] = {
            action.name: attempts_of(plan, action) for action in plan.actions
        }

    async def follow(self, reached: Callable[[], Reached]) -> None:
        """Writes about the actions that run, until `end` is called."""
        tick_s = max(_MIN_TICK_S, _TICK_S / self._speed)
        while not self._over.is_set():
            await self.write(reached())
            with suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), tick_s)
        await self.write(reached())

    def end(self) -> None:
        """The run has ended."""
        self._over.set()

    async def write(self, reached: Reached) -> None:
        """Writes what has become due. A server that refuses it does not stop the run; it is sent again with
        what is due next."""
        now = datetime.now(UTC)
        written, ended, counts = self._written.copy(), self._ended.copy(), self._counts.copy()
        logs: list[Json] = []
        reports: list[Json] = []
        files: list[Json] = []
        for name, (number, phase) in reached.items():
            for attempt in self._attempts.get(name, {}).values():
                key = name, attempt.number
                is_current = attempt.number == number
                if (
                    attempt.number > number
                    or key in self._ended
                    or (is_current and phase < ActionPhase.RUNNING)
                ):
                    continue
                began = self._began.setdefault(key, now)
                ends = not is_current or phase.is_terminal
                elapsed = attempt.seconds if ends else (now - began).total_seconds() * self._speed
                logs += self._new_lines(attempt, began, elapsed)
                if is_current:
                    reports.append(self._report(attempt, elapsed))
                if ends:
                    self._ended.add(key)
                    if not is_current or phase is attempt.last.phase:
                        files += [self._of(attempt) | file for file in artifacts(attempt)]
        reports += self._parents(reached)
        try:
            await self._send(logs, reports, files)
        except ApiError:
            # Such as a quota or a time limit: what the run reports of itself counts.
            self._written, self._ended, self._counts = written, ended, counts

    async def write_history(self) -> None:
        """Writes the logs and files of a finished run, with its planned times."""
        for action in self._plan.actions:
            for attempt in self._attempts[action.name].values():
                start = action.start_of(attempt.number)
                if start is not None and not attempt.is_trial:
                    self._began[action.name, attempt.number] = self._plan.time_at(start)
        ends = {action.name: action.steps[-1].rank for action in self._plan.actions}
        await self.write({name: end for name, end in ends.items() if (name, 1) in self._began})

    def _new_lines(self, attempt: Attempt, began: datetime, elapsed: float) -> list[Json]:
        key = attempt.action.name, attempt.number
        written = self._written.get(key, 0)
        due = [line for line in lines(attempt) if line.at <= elapsed]
        self._written[key] = len(due)
        inputs: list[Json] = []
        for stream in ("stdout", "stderr"):
            offset = sum(line.stream == stream for line in due[:written])
            new = [
                {
                    "text": line.text,
                    "level": line.level,
                    "at": (began + timedelta(seconds=line.at / self._speed)).isoformat(),
                }
                for line in due[written:]
                if line.stream == stream
            ]
            if new:
                inputs.append(self._of(attempt) | {"stream": stream, "lines": new, "offset": offset})
        return inputs

    def _report(self, attempt: Attempt, elapsed: float) -> Json:
        return {
            "id": self._plan.id_input(attempt.action.name),
            "attempt": attempt.number,
            "progress": progress(attempt, elapsed),
            "metrics": metrics(attempt, elapsed),
        }

    def _parents(self, reached: Reached) -> list[Json]:
        """How many children of an action have ended, where that has changed."""
        found: list[Json] = []
        for name, children in self._children.items():
            if reached.get(name, (0, ActionPhase.QUEUED))[1] is not ActionPhase.RUNNING:
                continue
            done = sum(child in reached and reached[child][1].is_terminal for child in children)
            if self._counts.get(name) != done:
                self._counts[name] = done
                steps = {"done": done, "total": len(children), "message": "steps"}
                found.append({"id": self._plan.id_input(name), "progress": steps})
        return found

    def _of(self, attempt: Attempt) -> Json:
        return {"action": self._plan.id_input(attempt.action.name), "attempt": attempt.number}

    async def _send(self, logs: Sequence[Json], reports: Sequence[Json], files: Sequence[Json]) -> None:
        await self._executor.append_logs(logs)
        await self._executor.report_items(reports)
        await self._executor.store_artifacts(files)
