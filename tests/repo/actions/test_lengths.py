"""Length limits of texts in lists: an error names the text and its limit."""

from typing import Any

import pytest

from graph.schema.inputs.checks import MAX_MESSAGE, MAX_TEXT
from repo import ActionRepo
from tests.support.client import GraphQLClient
from tests.support.making import action, make_run

ID = {"project": "etl", "domain": "production", "runName": "nightly-1", "name": "t"}
RUN_ID = {"project": "etl", "domain": "production", "name": "nightly-1"}
TIME = "2026-01-01T00:00:00Z"
CREATE = "mutation ($x: [CreateActionInput!]!) { createActions(input: $x) { created } }"
INSERT = "mutation ($x: [ActionEventInput!]!) { insertEvents(events: $x) { inserted } }"
ABORT = "mutation ($x: AbortRunInput!) { abortRun(input: $x) { requested } }"
ABORT_ACTION = "mutation ($x: AbortActionInput!) { abortAction(input: $x) { requested } }"
ABORT_ALL = "mutation ($x: AbortRunsInput!) { abortRuns(input: $x) { matched } }"
TASK = {"project": "p", "domain": "d", "name": "n", "version": "v"}


def create(**fields: Any) -> Any:
    return [{"id": ID, "parentName": "a0", **fields}]


def insert(**fields: Any) -> Any:
    return [{"action": {**ID, "name": "a0"}, "attempt": 1, "phase": "FAILED", "occurredAt": TIME, **fields}]


def cluster_event(**fields: Any) -> Any:
    return insert(clusterEvents=[{"occurredAt": TIME, "message": "", **fields}])


def texts(beyond: int) -> list[tuple[str, Any, str]]:
    """Calls with one text that exceeds MAX_TEXT by so many characters, and the name of the text."""
    text = "x" * (MAX_TEXT + beyond)
    return [
        *((CREATE, create(**{name: text}), name) for name in ("group", "taskType", "functionName")),
        (CREATE, create(environmentName=text), "environmentName"),
        (CREATE, create(labels=[{"key": "k", "value": text}]), "labels.value"),
        *((CREATE, create(task={**TASK, name: text}), f"task.{name}") for name in TASK),
        (CREATE, create(trigger={"taskName": "t", "name": text}), "trigger.name"),
        (INSERT, insert(cluster=text), "cluster"),
        (INSERT, insert(error={"message": "", "code": text}), "error.code"),
        (INSERT, insert(logs=[{"name": text, "uri": ""}]), "logs.name"),
        (INSERT, cluster_event(reason=text), "clusterEvents.reason"),
        (ABORT, {"id": RUN_ID, "reason": text}, "reason"),
        (ABORT_ACTION, {"id": {**ID, "name": "a0"}, "reason": text}, "reason"),
        (ABORT_ALL, {"filter": {"project": "etl"}, "reason": text}, "reason"),
    ]


def addresses(beyond: int) -> list[tuple[str, Any, str]]:
    """The same with MAX_MESSAGE."""
    text = "x" * (MAX_MESSAGE + beyond)
    return [(INSERT, insert(logs=[{"name": "", "uri": text}]), "logs.uri")]


@pytest.mark.parametrize("number", range(len(texts(0) + addresses(0))))
async def test_text_at_the_length_limit_is_stored_and_longer_text_is_rejected(
    client: GraphQLClient, repository: ActionRepo, number: int
) -> None:
    await make_run(repository)
    query, arguments, name = (texts(1) + addresses(1))[number]
    (error,) = (await client.execute(query, {"x": arguments}))["errors"]
    most = MAX_TEXT if number < len(texts(0)) else MAX_MESSAGE
    assert error["message"].endswith(f"{name} has {most + 1:,} characters; at most {most:,} are allowed")
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert await repository.list_events(action()) == []
    assert await repository.actions.count() == 1
    query, arguments, _ = (texts(0) + addresses(0))[number]
    assert "errors" not in await client.execute(query, {"x": arguments})


async def test_of_a_longer_message_the_middle_is_left_out(
    client: GraphQLClient, repository: ActionRepo
) -> None:
    await make_run(repository)
    text = "first line\n" + "x" * MAX_MESSAGE + "\nlast line"
    query = """mutation ($x: [ReportInput!]!) { report(reports: $x) { failed } }"""
    change: dict[str, Any] = {
        "phase": "FAILED",
        "error": {"message": text},
        "progress": {"done": 1, "message": text},
    }
    change["clusterEvents"] = [{"occurredAt": TIME, "message": text}]
    reported = await client.execute(query, {"x": [{"id": {**ID, "name": "a0"}, **change}]})
    assert reported == {"data": {"report": {"failed": 0}}}
    found = await repository.get_action(action())
    (event,) = await repository.list_events(action())
    assert found.error is not None
    assert found.progress is not None
    assert event.error == found.error
    for message, limit in (
        (found.error.message, MAX_MESSAGE),
        (event.cluster_events[0].message, MAX_MESSAGE),
        (found.progress.message or "", MAX_TEXT),
    ):
        assert len(message) == limit
        assert message.startswith("first line\nxx")
        assert "xx\n…\nxx" in message
        assert message.endswith("xx\nlast line")
