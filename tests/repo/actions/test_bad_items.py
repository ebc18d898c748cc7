"""A bad item of a batch: the error names its index, and nothing is stored."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from repo import ActionPhase, ActionRepo
from tests.support.client import GraphQLClient
from tests.support.making import (
    T0,
    action,
    make_run,
    new,
)

ZERO = "0001-01-01T00:00:00Z"
TIME = "2026-01-01T00:00:00Z"
CREATE = "mutation ($input: [CreateActionInput!]!) { createActions(input: $input) { created } }"
UPDATE = "mutation ($input: [UpdateActionPhaseInput!]!) { updateActionPhases(input: $input) { applied } }"
INSERT = "mutation ($events: [ActionEventInput!]!) { insertEvents(events: $events) { inserted } }"
BAD = 7


def identifier(number: int, **rest: Any) -> dict[str, Any]:
    return {"project": "etl", "domain": "production", "runName": "nightly-1", "name": f"t{number}", **rest}


def an_action(number: int) -> dict[str, Any]:
    return {"id": identifier(number), "parentName": "a0"}


def an_event(number: int) -> dict[str, Any]:
    return {"action": identifier(number), "attempt": 1, "phase": "RUNNING", "occurredAt": TIME}


def an_update(number: int) -> dict[str, Any]:
    return {"id": identifier(number), "phase": "RUNNING", "attempts": 1}


MAKE = {CREATE: an_action, INSERT: an_event, UPDATE: an_update}
LATER = (datetime.now(UTC) + timedelta(days=2)).isoformat()
LONG = "x" * 256


@pytest.mark.parametrize(
    ("query", "changes", "code", "words"),
    [
        (CREATE, {"group": "a\0b"}, "BAD_USER_INPUT", "U+0000 at [7].group"),
        (CREATE, {"spec": {"a": [{"\0": 1}]}}, "BAD_USER_INPUT", "U+0000 at [7].spec.a[0]"),
        (CREATE, {"spec": {"\0": 1}}, "BAD_USER_INPUT", "U+0000 at [7].spec"),
        (CREATE, {"createdAt": "2026-02-30T00:00:00Z"}, "BAD_USER_INPUT", "at [7].createdAt"),
        (CREATE, {"createdAt": LATER}, "BAD_USER_INPUT", "input[7]: createdAt is more than a day ahead"),
        (CREATE, {"createdAt": "9999-12-31T23:59:59Z"}, "BAD_USER_INPUT", "input[7]: createdAt is more than"),
        (CREATE, {"phase": "WALKING"}, "BAD_USER_INPUT", "at [7].phase"),
        (CREATE, {"colour": 1}, "BAD_USER_INPUT", "at [7]"),
        (CREATE, {"id": identifier(1, name="")}, "BAD_USER_INPUT", "input[7]: action name must not be empty"),
        (CREATE, {"id": identifier(1, name=LONG)}, "BAD_USER_INPUT", "input[7]: action name has 256"),
        (CREATE, {"id": identifier(1, project="\n")}, "BAD_USER_INPUT", "input[7]: project has the unprint"),
        (CREATE, {"parentName": ""}, "BAD_USER_INPUT", "input[7]: parentName must not be empty"),
        (CREATE, {"parentName": "gone"}, "NOT_FOUND", "input[7]: there is no action gone, the parent of"),
        (
            CREATE,
            {"parentName": "t7"},
            "BAD_USER_INPUT",
            "input[7]: action etl/production/nightly-1/t7 is",
        ),
        (CREATE, {"parentName": None}, "CONFLICT", "input[7]: run etl/production/nightly-1 has a root"),
        (CREATE, {"id": identifier(7, runName="gone")}, "NOT_FOUND", "input[7]: there is no run"),
        (
            CREATE,
            {"labels": [{"key": "k", "value": "v"}] * 2},
            "BAD_USER_INPUT",
            "input[7]: label k occurs",
        ),
        (CREATE, {"labels": [{"key": "", "value": "v"}]}, "BAD_USER_INPUT", "input[7]: label key must not"),
        (CREATE, {"dependencies": ["a"] * 1001}, "BAD_USER_INPUT", "input[7]: an action has at most 1000"),
        (CREATE, {"attempts": -1}, "BAD_USER_INPUT", "input[7]: attempts must be"),
        (INSERT, {"error": {"message": "", "code": "\0"}}, "BAD_USER_INPUT", "U+0000 at [7].error.code"),
        (INSERT, {"occurredAt": "now"}, "BAD_USER_INPUT", "at [7].occurredAt"),
        (INSERT, {"occurredAt": ZERO}, "BAD_USER_INPUT", "events[7]: occurredAt is required"),
        (INSERT, {"occurredAt": LATER}, "BAD_USER_INPUT", "events[7]: occurredAt is more than a day ahead"),
        (INSERT, {"reportedAt": LATER}, "BAD_USER_INPUT", "events[7]: reportedAt is more than a day ahead"),
        (
            INSERT,
            {"clusterEvents": [{"occurredAt": LATER, "message": ""}]},
            "BAD_USER_INPUT",
            "events[7]: clusterEvents.occurredAt is more than a day ahead",
        ),
        (INSERT, {"attempt": -1}, "BAD_USER_INPUT", "events[7]: attempt must be"),
        (INSERT, {"version": -1}, "BAD_USER_INPUT", "events[7]: version must be"),
        (INSERT, {"attempt": 2**40}, "BAD_USER_INPUT", "at [7].attempt"),
        (
            INSERT,
            {"action": identifier(1, name="\t")},
            "BAD_USER_INPUT",
            "events[7]: action name has",
        ),
        (INSERT, {"action": identifier(99)}, "NOT_FOUND", "events[7]: there is no action"),
        (UPDATE, {"endTime": TIME}, "BAD_USER_INPUT", "input[7]: endTime goes with a terminal phase"),
        (UPDATE, {"startTime": LATER}, "BAD_USER_INPUT", "input[7]: startTime is more than a day ahead"),
        (
            UPDATE,
            {"phase": "FAILED", "endTime": LATER},
            "BAD_USER_INPUT",
            "input[7]: endTime is more than a day ahead",
        ),
        (UPDATE, {"attempts": -1}, "BAD_USER_INPUT", "input[7]: attempts must be"),
        (UPDATE, {"id": identifier(99)}, "NOT_FOUND", "input[7]: there is no action"),
        (UPDATE, {"id": identifier(1, domain="")}, "BAD_USER_INPUT", "input[7]: domain must not be empty"),
    ],
)
async def test_a_bad_item_is_named_in_the_error_and_nothing_is_stored(
    client: GraphQLClient, repository: ActionRepo, query: str, changes: dict[str, Any], code: str, words: str
) -> None:
    children = {} if query is CREATE else {f"t{number}": "a0" for number in range(10)}
    await make_run(repository, **children)
    before = [(each.name, each.revision) for each in (await repository.list_actions()).items]
    make, argument = MAKE[query], "events" if query is INSERT else "input"
    items = [make(number) for number in range(10)]
    items[BAD] = {**items[BAD], **changes}
    body = await client.execute(query, {argument: items})
    (error,) = body["errors"]
    assert words in error["message"], error["message"]
    extensions = error["extensions"]
    assert (extensions["code"], extensions["index"]) == (code, BAD)
    assert extensions["path"][:2] == [argument, BAD]
    assert [(each.name, each.revision) for each in (await repository.list_actions()).items] == before
    assert await repository.list_events(action("t1")) == []


async def test_the_error_names_the_bad_event_among_several_of_an_action(
    client: GraphQLClient, repository: ActionRepo
) -> None:
    await make_run(repository, t1="a0")
    items = [{**an_event(1), "version": version} for version in (0, 1, -1, 3)]
    (error,) = (await client.execute(INSERT, {"events": items}))["errors"]
    assert error["extensions"] == {"code": "BAD_USER_INPUT", "path": ["events", 2], "index": 2}


async def test_the_error_names_an_item_with_an_unpaired_surrogate(client: GraphQLClient) -> None:
    items = [{**an_event(number), "cluster": "\ud800" if number == BAD else "c"} for number in range(10)]
    (error,) = (await client.execute(INSERT, {"events": items}))["errors"]
    assert "half of a surrogate pair at variables.events[7].cluster" in error["message"]
    assert error["extensions"]["index"] == BAD
    assert error["extensions"]["path"] == ["variables", "events", BAD, "cluster"]


async def test_the_zero_time_of_go_counts_as_not_set(client: GraphQLClient, repository: ActionRepo) -> None:
    began = datetime.now(UTC)
    await repository.create_action(new())
    created = await client.execute(CREATE, {"input": [{**an_action(1), "createdAt": ZERO}]})
    assert created == {"data": {"createActions": {"created": 1}}}
    assert (await repository.get_action(action("t1"))).created_at >= began
    inserted = await client.execute(INSERT, {"events": [{**an_event(1), "reportedAt": ZERO}]})
    assert inserted == {"data": {"insertEvents": {"inserted": 1}}}
    assert [each.reported_at for each in await repository.list_events(action("t1"))] == [None]
    update = {**an_update(1), "phase": "SUCCEEDED", "startTime": ZERO, "endTime": ZERO}
    assert await client.execute(UPDATE, {"input": [update]}) == {
        "data": {"updateActionPhases": {"applied": 1}}
    }
    ended = await repository.get_action(action("t1"))
    assert ended.phase is ActionPhase.SUCCEEDED
    assert ended.ended_at is not None
    assert ended.ended_at >= began
    found = await client.execute(
        """query ($zero: DateTime) { runs(filter: {startDate: $zero, endDate: $zero}) { totalCount }
             action(id: {project: "etl", domain: "production", runName: "nightly-1", name: "t1"}) {
               events(since: $zero) { nodes { attempt } } } }""",
        {"zero": ZERO},
    )
    assert found["data"] == {"runs": {"totalCount": 1}, "action": {"events": {"nodes": [{"attempt": 1}]}}}


async def test_times_slightly_in_the_future_are_accepted(
    client: GraphQLClient, repository: ActionRepo
) -> None:
    await repository.create_action(new())
    soon = (datetime.now(UTC) + timedelta(hours=23)).isoformat()
    created = await client.execute(CREATE, {"input": [{**an_action(1), "createdAt": soon}]})
    assert created == {"data": {"createActions": {"created": 1}}}
    assert (await repository.get_action(action("t1"))).created_at > T0
