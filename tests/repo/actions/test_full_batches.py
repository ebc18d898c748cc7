"""The documented batch of 5,000 items with all fields, and long JSON text."""

import json
from typing import Any

import pytest

from repo import ActionRepo
from tests.support.client import GraphQLClient
from tests.support.making import action

COUNT = 5000
TIME = "2026-01-01T00:00:00Z"
CREATE = "mutation ($input: [CreateActionInput!]!) { createActions(input: $input) { created } }"
UPDATE = "mutation ($input: [UpdateActionPhaseInput!]!) { updateActionPhases(input: $input) { applied } }"
INSERT = "mutation ($events: [ActionEventInput!]!) { insertEvents(events: $events) { inserted } }"
STATE = """mutation ($id: ActionIdentifierInput!, $state: String!) {
  updateActionState(id: $id, state: $state) { action { state } }
}"""


def identifier(number: int) -> dict[str, str]:
    return {"project": "etl", "domain": "production", "runName": "nightly-1", "name": f"a{number}"}


def full_action(number: int) -> dict[str, Any]:
    return {
        "id": identifier(number),
        "parentName": "a0" if number else None,
        "type": "TASK",
        "group": "load",
        "phase": "QUEUED",
        "source": "CLI",
        "labels": [{"key": f"key-{n}", "value": f"a: [{n}]"} for n in range(10)],
        "task": {"project": "etl", "domain": "production", "name": "load", "version": "v1"},
        "taskType": "python",
        "functionName": "load",
        "environmentName": "default",
        "trigger": {"taskName": "load", "name": "nightly", "revision": 3},
        "spec": {
            "uris": [f"s3://bucket/{number}/{n}" for n in range(10)],
            "image": {"name": "x", "tag": "y"},
        },
        "dependencies": [f"a{n}" for n in range(10)],
        "createdBy": {"kind": "USER", "subject": "user-1", "name": "User One", "email": "one@example.com"},
        "createdAt": TIME,
        "attempts": 1,
        "cacheStatus": "MISS",
        "updateTriggeredAt": True,
    }


def full_event(number: int) -> dict[str, Any]:
    return {
        "action": identifier(number),
        "attempt": 1,
        "phase": "FAILED",
        "version": 0,
        "occurredAt": TIME,
        "reportedAt": TIME,
        "error": {"kind": "USER", "code": "E1", "message": "at {main} [0]: 'row: 17'"},
        "logs": [{"name": f"log {n}", "uri": f"https://logs.example.com/{number}/{n}"} for n in range(2)],
        "outputs": {"uris": [f"s3://bucket/{number}/{n}" for n in range(5)], "table": {"rows": 17}},
        "cluster": "c1",
        "cacheStatus": "HIT",
        "clusterEvents": [
            {"occurredAt": TIME, "message": "pulled: [x]", "reason": "Pulled", "warning": True}
        ],
        "info": {"pod": {"name": "x", "node": "y"}},
    }


@pytest.mark.slow
async def test_5000_items_with_all_fields_fit_into_one_call(
    client: GraphQLClient, repository: ActionRepo
) -> None:
    numbers = range(COUNT)
    created = await client.execute(CREATE, {"input": [full_action(number) for number in numbers]})
    assert created == {"data": {"createActions": {"created": COUNT}}}
    inserted = await client.execute(INSERT, {"events": [full_event(number) for number in numbers]})
    assert inserted == {"data": {"insertEvents": {"inserted": COUNT}}}
    update = {"phase": "FAILED", "attempts": 1, "cacheStatus": "HIT", "startTime": TIME, "endTime": TIME}
    updates = [{"id": identifier(number), **update} for number in numbers]
    applied = await client.execute(UPDATE, {"input": updates})
    assert applied == {"data": {"updateActionPhases": {"applied": COUNT}}}
    last = await repository.get_action(action(f"a{COUNT - 1}"))
    assert last.spec == full_action(COUNT - 1)["spec"]
    assert last.error is not None


async def test_long_json_strings_are_stored_as_they_are(
    client: GraphQLClient, repository: ActionRepo
) -> None:
    await client.execute(CREATE, {"input": [full_action(0)]})
    state = json.dumps({f"task: {n}": [{"a": {"b": [n]}}] for n in range(40_000)})
    assert len(state) > 1_300_000
    written = await client.execute(STATE, {"id": identifier(0), "state": state})
    assert written == {"data": {"updateActionState": {"action": {"state": state}}}}
    # As sent by `rungraph import`: 350 URIs of each of 400 tasks.
    tasks = [full_action(n) for n in range(400)]
    for n, task in enumerate(tasks):
        task["spec"] = {"inputFiles": [f"s3://b/{n}/{i}" for i in range(350)]}
    created = await client.execute(CREATE, {"input": tasks})
    assert created == {"data": {"createActions": {"created": 399}}}
