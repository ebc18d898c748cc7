"""The data of the benchmarks, created through the API."""

import json
from typing import Any

from bench.load import Connection, connected, request
from bench.processes import Process

BATCH = 5000
PROJECT, DOMAIN = "bench", "production"
LIST = """query ($first: Int, $after: String) { runs(first: $first, after: $after) { nodes {
  project domain name phase attempts cacheStatus source task { name version } taskType functionName
  environmentName trigger { name } revision durationMs createdAt updatedAt startedAt endedAt triggeredAt
} } }"""
"""Runs with 20 fields."""
ACTIONS = """subscription ($run: RunIdentifierInput!) {
  actions(run: $run) { kind cursor actions { id name phase attempts updatedAt } }
}"""
_UPDATE = """mutation ($input: [UpdateActionPhaseInput!]!) {
  updateActionPhases(input: $input) { results { applied } }
}"""
_CREATE = "mutation ($input: [CreateActionInput!]!) { createActions(input: $input) { created } }"


def run_id(name: str) -> dict[str, str]:
    """A run as an input object."""
    return {"project": PROJECT, "domain": DOMAIN, "name": name}


def action_id(run: str, name: str) -> dict[str, str]:
    """An action as an input object."""
    return {"project": PROJECT, "domain": DOMAIN, "runName": run, "name": name}


async def execute(process: Process, query: str, variables: dict[str, Any]) -> dict[str, Any]:
    """The data of an operation. Raises AssertionError if it has errors."""
    async with connected(process) as connection:
        answer = await connection.post(request({"query": query, "variables": variables}))
    data: dict[str, Any] = json.loads(answer)["data"]
    return data


async def raise_attempts(connection: Connection, run: str, count: int, attempt: int) -> None:
    """Phase updates that start this attempt for actions a1 to an of a run."""
    await update_phases(connection, [action_id(run, f"a{number}") for number in range(1, count + 1)], attempt)


async def update_phases(connection: Connection, ids: list[dict[str, str]], attempt: int) -> None:
    """Phase updates that start this attempt for these actions."""
    updates = [{"id": each, "phase": "RUNNING", "attempts": attempt} for each in ids]
    await connection.post(request({"query": _UPDATE, "variables": {"input": updates}}))


async def make_runs(process: Process, count: int) -> None:
    """Creates runs with all fields that a list shows."""
    await _create(process, [_run(number) for number in range(count)])


async def make_actions(process: Process, run: str, count: int) -> None:
    """Creates a run of this many actions, including the root a0."""
    await _create(process, [_action(run, number) for number in range(count)])


async def _create(process: Process, inputs: list[dict[str, Any]]) -> None:
    for start in range(0, len(inputs), BATCH):
        batch = inputs[start : start + BATCH]
        made = await execute(process, _CREATE, {"input": batch})
        assert made["createActions"]["created"] == len(batch)


def _run(number: int) -> dict[str, Any]:
    task = {"project": PROJECT, "domain": DOMAIN, "name": f"tasks.load_{number % 7}", "version": "v12"}
    return {
        "id": action_id(f"run-{number}", "a0"),
        "phase": "SUCCEEDED" if number % 5 else "RUNNING",
        "source": "SCHEDULE_TRIGGER",
        "task": task,
        "taskType": "python",
        "functionName": "load",
        "environmentName": "default",
        "trigger": {"taskName": task["name"], "name": "nightly"},
        "labels": [{"key": "team", "value": "data"}],
        "updateTriggeredAt": True,
    }


def _action(run: str, number: int) -> dict[str, Any]:
    return {
        "id": action_id(run, f"a{number}"),
        "parentName": "a0" if number else None,
        "taskType": "python",
        "functionName": "load",
    }
