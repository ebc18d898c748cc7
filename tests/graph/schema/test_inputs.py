"""Inputs: every field reaches the repository."""

from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import pytest

import repo
from graph.auth.caller import ANONYMOUS
from graph.schema.inputs import records

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ACTION = records.ActionIdentifierInput(project="p", domain="d", run_name="r", name="a")
TASK = records.TaskIdentifierInput(project="p", domain="d", name="t", version="1")
ERROR = records.ActionErrorInput(kind=repo.ErrorKind.USER, message="m", code="c")

CREATION: dict[str, Any] = {
    "id": ACTION,
    "parent_name": "root",
    "type": repo.ActionType.CONDITION,
    "group": "g",
    "phase": repo.ActionPhase.RUNNING,
    "source": repo.RunSource.WEB,
    "labels": [records.LabelInput(key="k", value="v")],
    "task": TASK,
    "task_type": "python",
    "function_name": "f",
    "environment_name": "e",
    "trigger": records.TriggerIdentifierInput(task_name="t", name="n", revision=None),
    "spec": {"n": 1},
    "dependencies": ["b"],
    "created_by": records.IdentityInput(kind=repo.IdentityKind.USER, subject="s"),
    "created_at": NOW,
    "attempts": 2,
    "cache_status": repo.CacheStatus.HIT,
    "update_triggered_at": True,
    "triggered_at": NOW,
}
EVENT: dict[str, Any] = {
    "action": ACTION,
    "attempt": 2,
    "phase": repo.ActionPhase.FAILED,
    "version": 3,
    "occurred_at": NOW,
    "reported_at": NOW,
    "error": ERROR,
    "logs": [records.LogLinkInput(name="log", uri="https://example.org")],
    "outputs": {"n": 1},
    "cluster": "c",
    "cache_status": repo.CacheStatus.HIT,
    "cluster_events": [records.ClusterEventInput(occurred_at=NOW, message="m", reason=None, warning=True)],
    "info": {"n": 2},
}
UPDATE: dict[str, Any] = {
    "id": ACTION,
    "phase": repo.ActionPhase.FAILED,
    "attempts": 2,
    "cache_status": repo.CacheStatus.HIT,
    "start_time": NOW,
    "end_time": NOW,
    "occurred_at": NOW,
}
"""For each field a value that is not its default."""


@pytest.mark.parametrize(
    ("values", "kind", "stored"),
    [
        (CREATION, records.CreateActionInput, repo.NewAction),
        (EVENT, records.ActionEventInput, repo.NewEvent),
        (UPDATE, records.UpdateActionPhaseInput, repo.PhaseUpdate),
    ],
)
def test_every_field_of_an_input_is_passed_on(
    values: dict[str, Any], kind: type[Any], stored: type[Any]
) -> None:
    assert values.keys() == {each.name for each in fields(kind)}
    caller = (ANONYMOUS,) if kind is records.CreateActionInput else ()
    passed = kind(**values).to_repo(*caller)
    if kind is records.UpdateActionPhaseInput:
        action_id, passed = passed
        assert action_id == ACTION.to_repo()
    for field in fields(stored):
        assert getattr(passed, field.name) not in (field.default, None), field.name
