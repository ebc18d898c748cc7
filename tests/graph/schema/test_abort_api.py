"""Aborts over the API: requested, failed, retried, watched and counted."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette

from graph.app import create_app
from graph.settings import Settings
from repo import ActionRepo, RunIdentifier
from repo.aborts import claims as claims_module
from tests.graph.observability.test_metrics import metrics
from tests.support.client import GraphQLClient
from tests.support.executors import FakeExecutor, status, stopped
from tests.support.making import (
    ADA,
    RUN,
    action,
    make_run,
    new,
)
from tests.support.serving import serving
from tests.support.sockets import connected

SECONDS = 40
A0 = {"project": "etl", "domain": "production", "runName": "nightly-1", "name": "a0"}
ABORT = "state reason requestedBy { subject } attemptCount nextAttemptAt lastError confirmedAt"
RETRY = f"""mutation ($id: ActionIdentifierInput!) {{
  retryAbort(id: $id) {{ requested action {{ phase abort {{ {ABORT} }} }} }}
}}"""
ABORT_RUNS = """mutation ($dry: Boolean!) {
  abortRuns(input: {filter: {project: "etl"}, reason: "all", dryRun: $dry}) { matched requested batch }
}"""
REQUESTS = f"""subscription ($project: String, $after: String) {{
  abortRequests(project: $project, after: $after) {{
    kind cursor removed actions {{ id name run {{ name }} abort {{ {ABORT} }} }}
  }}
}}"""
PROGRESS = """subscription ($batch: ID!) {
  abortProgress(batch: $batch) { requested pending confirmed failed }
}"""


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shortens the backoff."""
    monkeypatch.setattr(claims_module, "retry_delay", lambda attempts: 0.1 * claims_module.FIRST_DELAY)


@pytest.fixture
def executor() -> Iterator[FakeExecutor]:
    """An executor on loopback."""
    with FakeExecutor().serving() as fake:
        yield fake


@pytest.fixture
async def driven(database_url: str, executor: FakeExecutor) -> AsyncIterator[GraphQLClient]:
    """A client of an application that notifies the executor by webhook, at most twice."""
    app = create_app(
        Settings(
            database_url=database_url,
            abort_webhook_url=executor.url,
            abort_webhook_secret="a secret that is long enough",  # type: ignore[arg-type]
            abort_webhook_allow_private=True,
            abort_attempts=2,
        )
    )
    async with (
        app.router.lifespan_context(app),
        GraphQLClient(transport=httpx2.ASGITransport(app), base_url="http://localhost") as opened,
    ):
        yield opened


async def data(client: GraphQLClient, query: str, **variables: Any) -> Any:
    """The value of the one field."""
    body = await client.execute(query, variables)
    assert "errors" not in body, body
    (value,) = body["data"].values()
    return value


async def comes_to(client: GraphQLClient, state: str) -> dict[str, Any]:
    """The abort of the run, once the condition holds."""
    query = f"query ($id: ActionIdentifierInput!) {{ action(id: $id) {{ abort {{ {ABORT} }} }} }}"
    async with asyncio.timeout(SECONDS):
        while True:
            abort: dict[str, Any] = (await data(client, query, id=A0))["abort"]
            if abort["state"] == state:
                return abort
            await asyncio.sleep(0.05)


async def test_a_failed_abort_has_its_error_and_can_be_retried(
    driven: GraphQLClient, executor: FakeExecutor, repository: ActionRepo
) -> None:
    executor.answer = status(503)
    await make_run(repository, child="a0")
    await repository.abort_run(RUN, "why", ADA)
    assert await comes_to(driven, "FAILED") == {
        "state": "FAILED",
        "reason": "why",
        "requestedBy": {"subject": "user-1"},
        "attemptCount": 2,
        "nextAttemptAt": None,
        "lastError": "it answered 503",
        "confirmedAt": None,
    }
    listed = await data(driven, "{ pendingAborts { nodes { name abort { state } } } }")
    assert listed["nodes"] == [{"name": "a0", "abort": {"state": "FAILED"}}]

    executor.answer = stopped
    retried = await data(driven, RETRY, id=A0)
    assert (retried["requested"], retried["action"]["phase"]) == (True, "ABORTED")
    abort = await comes_to(driven, "CONFIRMED")
    assert (abort["attemptCount"], abort["reason"]) == (1, "why")
    assert abort["confirmedAt"] is not None
    assert (await repository.get_action(action("child"))).abort_reason == "why"
    again = await data(driven, RETRY, id=A0)
    assert (again["requested"], again["action"]["abort"]["state"]) == (False, "CONFIRMED")


@pytest.mark.slow
async def test_between_two_attempts_the_next_one_and_the_error_are_visible(
    driven: GraphQLClient, executor: FakeExecutor, repository: ActionRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims_module, "retry_delay", lambda attempts: 60 * claims_module.FIRST_DELAY)
    executor.answer = status(500)
    await make_run(repository)
    await repository.abort_run(RUN, None, ADA)
    async with asyncio.timeout(SECONDS):
        while (abort := await comes_to(driven, "RETRYING"))["lastError"] is None:
            pass
    assert (abort["lastError"], abort["attemptCount"]) == ("it answered 500", 1)
    assert abort["nextAttemptAt"] is not None


async def test_an_abort_that_does_not_exist_cannot_be_retried(client: GraphQLClient) -> None:
    body = await client.execute(RETRY, {"id": A0})
    assert body["errors"][0]["extensions"]["code"] == "NOT_FOUND"


async def test_requesting_the_same_abort_twice_is_one_request(
    client: GraphQLClient, repository: ActionRepo
) -> None:
    await make_run(repository)
    await repository.abort_run(RUN, "first", ADA)
    query = f"""mutation ($id: ActionIdentifierInput!) {{
      abortAction(input: {{id: $id, reason: "second"}}) {{ requested action {{ abort {{ {ABORT} }} }} }}
    }}"""
    again = await data(client, query, id=A0)
    assert again["requested"] is False
    abort = again["action"]["abort"]
    assert (abort["reason"], abort["requestedBy"]) == ("first", {"subject": "user-1"})
    assert len(await repository.list_pending_aborts()) == 1


async def test_only_an_abort_of_many_runs_that_is_no_dry_run_has_a_batch(
    client: GraphQLClient, repository: ActionRepo
) -> None:
    runs = [RunIdentifier("etl", "production", f"run-{number}") for number in range(3)]
    await repository.actions.create([new(run=run) for run in runs])
    assert await data(client, ABORT_RUNS, dry=True) == {"matched": 3, "requested": 0, "batch": None}
    done = await data(client, ABORT_RUNS, dry=False)
    assert (done["matched"], done["requested"], isinstance(done["batch"], str)) == (3, 3, True)
    assert await data(client, ABORT_RUNS, dry=False) == {"matched": 0, "requested": 0, "batch": None}


@pytest.mark.slow
async def test_an_executor_subscribes_confirms_and_resumes(
    app: Starlette, repository: ActionRepo, database_url: str
) -> None:
    await make_run(repository)
    await make_run(repository, RunIdentifier("ml", "production", "other"))
    await repository.abort_run(RUN, "why", ADA)
    await repository.abort_run(RunIdentifier("ml", "production", "other"), "why", ADA)
    with serving(app) as url:
        async with connected(f"{url}/graphql") as socket:
            await socket.subscribe("1", REQUESTS, variables={"project": "etl"})
            seen: list[dict[str, Any]] = []
            while not any(row["abort"]["attemptCount"] >= 2 for frame in seen for row in frame["actions"]):
                seen.append(await socket.data("1"))
            rows = [row for frame in seen for row in frame["actions"]]
            assert {row["run"]["name"] for row in rows} == {"nightly-1"}
            assert rows[0]["abort"]["reason"] == "why"
            assert "it did not confirm" in {row["abort"]["lastError"] for row in rows}
            cursor = seen[-1]["cursor"]
            await repository.clear_abort_request(action())
            while not (frame := await socket.data("1"))["removed"]:
                pass
            assert frame["removed"] == [rows[0]["id"]]
        async with connected(f"{url}/graphql") as socket:
            await socket.subscribe("1", REQUESTS, variables={"project": "etl", "after": cursor})
            frame = await socket.data("1")
            assert (frame["kind"], frame["removed"]) == ("CHANGE", [rows[0]["id"]])


async def test_the_progress_of_a_batch_is_streamed_over_both_transports(
    app: Starlette, repository: ActionRepo
) -> None:
    runs = [RunIdentifier("etl", "production", f"run-{number}") for number in range(2)]
    await repository.actions.create([new(run=run) for run in runs])
    with serving(app) as url:
        async with connected(f"{url}/graphql") as socket, httpx2.AsyncClient(timeout=SECONDS) as http:
            body = {"query": ABORT_RUNS, "variables": {"dry": False}}
            response = (await http.post(f"{url}/graphql", json=body)).json()
            batch = response["data"]["abortRuns"]["batch"]
            await socket.subscribe("1", PROGRESS, variables={"batch": batch})
            first = await socket.data("1")
            assert first == {"requested": 2, "pending": 2, "confirmed": 0, "failed": 0}
            body = {"query": PROGRESS, "variables": {"batch": batch}}
            headers = {"accept": "text/event-stream"}
            async with http.stream("POST", f"{url}/graphql", json=body, headers=headers) as events:
                lines = (line async for line in events.aiter_lines() if line.startswith("data: {"))
                assert json.loads((await anext(lines))[6:])["data"]["abortProgress"] == first
                for run in runs:
                    await repository.clear_abort_request(action(run=run))
                last = [json.loads(line[6:]) async for line in lines][-1]
            end = {"requested": 2, "pending": 0, "confirmed": 2, "failed": 0}
            assert last["data"]["abortProgress"] == end
            while (seen := await socket.data("1")) != end:
                assert seen["pending"] == 1
            await socket.completes("1")

            await socket.subscribe("2", PROGRESS, variables={"batch": "none"})
            message = await socket.next()
            errors = message["payload"] if message["type"] == "error" else message["payload"]["errors"]
            assert errors[0]["extensions"]["code"] == "NOT_FOUND"


@pytest.mark.slow
async def test_metrics_count_pending_and_failed_aborts(
    driven: GraphQLClient, executor: FakeExecutor, repository: ActionRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def becomes(**wanted: float) -> dict[str, float]:
        async with asyncio.timeout(SECONDS):
            while True:
                seen = await metrics(driven)
                if {name: seen[f"rungraph_{name}"] for name in wanted} == wanted:
                    return seen
                await asyncio.sleep(0.05)

    await becomes(
        aborts_pending=0, abort_oldest_age_seconds=0, abort_attempts_total=0, aborts_given_up_total=0
    )
    monkeypatch.setattr(claims_module, "retry_delay", lambda attempts: 60 * claims_module.FIRST_DELAY)
    executor.answer = status(500)
    await make_run(repository)
    await repository.abort_run(RUN, None, ADA)
    seen = await becomes(aborts_pending=1, abort_attempts_total=1, aborts_given_up_total=0)
    assert 0 < seen["rungraph_abort_oldest_age_seconds"] < SECONDS
    await asyncio.sleep(0.1)
    assert (await metrics(driven))["rungraph_abort_oldest_age_seconds"] > seen[
        "rungraph_abort_oldest_age_seconds"
    ]

    other = RunIdentifier("etl", "production", "other")
    monkeypatch.setattr(claims_module, "retry_delay", lambda attempts: 0 * claims_module.FIRST_DELAY)
    await make_run(repository, other)
    await repository.abort_run(other, None, ADA)
    await becomes(aborts_pending=1, abort_attempts_total=3, aborts_given_up_total=1)
    await repository.clear_abort_request(action())
    await becomes(aborts_pending=0, abort_oldest_age_seconds=0, abort_attempts_total=3)
