"""The API as a client uses it: queries, mutations, nested fields, ids and errors."""

import asyncio
import gc
from typing import Any

import pytest

from repo import ActionPhase, ActionRepo, RunIdentifier
from tests.support.client import GraphQLClient
from tests.support.making import (
    ADA,
    RUN,
    action,
    event,
    make_run,
    new,
    update,
)

A0 = {"project": "etl", "domain": "production", "runName": "nightly-1", "name": "a0"}
RUN_ID = {"project": "etl", "domain": "production", "name": "nightly-1"}


async def data(client: GraphQLClient, query: str, **variables: Any) -> dict[str, Any]:
    body = await client.execute(query, variables)
    assert "errors" not in body, body["errors"]
    found: dict[str, Any] = body["data"]
    return found


async def error(client: GraphQLClient, query: str, **variables: Any) -> tuple[str, str]:
    (only,) = (await client.execute(query, variables))["errors"]
    return only["extensions"]["code"], only["message"]


async def test_a_workflow_from_its_creation_to_its_end(client: GraphQLClient) -> None:
    made = await data(
        client,
        """mutation ($root: CreateActionInput!, $rest: [CreateActionInput!]!) {
             createAction(input: $root) { created action { id name phase attempts run { triggeredAt } } }
             again: createAction(input: $root) { created }
             createActions(input: $rest) { created actions { name parentName parent { name } } }
           }""",
        root={"id": A0, "updateTriggeredAt": True, "labels": [{"key": "team", "value": "data"}]},
        rest=[
            {"id": {**A0, "name": name}, "parentName": "a0", "spec": {"n": [name]}, "dependencies": before}
            for name, before in (("b", None), ("c", ["b", "b", "x"]))
        ],
    )
    assert made["createAction"]["created"] is True
    assert made["createAction"]["action"]["run"]["triggeredAt"].endswith("Z")
    assert made["again"] == {"created": False}
    assert made["createActions"] == {
        "created": 2,
        "actions": [{"name": name, "parentName": "a0", "parent": {"name": "a0"}} for name in "bc"],
    }
    moved = await data(
        client,
        """mutation ($events: [ActionEventInput!]!, $updates: [UpdateActionPhaseInput!]!) {
             insertEvents(events: $events) { inserted duplicates }
             again: insertEvents(events: $events) { inserted duplicates }
             updateActionPhases(input: $updates) {
               applied results { applied action { name phase error { message } } } }
           }""",
        events=[
            {
                "action": {**A0, "name": "b"},
                "attempt": 1,
                "phase": "FAILED",
                "occurredAt": "2026-01-01T13:00:00.5+01:00",
                "error": {"message": "no", "kind": "USER", "code": "E1"},
                "outputs": {"rows": 1},
                "logs": [{"name": "out", "uri": "https://logs.example.com"}],
                "clusterEvents": [{"occurredAt": "2026-01-01T12:00:00Z", "message": "pulled"}],
            }
        ],
        updates=[
            {"id": {**A0, "name": "b"}, "phase": "FAILED", "attempts": 1},
            {"id": {**A0, "name": "b"}, "phase": "RUNNING", "attempts": 1},
            {"id": A0, "phase": "RUNNING", "attempts": 1},
        ],
    )
    assert moved["insertEvents"] == {"inserted": 1, "duplicates": 0}
    assert moved["again"] == {"inserted": 0, "duplicates": 1}
    assert moved["updateActionPhases"]["applied"] == 2
    assert [result["applied"] for result in moved["updateActionPhases"]["results"]] == [True, False, True]
    found = await data(
        client,
        """query ($id: RunIdentifierInput!) {
             run(id: $id) {
               phase labels { key value } phaseCounts { phase count } rootAction { name }
               actions(orderBy: {field: NAME, direction: ASC}) {
                 totalCount pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
                 edges { cursor node {
                   name phase spec
                   run { name }
                   phaseCounts { phase count }
                   children { totalCount nodes { name } }
                   latestEvent(attempt: 1) { phase version occurredAt action { name } error { kind code } }
                   attemptHistory { attempt phase endedAt outputs logs { name }
                     clusterEvents { message warning } phaseTransitions { phase startedAt endedAt } }
                   events { nodes { attempt phase } pageInfo { hasNextPage } }
                 } }
               }
             }
           }""",
        id=RUN_ID,
    )
    counted = await data(client, "{ runs { none: totalCount(atMost: 0) totalCount(atMost: 9) } }")
    assert counted["runs"] == {"none": 0, "totalCount": 1}
    run = found["run"]
    assert run["phase"] == "RUNNING"
    assert run["labels"] == [{"key": "team", "value": "data"}]
    assert run["phaseCounts"] == [
        {"phase": "QUEUED", "count": 1},
        {"phase": "RUNNING", "count": 1},
        {"phase": "FAILED", "count": 1},
    ]
    assert run["rootAction"] == {"name": "a0"}
    edges = run["actions"]["edges"]
    assert run["actions"]["totalCount"] == 3
    assert run["actions"]["pageInfo"] == {
        "hasNextPage": False,
        "hasPreviousPage": False,
        "startCursor": edges[0]["cursor"],
        "endCursor": edges[-1]["cursor"],
    }
    root, b, _ = (edge["node"] for edge in edges)
    assert root["children"] == {"totalCount": 2, "nodes": [{"name": "b"}, {"name": "c"}]}
    assert root["phaseCounts"] == [{"phase": "QUEUED", "count": 1}, {"phase": "FAILED", "count": 1}]
    assert b["spec"] == {"n": ["b"]}
    assert b["latestEvent"]["occurredAt"] == "2026-01-01T12:00:00.500000Z"
    assert b["latestEvent"]["error"] == {"kind": "USER", "code": "E1"}
    (attempt,) = b["attemptHistory"]
    assert attempt["outputs"] == {"rows": 1}
    assert attempt["clusterEvents"] == [{"message": "pulled", "warning": False}]
    assert b["events"]["nodes"] == [{"attempt": 1, "phase": "FAILED"}]


async def test_an_abort_over_the_api_is_marked_and_confirmed(client: GraphQLClient) -> None:
    await data(
        client, "mutation ($i: CreateActionInput!) { createAction(input: $i) { created } }", i={"id": A0}
    )
    done = await data(
        client,
        """mutation ($run: RunIdentifierInput!, $id: ActionIdentifierInput!) {
             dry: abortRuns(input: {filter: {project: "etl"}}) { matched requested }
             abortRun(input: {id: $run, reason: "why"}) {
               requested run { phase abort { state reason requestedBy { kind subject } attemptCount } } }
             again: abortAction(input: {id: $id}) { requested action { abort { reason } } }
             markAbortAttempt(id: $id, error: "no answer") {
               attemptCount action { abort { state lastError } } }
             clearAbortRequest(id: $id) { action { phase abort { state } } }
             updateActionState(id: $id, state: "gone") { action { state } }
             notifyStateUpdate(id: $id) { id { project domain runName name } }
           }""",
        run=RUN_ID,
        id=A0,
    )
    assert done["dry"] == {"matched": 1, "requested": 0}
    assert done["abortRun"]["requested"] is True
    assert done["abortRun"]["run"]["phase"] == "ABORTED"
    assert done["abortRun"]["run"]["abort"] == {
        "state": "REQUESTED",
        "reason": "why",
        "requestedBy": {"kind": "USER", "subject": "anonymous"},
        "attemptCount": 0,
    }
    assert done["again"] == {"requested": False, "action": {"abort": {"reason": "why"}}}
    assert done["markAbortAttempt"] == {
        "attemptCount": 1,
        "action": {"abort": {"state": "RETRYING", "lastError": "no answer"}},
    }
    assert done["clearAbortRequest"]["action"] == {"phase": "ABORTED", "abort": {"state": "CONFIRMED"}}
    assert done["updateActionState"]["action"] == {"state": "gone"}
    assert done["notifyStateUpdate"] == {"id": A0}


async def test_missing_objects_are_null(client: GraphQLClient) -> None:
    found = await data(
        client,
        """query ($r: RunIdentifierInput!, $a: ActionIdentifierInput!) {
             run(id: $r) { id } action(id: $a) { id }
           }""",
        r=RUN_ID,
        a=A0,
    )
    assert found == {"run": None, "action": None}


async def test_every_node_is_found_by_its_id(client: GraphQLClient, repository: ActionRepo) -> None:
    await make_run(repository, b="a0")
    await repository.insert_events([event("b"), event("b", version=1, cluster="two")])
    found = await data(
        client,
        "{ runs { nodes { id actions { nodes { id latestEvent(attempt: 1) { id cluster } } } } } }",
    )
    (run,) = found["runs"]["nodes"]
    _, b = run["actions"]["nodes"]
    query = """query ($id: ID!) { node(id: $id) { __typename id
                 ... on Run { name } ... on Action { name } ... on ActionEvent { cluster } } }"""
    assert (await data(client, query, id=run["id"]))["node"] == {
        "__typename": "Run",
        "id": run["id"],
        "name": "nightly-1",
    }
    assert (await data(client, query, id=b["id"]))["node"]["name"] == "b"
    latest = b["latestEvent"]["id"]
    assert (await data(client, query, id=latest))["node"] == {
        "__typename": "ActionEvent",
        "id": latest,
        "cluster": "two",
    }
    other = RunIdentifier("etl", "production", "other")
    await make_run(repository, other)
    other_id = (await data(client, "{ runs(first: 1) { nodes { id } } }"))["runs"]["nodes"][0]["id"]
    assert other_id != run["id"]


@pytest.mark.parametrize(
    "bad", ["", "x", "é", "WyJSdW4iXQ", "WyJSdW4iLCJwIiwiZCIsIiJd", "W1tbW1tb", "bnVsbA"]
)
async def test_an_invalid_id_is_refused(client: GraphQLClient, bad: str) -> None:
    code, _ = await error(client, "query ($id: ID!) { node(id: $id) { id } }", id=bad)
    assert code == "BAD_USER_INPUT"


async def test_the_id_of_a_removed_object_returns_null(client: GraphQLClient) -> None:
    found = await data(client, '{ node(id: "WyJSdW4iLCJwIiwiZCIsInIiXQ") { id } }')
    assert found == {"node": None}


@pytest.mark.parametrize(
    ("query", "code", "words"),
    [
        ("{ nope }", "GRAPHQL_VALIDATION_FAILED", "Cannot query field 'nope'"),
        ("{", "GRAPHQL_PARSE_FAILED", "Syntax Error"),
        ("{ runs(first: 1001) { nodes { id } } }", "BAD_USER_INPUT", "first must be at most 1000"),
        ("{ runs { totalCount(atMost: -1) } }", "BAD_USER_INPUT", "atMost must not be negative"),
        ("{ runs(first: -1) { nodes { id } } }", "BAD_USER_INPUT", "between 0 and 1000"),
        ("{ runs(first: 1, last: 1) { nodes { id } } }", "BAD_USER_INPUT", "not both"),
        ('{ runs(after: "x") { nodes { id } } }', "BAD_USER_INPUT", "cursor"),
        (
            '{ runs(filter: {startDate: "2026-01-01T00:00:00"}) { nodes { id } } }',
            "GRAPHQL_VALIDATION_FAILED",
            "offset",
        ),
        (
            '{ runs(filter: {startDate: "2026-02-30T00:00:00Z"}) { nodes { id } } }',
            "GRAPHQL_VALIDATION_FAILED",
            "out of range",
        ),
        ('{ runs(filter: {search: "\\u0000"}) { nodes { id } } }', "GRAPHQL_VALIDATION_FAILED", "U+0000"),
        ('{ run(id: {project: "", domain: "d", name: "n"}) { id } }', "BAD_USER_INPUT", "must not be empty"),
        (
            """mutation { updateActionState(
                 id: {project: "p", domain: "d", runName: "r", name: "n"}, state: "") { action { id } } }""",
            "NOT_FOUND",
            "there is no action p/d/r/n",
        ),
    ],
)
async def test_a_mistake_gets_a_code_and_a_message(
    client: GraphQLClient, query: str, code: str, words: str
) -> None:
    found, message = await error(client, query)
    assert found == code
    assert words in message


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("state", "a\0b", "U+0000"),
        ("spec", {"\0": 1}, "U+0000"),
        ("createdAt", "2026-01-01", "RFC 3339"),
        ("createdAt", "2026-01-01 00:00:00Z", "RFC 3339"),
        ("createdAt", 5, "RFC 3339"),
        ("createdAt", "0001-01-01T00:00:00+14:00", "out of range"),
        ("attempts", -1, "attempts must be between"),
        ("attempts", 2**31, "32-bit"),
        ("trigger", {"taskName": "t", "name": "n", "revision": 2**63}, "64-bit"),
        ("labels", [{"key": "", "value": ""}], "must not be empty"),
        ("phase", "DONE", "DONE"),
    ],
)
async def test_a_value_that_cannot_be_stored_is_refused(
    client: GraphQLClient, name: str, value: object, words: str
) -> None:
    if name == "state":
        query = """mutation ($i: ActionIdentifierInput!, $s: String!) {
                     updateActionState(id: $i, state: $s) { action { id } }
                   }"""
        code, message = await error(client, query, i=A0, s=value)
    else:
        query = "mutation ($i: CreateActionInput!) { createAction(input: $i) { created } }"
        code, message = await error(client, query, i={"id": A0, name: value})
    assert code == "BAD_USER_INPUT"
    assert words in message
    assert (await data(client, "{ runs { totalCount } }"))["runs"]["totalCount"] == 0


async def test_times_are_exact_however_distant(client: GraphQLClient) -> None:
    times = ["0002-01-01T00:00:00.000001Z", "1600-02-29T23:59:59.999999Z", "2026-01-01T00:00:00Z"]
    create = "mutation ($i: [CreateActionInput!]!) { createActions(input: $i) { created } }"
    runs = [{"id": {**A0, "runName": f"r{n}"}, "createdAt": time} for n, time in enumerate(times)]
    query = "{ runs(orderBy: {field: CREATED_AT, direction: ASC}) { nodes { createdAt endedAt } } }"
    for count in range(1, 4):  # with distant times only, and beside another
        await data(client, create, i=runs[count - 1 : count])
        listed = (await data(client, query))["runs"]["nodes"]
        assert listed == [{"createdAt": time, "endedAt": None} for time in times[:count]]


async def test_the_error_of_a_batch_names_what_is_missing(
    client: GraphQLClient, repository: ActionRepo
) -> None:
    await make_run(repository)
    code, message = await error(
        client,
        """mutation ($e: [ActionEventInput!]!) { insertEvents(events: $e) { inserted } }""",
        e=[
            {
                "action": {**A0, "name": name},
                "attempt": 1,
                "phase": "RUNNING",
                "occurredAt": "2026-01-01T00:00:00Z",
            }
            for name in ("a0", "gone")
        ],
    )
    assert code == "NOT_FOUND"
    assert "etl/production/nightly-1/gone" in message
    assert await repository.list_events(action()) == []


async def test_a_failing_field_does_not_affect_its_siblings(
    client: GraphQLClient, repository: ActionRepo
) -> None:
    await make_run(repository)
    body = await client.execute('{ good: runs { totalCount } bad: node(id: "x") { id } }')
    assert body["data"] == {"good": {"totalCount": 1}, "bad": None}
    (only,) = body["errors"]
    assert only["path"] == ["bad"]


async def test_an_invalid_cursor_does_not_affect_the_same_field_with_other_arguments(
    client: GraphQLClient, repository: ActionRepo
) -> None:
    await make_run(repository)
    body = await client.execute(
        """{ actions { nodes {
             good: events(first: 1) { nodes { id } } bad: events(after: "x") { nodes { id } }
             kept: children(first: 1) { nodes { id } } } } }"""
    )
    (only,) = body["errors"]
    assert only["path"] == ["actions", "nodes", 0, "bad"]
    assert only["extensions"]["code"] == "BAD_USER_INPUT"
    body = await client.execute(
        '{ runs { nodes { a: actions { totalCount } b: actions(after: "x") { totalCount } } } }'
    )
    assert [error["path"] for error in body["errors"]] == [["runs", "nodes", 0, "b"]]


async def test_an_error_does_not_cancel_other_readers_of_the_same_rows(
    client: GraphQLClient, repository: ActionRepo
) -> None:
    await make_run(repository)
    unheard: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: unheard.append(context))
    body = await client.execute(
        """query ($id: ActionIdentifierInput!) {
             bad: action(id: $id) { phaseCounts { count } attemptHistory { phase }
                                    children(after: "x") { totalCount }
                                    events(first: 1, last: 1) { nodes { id } } }
             good: action(id: $id) { phaseCounts { count } attemptHistory { phase } } }""",
        {"id": A0},
    )
    assert body["data"] == {"bad": None, "good": {"phaseCounts": [], "attemptHistory": []}}
    assert [error["path"] for error in body["errors"]] == [["bad", "events"]]
    await asyncio.sleep(0.1)
    gc.collect()
    assert unheard == []


async def test_a_json_document_keeps_the_order_of_its_keys(client: GraphQLClient) -> None:
    made = await data(
        client,
        """mutation ($id: ActionIdentifierInput!, $v: Int!) {
             createAction(input: {id: $id, spec: {zz: 1, a: [null, true, 1.5, "x", $v], b: {}}}) {
               action { spec } }
           }""",
        id=A0,
        v=7,
    )
    spec = made["createAction"]["action"]["spec"]
    assert spec == {"zz": 1, "a": [None, True, 1.5, "x", 7], "b": {}}
    assert list(spec) == ["zz", "a", "b"]


async def test_a_write_is_visible_to_the_following_fields(
    client: GraphQLClient, repository: ActionRepo
) -> None:
    await make_run(repository)
    seen = await data(
        client,
        """mutation ($id: ActionIdentifierInput!) {
             one: updateActionPhase(input: {id: $id, phase: RUNNING, attempts: 1}) { ...Now }
             two: updateActionPhase(input: {id: $id, phase: FAILED, attempts: 1}) { ...Now }
             three: updateActionPhase(input: {id: $id, phase: QUEUED, attempts: 2}) { ...Now }
             old: updateActionPhase(input: {id: $id, phase: FAILED, attempts: 1}) { ...Now }
           }
           fragment Now on UpdateActionPhasePayload { applied action { phase } }
           """,
        id=A0,
    )
    assert [(x["applied"], x["action"]["phase"]) for x in seen.values()] == [
        (True, "RUNNING"),
        (True, "FAILED"),
        (True, "QUEUED"),
        (False, "QUEUED"),
    ]


async def test_runs_are_paged_by_cursor_over_the_api(client: GraphQLClient, repository: ActionRepo) -> None:
    runs = [RunIdentifier("etl", "production", f"run-{i}") for i in range(7)]
    await repository.actions.create([new(run=run, created_by=ADA) for run in runs])
    query = """query ($after: String) {
                 runs(first: 3, after: $after) { nodes { name } pageInfo { hasNextPage endCursor } }
               }"""
    names: list[str] = []
    after = None
    while True:
        page = (await data(client, query, after=after))["runs"]
        names += [run["name"] for run in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert sorted(names) == [run.name for run in runs]


async def test_pending_aborts_and_projects_are_listed(client: GraphQLClient, repository: ActionRepo) -> None:
    await make_run(repository)
    await repository.abort_run(RUN, None, ADA)
    await repository.actions.update_phases([update("a0", ActionPhase.RUNNING)])
    found = await data(
        client, "{ pendingAborts { totalCount nodes { name run { name } } } projects { name domains } }"
    )
    assert found == {
        "pendingAborts": {"totalCount": 1, "nodes": [{"name": "a0", "run": {"name": "nightly-1"}}]},
        "projects": [{"name": "etl", "domains": ["production"]}],
    }


async def test_dependencies_are_validated_and_returned_as_written(client: GraphQLClient) -> None:
    create = """mutation ($id: ActionIdentifierInput!, $before: [String!]) {
                  createAction(input: {id: $id, dependencies: $before}) { action { dependencies } } }"""
    inputs: list[list[str] | None] = [None, [], ["b", "a", "b"]]
    for number, (before, found) in enumerate(zip(inputs, ([], [], ["b", "a"]), strict=True)):
        made = await data(client, create, id={**A0, "runName": f"r{number}"}, before=before)
        assert made["createAction"]["action"]["dependencies"] == found
    assert await error(client, create, id=A0, before=["a", ""]) == (
        "BAD_USER_INPUT",
        "dependency must not be empty",
    )
    assert await error(client, create, id=A0, before=[f"t{i}" for i in range(1001)]) == (
        "BAD_USER_INPUT",
        "an action has at most 1000 dependencies, not 1001",
    )
