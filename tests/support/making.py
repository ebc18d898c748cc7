"""Builders of runs, actions and events."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from repo import (
    Action,
    ActionEvent,
    ActionIdentifier,
    ActionPhase,
    ActionRepo,
    Identity,
    IdentityKind,
    NewAction,
    NewEvent,
    PhaseUpdate,
    RunIdentifier,
)

T0 = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
RUN = RunIdentifier("etl", "production", "nightly-1")
ADA = Identity(IdentityKind.USER, "user-1", "User One", "user-1@example.com")


def at(seconds: float) -> datetime:
    """The time of that many seconds after T0."""
    return T0 + timedelta(seconds=seconds)


def action(name: str = "a0", run: RunIdentifier = RUN) -> ActionIdentifier:
    """The identifier of an action of `run`."""
    return ActionIdentifier(run.project, run.domain, run.name, name)


def new(name: str = "a0", parent: str | None = None, run: RunIdentifier = RUN, **rest: Any) -> NewAction:
    """An action to create."""
    return NewAction(action(name, run), parent_name=parent, **rest)


def event(
    name: str = "a0",
    phase: ActionPhase = ActionPhase.RUNNING,
    attempt: int = 1,
    seconds: float = 0,
    run: RunIdentifier = RUN,
    **rest: Any,
) -> NewEvent:
    """An event to insert."""
    return NewEvent(action(name, run), attempt, phase, at(seconds), **rest)


def update(
    name: str, phase: ActionPhase, attempts: int = 1, run: RunIdentifier = RUN, **rest: Any
) -> tuple[ActionIdentifier, PhaseUpdate]:
    """A phase update."""
    return action(name, run), PhaseUpdate(phase, attempts, **rest)


async def make_run(repository: ActionRepo, run: RunIdentifier = RUN, /, **children: str) -> None:
    """Creates a run with the root a0 and more actions: name=parent."""
    rest = [new(name, parent, run) for name, parent in children.items()]
    assert await repository.actions.create([new(run=run), *rest]) == len(rest) + 1


async def get_actions(
    repository: ActionRepo, ids: Iterable[ActionIdentifier]
) -> dict[ActionIdentifier, Action]:
    """Those of the actions that exist."""
    found = await repository.actions.find([each.key for each in ids])
    return {each.identifier: each for each in found.values()}


async def all_events(
    repository: ActionRepo, ids: Iterable[ActionIdentifier]
) -> dict[ActionIdentifier, list[ActionEvent]]:
    """Every event of each action, oldest first."""
    return {each: await repository.list_events(each) for each in ids}
