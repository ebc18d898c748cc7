"""The mutation `report` as a client uses it: a result for each report, errors with their places."""

from typing import Any

import pytest

from tests.support.client import GraphQLClient

A0 = {"project": "etl", "domain": "production", "runName": "nightly-1", "name": "a0"}
REPORT = """
mutation ($reports: [ReportInput!]!) {
  report(reports: $reports) {
    created applied failed
    results {
      id { name } created applied changed error { code message path } abort { reason state }
      action { phase attempts isPlaceholder progress { done total message reportedAt } error { code }
        metrics { name unit last lastAt minimum maximum series { at value } } events { nodes { phase } } }
    }
  }
}"""


async def report(client: GraphQLClient, *reports: dict[str, Any]) -> dict[str, Any]:
    body = await client.execute(REPORT, {"reports": list(reports)})
    assert "errors" not in body, body["errors"]
    stored: dict[str, Any] = body["data"]["report"]
    return stored


async def test_a_report_says_everything_about_an_attempt_at_once(client: GraphQLClient) -> None:
    stored = await report(
        client,
        {
            "id": A0,
            "details": {"createdAt": "2026-01-01T12:00:00Z", "functionName": "main"},
            "phase": "FAILED",
            "startTime": "2026-01-01T12:00:01Z",
            "endTime": "2026-01-01T12:00:05Z",
            "error": {"kind": "USER", "message": "no such table", "code": "SQL"},
            "progress": {"done": 3, "total": 4, "message": "loading"},
            "metrics": [{"name": "rows", "value": 17, "unit": "1", "at": "2026-01-01T12:00:04Z"}],
        },
        {"id": {**A0, "name": "child"}, "phase": "RUNNING", "occurredAt": "2026-01-01T12:00:02Z"},
    )
    assert (stored["created"], stored["applied"], stored["failed"]) == (2, 2, 0)
    root, child = stored["results"]
    reported_at = root["action"]["progress"].pop("reportedAt")
    assert reported_at.endswith("Z")
    assert root == {
        "id": {"name": "a0"},
        "created": True,
        "applied": True,
        "changed": True,
        "error": None,
        "abort": None,
        "action": {
            "phase": "FAILED",
            "attempts": 1,
            "isPlaceholder": False,
            "progress": {"done": 3.0, "total": 4.0, "message": "loading"},
            "error": {"code": "SQL"},
            "metrics": [
                {
                    "name": "rows",
                    "unit": "1",
                    "last": 17.0,
                    "lastAt": "2026-01-01T12:00:04Z",
                    "minimum": 17.0,
                    "maximum": 17.0,
                    "series": [{"at": "2026-01-01T12:00:04Z", "value": 17.0}],
                }
            ],
            "events": {"nodes": [{"phase": "FAILED"}]},
        },
    }
    assert (child["action"]["isPlaceholder"], child["action"]["phase"]) == (True, "RUNNING")


async def test_each_refused_report_says_why_and_where(client: GraphQLClient) -> None:
    run = {"id": A0, "details": {}}
    stored = await report(
        client,
        run,
        {"id": {**A0, "name": ""}, "details": {}},
        {"id": A0, "outputs": {"rows": 3}},
        {"id": {**A0, "name": "b"}, "details": {}},
        {"id": {**A0, "name": "c"}, "details": {"parentName": "a0", "group": "g" * 5000}},
        {"id": A0, "phase": "RUNNING", "endTime": "2026-01-01T12:00:05Z"},
        {"id": {**A0, "name": "d"}, "details": {"parentName": "a0"}},
    )
    assert (stored["created"], stored["applied"], stored["failed"]) == (2, 2, 5)
    errors = [each["error"] for each in stored["results"]]
    assert [error and error["code"] for error in errors] == [
        None,
        "BAD_USER_INPUT",
        "BAD_USER_INPUT",
        "CONFLICT",
        "BAD_USER_INPUT",
        "BAD_USER_INPUT",
        None,
    ]
    assert errors[1] == {
        "code": "BAD_USER_INPUT",
        "message": "reports[1]: action name must not be empty",
        "path": ["reports", "1"],
    }
    assert errors[2]["message"] == (
        "reports[2]: outputs needs a phase: it is stored with the event of the phase"
    )
    assert errors[3]["message"].startswith("reports[3]: run etl/production/nightly-1 has a root action")
    assert stored["results"][1]["id"] is None
    assert stored["results"][3]["action"] is None


@pytest.mark.parametrize("name", ["done", "total"])
async def test_negative_progress_is_refused(client: GraphQLClient, name: str) -> None:
    first = {"id": A0, "details": {}, "progress": {"done": 0, "total": 0}}
    stored = await report(client, first, {"id": A0, "progress": {"done": 2, "total": 4, name: -0.5}})
    error = stored["results"][1]["error"]
    assert (error["code"], error["path"]) == ("BAD_USER_INPUT", ["reports", "1"])
    assert error["message"] == f"reports[1]: progress.{name} must be at least 0, not -0.5"
    assert stored["results"][0]["action"]["progress"]["done"] == 0


async def test_a_report_returns_the_abort_of_its_run(client: GraphQLClient) -> None:
    await report(client, {"id": A0, "details": {}, "phase": "RUNNING"})
    abort = """mutation ($id: RunIdentifierInput!) {
      abortRun(input: {id: $id, reason: "too late"}) { requested } }"""
    run = {"project": "etl", "domain": "production", "name": "nightly-1"}
    await client.execute(abort, {"id": run})
    stored = await report(
        client, {"id": {**A0, "name": "b"}, "phase": "RUNNING"}, {"id": A0, "progress": {"done": 1}}
    )
    for result in stored["results"]:
        assert result["abort"] == {"reason": "too late", "state": "REQUESTED"}
    assert stored["results"][0]["action"]["phase"] == "ABORTED"


BAD: list[dict[str, Any]] = [
    {"id": {**A0, "name": "b\0"}},
    {"id": {**A0, "project": "\0"}},
    {"id": A0, "details": {"parentName": "\0"}},
    {"id": A0, "details": {"spec": {"list": [1, {"\0": 2**80}]}}},
    {"id": A0, "details": {"labels": [{"key": "k", "value": "\0"}]}},
    {"id": A0, "phase": "FAILED", "error": {"kind": "USER", "message": "", "code": "\0"}},
    {"id": A0, "phase": "RUNNING", "outputs": {"rows": {"\0": 1}}},
    {"id": A0, "phase": "RUNNING", "cluster": "\0"},
    {"id": A0, "phase": "RUNNING", "logs": [{"name": "\0", "uri": "https://example.com"}]},
    {"id": A0, "metrics": [{"name": "rows", "value": 1, "unit": "\0"}]},
]
"""U+0000 in names, codes and units."""


async def test_text_that_cannot_be_stored_refuses_only_its_report(client: GraphQLClient) -> None:
    good = {"id": A0, "details": {"spec": r"\u0000"}, "phase": "RUNNING", "info": {"n": 2**80}}
    stored = await report(client, good, *BAD)
    assert (stored["created"], stored["applied"], stored["failed"]) == (1, 1, len(BAD))
    for index, result in enumerate(stored["results"][1:], 1):
        error = result["error"]
        assert (error["code"], error["path"]) == ("BAD_USER_INPUT", ["reports", str(index)])
        assert "U+0000" in error["message"]
    assert "reports[6]: error.code: text must not" in stored["results"][6]["error"]["message"]
    action = stored["results"][0]["action"]
    assert (action["metrics"], action["progress"]) == ([], None)
    assert action["events"]["nodes"] == [{"phase": "RUNNING"}]


async def test_a_report_is_not_lost_for_a_zero_character_in_its_texts(client: GraphQLClient) -> None:
    lost, found = "bytes: \0", "bytes: \ufffd"
    failed = {
        "id": A0,
        "details": {"spec": [lost]},
        "phase": "FAILED",
        "occurredAt": "2026-01-01T12:00:00Z",
        "error": {"kind": "USER", "message": lost},
        "outputs": {"rows": {"a": [lost, 1]}},
        "info": lost,
        "clusterEvents": [{"occurredAt": "2026-01-01T12:00:00Z", "message": lost}],
        "progress": {"done": 1, "message": lost},
    }
    for is_repeat in (False, True):
        stored = await report(client, failed)
        (result,) = stored["results"]
        assert (result["error"], result["changed"]) == (None, not is_repeat)
    body = await client.execute(
        """query ($id: ActionIdentifierInput!) { action(id: $id) { spec error { message } progress { message }
          events { nodes { error { message } outputs info clusterEvents { message } } } } }""",
        {"id": A0},
    )
    error = {"message": found}
    event = {"error": error, "outputs": {"rows": {"a": [found, 1]}}, "info": found, "clusterEvents": [error]}
    assert body["data"]["action"] == {
        "spec": [found],
        "error": error,
        "progress": {"message": found},
        "events": {"nodes": [event]},
    }


async def test_events_and_artifacts_may_have_zero_characters_in_their_texts(client: GraphQLClient) -> None:
    event = {"action": A0, "attempt": 1, "phase": "FAILED", "occurredAt": "2026-01-01T12:00:00Z"}
    create = """mutation ($input: CreateActionInput!) { createAction(input: $input) { action { spec } } }"""
    created = await client.execute(create, {"input": {"id": A0, "spec": {"a": "\0"}}})
    assert created == {"data": {"createAction": {"action": {"spec": {"a": "\ufffd"}}}}}
    insert = "mutation ($events: [ActionEventInput!]!) { insertEvents(events: $events) { inserted } }"
    events = [{**event, "error": {"kind": "USER", "message": "a\0"}}]
    assert await client.execute(insert, {"events": events}) == {"data": {"insertEvents": {"inserted": 1}}}
    store = """mutation ($input: StoreArtifactInput!) { storeArtifact(input: $input) { text } }"""
    artifact = {"action": A0, "kind": "FILE", "name": "a.txt", "text": "a\0b"}
    body = await client.execute(store, {"input": artifact})
    assert body == {"data": {"storeArtifact": {"text": "a\0b"}}}, "an artifact is bytes"
    (error,) = (await client.execute(store, {"input": {**artifact, "name": "a\0"}}))["errors"]
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
