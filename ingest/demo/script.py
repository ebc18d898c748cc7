"""Builds the demo's plans: actions with realistic steps, logs, events and retries."""

import random
from dataclasses import dataclass, field
from datetime import datetime

from ingest.plan import ClusterEvent, Json, Plan, PlannedAction, Step
from repo.domain.identifiers import RunIdentifier
from repo.domain.phases import ActionPhase, CacheStatus

VERSION = "2024.11"
CLUSTERS = ("cluster-east", "cluster-west")


@dataclass(frozen=True, slots=True)
class Failure:
    """The end of an attempt that does not succeed."""

    kind: str
    code: str
    message: str
    phase: ActionPhase = ActionPhase.FAILED

    def event(self) -> Json:
        """The fields of its event."""
        return {"error": {"kind": self.kind, "code": self.code, "message": self.message}}


@dataclass(slots=True)
class _Draft:
    parent_name: str | None
    fields: Json
    dependencies: tuple[str, ...]
    ignored_aborts: int = 0
    steps: list[Step] = field(default_factory=list)


class Script:
    """Collects the actions of one run. Times are seconds since its beginning."""

    def __init__(self, run: RunIdentifier, rng: random.Random, pace: float) -> None:
        """All times are multiplied by `pace`."""
        self.run = run
        self.rng = rng
        self._pace = pace
        self._drafts: dict[str, _Draft] = {}

    def plan(self, began_at: datetime) -> Plan:
        """The plan of the collected actions."""
        actions = (
            PlannedAction(
                name,
                draft.parent_name,
                tuple(draft.steps),
                draft.fields,
                draft.dependencies,
                draft.ignored_aborts,
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
        """Starts an action with children: it runs from `at` until it is closed."""
        self._draft(name, parent, at, after, fields)
        self._step(name, at + 0.4, ActionPhase.RUNNING, state=state)

    def close(self, name: str, at: float, failure: Failure | None = None, state: str | None = None) -> None:
        """Ends an action that was opened."""
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
        exhausts_retries: bool = False,
        cache: CacheStatus = CacheStatus.DISABLED,
        outputs: Json | None = None,
        ignored_aborts: int = 0,
        **fields: object,
    ) -> float:
        """Adds an action and returns its end. Each failure is an attempt of `seconds`; the attempt after
        them succeeds, unless `exhausts_retries`. It ignores `ignored_aborts` abort requests."""
        self._draft(name, parent, at, after, fields)
        self._drafts[name].ignored_aborts = ignored_aborts
        now = at
        attempts = len(failures) + (not exhausts_retries)
        for attempt in range(1, attempts + 1):
            if attempt > 1:
                now += 1
                self._step(name, now, ActionPhase.QUEUED, attempt=attempt)
            failure = failures[attempt - 1] if attempt <= len(failures) else None
            now = self._attempt(name, attempt, now, seconds, failure, cache, outputs)
        return now

    def cached(self, name: str, parent: str, at: float, outputs: Json, **fields: object) -> float:
        """Adds an action whose outputs come from the cache; returns its end."""
        self._draft(name, parent, at, (), fields)
        end = at + 0.8
        self._step(name, end, ActionPhase.SUCCEEDED, cache_status=CacheStatus.HIT, event={"outputs": outputs})
        return end

    def approval(
        self, name: str, parent: str, at: float, waits: float, *, after: tuple[str, ...], **fields: object
    ) -> float:
        """Adds a condition that is paused until it is approved; returns its end."""
        self._draft(name, parent, at, after, {"type": "CONDITION", **fields})
        self._step(name, at + 0.5, ActionPhase.RUNNING)
        self._step(name, at + 1, ActionPhase.PAUSED, state="waiting for approval")
        end = at + 1 + waits
        self._step(name, end, ActionPhase.SUCCEEDED, state="approved", event={"outputs": {"approved": True}})
        return end

    def interrupt(self, name: str, at: float, message: str) -> None:
        """Aborts an action at `at`: its later steps are removed."""
        draft = self._drafts[name]
        offset = self._offset(at)
        draft.steps = [step for step in draft.steps if step.offset_ms < offset] or draft.steps[:1]
        event = Failure("SYSTEM", "RUN_FAILED", message).event()
        last = draft.steps[-1]
        offset = max(offset, last.offset_ms)
        draft.steps.append(Step(offset, ActionPhase.ABORTED, attempt=last.attempt, event=event))

    def recovered(self, name: str, parent: str, at: float, outputs: Json, **fields: object) -> float:
        """Adds an action recovered from an earlier run; returns its end."""
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
            cluster_event = ClusterEvent("FailedScheduling", "0 of 12 nodes have 4 free cores", warning=True)
            self._step(
                name, now, ActionPhase.WAITING_FOR_RESOURCES, attempt=attempt, cluster_events=(cluster_event,)
            )
        now += rng.uniform(0.3, 1.5)
        cluster_event = ClusterEvent("Pulled", f"Image demo/worker:{VERSION} was pulled")
        self._step(
            name, now, ActionPhase.INITIALIZING, attempt=attempt, event=place, cluster_events=(cluster_event,)
        )
        now += rng.uniform(0.3, 1)
        address = f"https://logs.example.com/{self.run.name}/{name}/{attempt}"
        logs = [{"name": stream, "uri": f"{address}/{stream}"} for stream in ("stdout", "stderr")]
        running: Json = {**place, "logs": logs}
        self._step(name, now, ActionPhase.RUNNING, attempt=attempt, event=running, cache_status=cache)
        now += seconds
        if failure:
            cluster_events = (ClusterEvent(failure.code, failure.message, warning=True),)
            event = {**place, **failure.event()}
            self._step(name, now, failure.phase, attempt=attempt, event=event, cluster_events=cluster_events)
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
        cluster_events: tuple[ClusterEvent, ...] = (),
        state: str | None = None,
    ) -> None:
        step = Step(self._offset(at), phase, attempt, cache_status, event or {}, cluster_events, state)
        self._drafts[name].steps.append(step)
