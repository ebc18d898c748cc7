"""Sample data in which every field is set, and argument values that match it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from graph.schema.types.node_ids import id_of
from repo import (
    ActionError,
    ActionPhase,
    ActionRepo,
    ArtifactKind,
    CacheStatus,
    ClusterEvent,
    ErrorKind,
    Identity,
    IdentityKind,
    Label,
    LogLevel,
    LogLink,
    NewAction,
    NewArtifact,
    NewEvent,
    NewLogLine,
    RunIdentifier,
    RunSource,
    TaskIdentifier,
    TriggerIdentifier,
)
from tests.support.making import action


@dataclass(frozen=True)
class World:
    """The sample data, and argument values that match it."""

    repository: ActionRepo
    texts: dict[str, list[str]]


async def fill(repository: ActionRepo, project: str = "p", domain: str = "d") -> None:
    """Creates three runs: with all fields set, with some, and with none."""
    task, identity = TaskIdentifier(project, domain, "load", "v1"), Identity(IdentityKind.USER, "u", "U")
    now = datetime(2026, 1, 1, 12, 0, 0, 500000, UTC)
    error = ActionError(ErrorKind.USER, "no\n" * 20 + "the end", "E1")
    for number in range(3):
        run = RunIdentifier(project, domain, f"r{number}")
        full: dict[str, Any] = {"task": task, "created_by": identity, "spec": {"n": [1, None, 2.5, "x"]}}
        if number == 0:
            full |= {
                "source": RunSource.CLI,
                "labels": (Label("b", "2"), Label("a", "1")),
                "trigger": TriggerIdentifier("load", "nightly", 3),
                "update_triggered_at": True,
            }
        await repository.actions.create(
            [NewAction(action("a0", run), **(full if number < 2 else {}))]
            + [
                NewAction(
                    action(f"a{i}", run),
                    parent_name=f"a{(i - 1) // 2}",
                    group="g" if i % 2 else None,
                    dependencies=tuple(f"a{j}" for j in range(1, i, 3)),
                )
                for i in range(1, 7)
            ]
        )
        for attempt, phase in ((1, ActionPhase.FAILED), (2, ActionPhase.RUNNING)):
            await repository.update_action_phase(action("a1", run), phase, attempt)
        events = [
            NewEvent(
                action(f"a{i}", run),
                attempt,
                phase,
                now,
                error=error if phase is ActionPhase.FAILED else None,
                logs=(LogLink("out", "file:///log"),),
                outputs={"k": 1},
                cluster="c" if i % 2 else None,
                cache_status=CacheStatus.HIT if i % 2 else None,
                cluster_events=(ClusterEvent(now, "pulled", None, True),),
            )
            for i in range(4)
            for attempt, phase in (
                (1, ActionPhase.RUNNING),
                (1, ActionPhase.FAILED),
                (2, ActionPhase.RUNNING),
            )
        ]
        await repository.insert_events(events)
        lines = [NewLogLine(f"{project} line {n}", now, LogLevel.ERROR if n == 2 else None) for n in range(4)]
        await repository.logs.append(action("a1", run), lines, offset=1)
        outputs = NewArtifact(action("a1", run), 1, ArtifactKind.OUTPUTS, "out", "application/json", now)
        await repository.artifacts.store(outputs, b'{"k": [1, null]}')
        await repository.notes.add(run, "looking into it", identity)
    await repository.update_action_phase(
        action("a2", RunIdentifier(project, domain, "r0")), ActionPhase.SUCCEEDED, 1
    )
    await repository.abort_run(RunIdentifier(project, domain, "r1"), "enough", identity)
    await repository.update_action_state(action("a3", RunIdentifier(project, domain, "r0")), "state")


async def words(repository: ActionRepo) -> dict[str, list[str]]:
    """Argument values by name: of existing rows, and some of missing ones."""
    runs, actions = await repository.runs.page(), await repository.list_actions()
    events = await repository.list_events(actions.items[-1].identifier)
    known: list[Any] = [*runs.items, *actions.items[:4], *events]
    ids: list[str] = list(map(id_of, known))
    return {
        "": ["a1", "load", "nope"],
        "id": [*ids, "bad"],
        "project": sorted({run.project for run in runs.items}),
        "domain": sorted({run.domain for run in runs.items}),
        "name": ["r0", "r1", "a0", "a1", "a3", "nope"],
        "runName": ["r0", "r1", "nope"],
        "after": [actions.cursors[2], runs.cursors[0], "bad"],
        "before": [actions.cursors[-2], runs.cursors[-1], "bad"],
        "parentName": ["a0", "a1"],
        "search": ["a", "r", "nope"],
        "path": ["n", "k", "nope"],
    }
