"""Builds the demo's plans: actions with realistic steps, logs, events and retries."""

import random
from dataclasses import dataclass, field
from datetime import datetime

from ingest.plan import Json, Note, Plan, PlannedAction, Step
from repo.domain.identifiers import RunIdentifier
from repo.domain.phases import ActionPhase, CacheStatus

VERSION = "2024.11"
CLUSTERS = ("cluster-east", "cluster-west")


@dataclass(frozen=True, slots=True)
class Failure:
    """How an attempt ends that does not succeed."""

    kind: str
    code: str
    message: str
    phase: ActionPhase = ActionPhase.FAILED

    def event(self) -> Json:
        """The event's fields."""
        return {"error": {"kind": self.kind, "code": self.code, "message": self.message}}


@dataclass(slots=True)
class _Draft:
    parent_name: str | None
    fields: Json
    dependencies: tuple[str, ...]
    deaf_for: int = 0
    steps: list[Step] = field(default_factory=list)


class Script:
    """Collects the actions of one run. Times are seconds since it began."""

    def __init__(self, run: RunIdentifier, rng: random.Random, pace: float) -> None:
        """`pace` stretches every time."""
        self.run = run
        self.rng = rng
        self._pace = pace
        self._drafts: dict[str, _Draft] = {}

    def plan(self, began_at: datetime) -> Plan:
        """What was written down."""
        actions = (
            PlannedAction(
                name,
                draft.parent_name,
                tuple(draft.steps),
                draft.fields,
                draft.dependencies,
                draft.deaf_for,
            )
            for name, draft in self._drafts.items()
        )
        return Plan(self.run, began_at, tuple(actions))

    def open(
        self,
        name: str,
        parent: str | None,
        at: float,
        *,
        after: tuple[str, ...] = (),
        state: str | None = None,
        **fields: object,
    ) -> None:
        """An action that others are below: it runs from `at` until it is closed."""
        self._draft(name, parent, at, after, fields)
        self._step(name, at + 0.4, ActionPhase.RUNNING, state=state)

    def close(self, name: str, at: float, failure: Failure | None = None, state: str | None = None) -> None:
        """The end of an action that was opened."""
        if failure is None:
            self._step(name, at, ActionPhase.SUCCEEDED, state=state)
        else:
            self._step(name, at, failure.phase, event=failure.event(), state=state)

    def task(
        self,
        name: str,
        parent: str,
        at: float,
        seconds: float,
        *,
        after: tuple[str, ...] = (),
        failures: tuple[Failure, ...] = (),
        gives_up: bool = False,
        cache: CacheStatus = CacheStatus.DISABLED,
        outputs: Json | None = None,
        deaf_for: int = 0,
        **fields: object,
    ) -> float:
        """An action that does the work, and when it ends: each failure is an attempt of `seconds`, and
        after them one succeeds, unless it gives up. So many requests to stop it are not heeded."""
        self._draft(name, parent, at, after, fields)
        self._drafts[name].deaf_for = deaf_for
        now = at
        attempts = len(failures) + (not gives_up)
        for attempt in range(1, attempts + 1):
            if attempt > 1:
                now += 1
                self._step(name, now, ActionPhase.QUEUED, attempt=attempt)
            failure = failures[attempt - 1] if attempt <= len(failures) else None
            now = self._attempt(name, attempt, now, seconds, failure, cache, outputs)
        return now

    def cached(self, name: str, parent: str, at: float, outputs: Json, **fields: object) -> float:
        """An action whose outputs were in the cache, and when it ends."""
        self._draft(name, parent, at, (), fields)
        end = at + 0.8
        self._step(name, end, ActionPhase.SUCCEEDED, cache_status=CacheStatus.HIT, event={"outputs": outputs})
        return end

    def approval(
        self, name: str, parent: str, at: float, waits: float, *, after: tuple[str, ...], **fields: object
    ) -> float:
        """A condition that is paused until somebody approves, and when that is."""
        self._draft(name, parent, at, after, {"type": "CONDITION", **fields})
        self._step(name, at + 0.5, ActionPhase.RUNNING)
        self._step(name, at + 1, ActionPhase.PAUSED, state="waiting for approval")
        end = at + 1 + waits
        self._step(name, end, ActionPhase.SUCCEEDED, state="approved", event={"outputs": {"approved": True}})
        return end

    def interrupt(self, name: str, at: float, message: str) -> None:
        """Replace what would come at `at` or later by the action's end: it is aborted."""
        draft = self._drafts[name]
        offset = self._offset(at)
        draft.steps = [step for step in draft.steps if step.offset_ms < offset] or draft.steps[:1]
        event = Failure("SYSTEM", "RUN_FAILED", message).event()
        last = draft.steps[-1]
        offset = max(offset, last.offset_ms)
        draft.steps.append(Step(offset, ActionPhase.ABORTED, attempt=last.attempt, event=event))

    def recovered(self, name: str, parent: str, at: float, outputs: Json, **fields: object) -> float:
        """An action whose result an earlier run left behind, and when it ends."""
        self._draft(name, parent, at, (), fields)
        self._step(name, at + 0.6, ActionPhase.RECOVERED, event={"outputs": outputs})
        return at + 0.6

    def _draft(
        self, name: str, parent: str | None, at: float, after: tuple[str, ...], fields: dict[str, object]
    ) -> None:
        function = str(fields.get("functionName") or name)
        task = {
            "project": self.run.project,
            "domain": self.run.domain,
            "name": f"demo.{function}",
            "version": VERSION,
        }
        own: Json = {"functionName": function, "environmentName": "python-3.11", "taskType": "python"}
        self._drafts[name] = _Draft(parent, {"task": task, **own, **fields}, after)
        self._step(name, at, ActionPhase.QUEUED)

    def _attempt(
        self,
        name: str,
        attempt: int,
        at: float,
        seconds: float,
        failure: Failure | None,
        cache: CacheStatus,
        outputs: Json | None,
    ) -> float:
        rng = self.rng
        cluster = rng.choice(CLUSTERS)
        place: Json = {"cluster": cluster}
        now = at
        if rng.random() < 0.3:
            now += rng.uniform(0.5, 2)
            note = Note("FailedScheduling", "0 of 12 nodes have 4 free cores", warning=True)
            self._step(name, now, ActionPhase.WAITING_FOR_RESOURCES, attempt=attempt, notes=(note,))
        now += rng.uniform(0.3, 1.5)
        note = Note("Pulled", f"Image demo/worker:{VERSION} was pulled")
        self._step(name, now, ActionPhase.INITIALIZING, attempt=attempt, event=place, notes=(note,))
        now += rng.uniform(0.3, 1)
        address = f"https://logs.example.com/{self.run.name}/{name}/{attempt}"
        logs = [{"name": stream, "uri": f"{address}/{stream}"} for stream in ("stdout", "stderr")]
        running: Json = {**place, "logs": logs}
        self._step(name, now, ActionPhase.RUNNING, attempt=attempt, event=running, cache_status=cache)
        now += seconds
        if failure:
            notes = (Note(failure.code, failure.message, warning=True),)
            event = {**place, **failure.event()}
            self._step(name, now, failure.phase, attempt=attempt, event=event, notes=notes)
        else:
            info = {"avgCPU": round(rng.uniform(20, 98), 1), "memoryInBytes": rng.randrange(1, 64) * 2**26}
            event = {**place, "info": info, "outputs": outputs}
            stored = CacheStatus.POPULATED if cache is CacheStatus.MISS else cache
            self._step(name, now, ActionPhase.SUCCEEDED, attempt=attempt, event=event, cache_status=stored)
        return now

    def _offset(self, at: float) -> int:
        return round(at * 1000 * self._pace)

    def _step(
        self,
        name: str,
        at: float,
        phase: ActionPhase,
        *,
        attempt: int = 1,
        cache_status: CacheStatus = CacheStatus.DISABLED,
        event: Json | None = None,
        notes: tuple[Note, ...] = (),
        state: str | None = None,
    ) -> None:
        step = Step(self._offset(at), phase, attempt, cache_status, event or {}, notes, state)
        self._drafts[name].steps.append(step)
