"""The demo executor: its scenarios, how it handles aborts, and how it resumes unfinished runs."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from io import StringIO
from typing import Any

import httpx2
import pytest
from rich.console import Console
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.applications import Starlette

from graph.app import create_app
from graph.settings import Settings
from ingest.client import GraphQLClient as IngestClient
from ingest.demo.executor import Demo, play_demo
from ingest.demo.narrator import Narrator
from ingest.demo.scenarios import ROOT, SCENARIOS, plan_scenario
from ingest.executor import Executor
from repo import ActionRepo
from repo.aborts.claims import MAX_DELAY
from repo.domain.phases import ActionPhase
from repo.tables import actions
from tests.support.client import GraphQLClient
from tests.support.proxy import proxied
from tests.support.serving import serving
from tests.support.waiting import until

SECONDS = 60

RUNS = """query ($filter: RunFilter) {
  runs(filter: $filter, first: 100) {
    nodes {
      project domain name phase source createdAt endedAt durationMs
      labels { key value } trigger { name } createdBy { kind subject } abort { state attemptCount }
      error { kind code message } task { version } functionName environmentName
      rootAction { state }
      actions(first: 1000) {
        nodes {
          name parentName dependencies type phase attempts cacheStatus state
          task { version } functionName environmentName error { kind code message }
          attemptHistory {
            attempt phase outputs logs { uri } clusterEvents { reason } error { code }
            phaseTransitions { phase }
          }
        }
      }
    }
  }
}"""


class RecordingTransport(httpx2.AsyncBaseTransport):
    """Records the operations of the requests it forwards."""

    def __init__(self) -> None:
        self._inner = httpx2.AsyncHTTPTransport()
        self.requests: list[tuple[str, dict[str, Any]]] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        body = json.loads(await request.aread())
        self.requests.append((body["query"].split("(")[0].split()[1], body["variables"]))
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()

    def count(self, operation: str) -> int:
        return sum(name == operation for name, _ in self.requests)


@pytest.fixture
def app(database_url: str) -> Starlette:
    """The application, without a limit on the cost of queries."""
    return create_app(Settings(database_url=database_url, max_query_cost=10**8))


@pytest.fixture
def url(app: Starlette) -> Iterator[str]:
    """The URL of the application on a real port: an in-process transport would wait for the end of the
    subscription."""
    with serving(app) as address:
        yield address


@pytest.fixture
async def client(url: str) -> AsyncIterator[GraphQLClient]:
    async with GraphQLClient(base_url=url) as opened:
        yield opened


@pytest.fixture
def transport() -> RecordingTransport:
    return RecordingTransport()


@pytest.fixture
async def executor(url: str, transport: RecordingTransport) -> AsyncIterator[Executor]:
    """An executor connected to the running application."""
    async with IngestClient(url, transport=transport) as opened:
        yield Executor(opened)


@pytest.fixture
def single_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server does not notify the executor a second time, even on a stalled machine."""
    # No longer than that: a later time counts as due, because only a clock that went back explains it.
    monkeypatch.setattr("repo.aborts.claims.retry_delay", lambda attempts: MAX_DELAY)


async def _runs(client: GraphQLClient, **filter_: Any) -> list[dict[str, Any]]:
    body = await client.execute(RUNS, {"filter": filter_})
    assert "errors" not in body, body
    nodes: list[dict[str, Any]] = body["data"]["runs"]["nodes"]
    return nodes


def _scenario(run: dict[str, Any]) -> str:
    labels: dict[str, str] = {label["key"]: label["value"] for label in run["labels"]}
    return labels["scenario"]


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("seed", range(10))
def test_every_plan_follows_the_phase_rules_and_nests_children_within_parents(
    scenario: str, seed: int
) -> None:
    plan = plan_scenario(scenario, seed)
    assert plan == plan_scenario(scenario, seed)
    for action in plan.actions:
        ranks = [step.rank for step in action.steps]
        assert ranks == sorted(set(ranks))
        offsets = [step.offset_ms for step in action.steps]
        assert offsets == sorted(offsets)
        assert action.steps[-1].phase.is_terminal
        if action.parent_name is not None:
            parent = plan.by_name[action.parent_name]
            assert parent.steps[0].offset_ms <= offsets[0]
            assert parent.steps[-1].offset_ms >= offsets[-1]
        for name in action.dependencies:
            assert plan.by_name[name].steps[-1].offset_ms <= offsets[0], "it waits until they have ended"


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_stage_of_a_scenario_but_the_first_has_dependencies(scenario: str) -> None:
    first, *others = (action for action in plan_scenario(scenario, 1).actions if action.parent_name == ROOT)
    assert first.dependencies == ()
    assert others
    assert all(stage.dependencies for stage in others)


async def test_the_history_contains_every_feature_the_demo_shows(
    client: GraphQLClient, executor: Executor
) -> None:
    output: list[str] = []
    await Demo(executor, output.append, seed=1).fill_history(len(SCENARIOS))
    assert output == [f"writing {len(SCENARIOS)} finished runs of the last day"]
    runs = {_scenario(run): run for run in await _runs(client, project="demo")}
    assert set(runs) == set(SCENARIOS)
    actions = [node for run in runs.values() for node in run["actions"]["nodes"]]
    attempts = [attempt for node in actions for attempt in node["attemptHistory"]]

    assert all(run["endedAt"] for run in runs.values())
    assert {run["source"] for run in runs.values()} == {
        "WEB",
        "CLI",
        "SCHEDULE_TRIGGER",
        "TRACKED",
        "ARTIFACT_TRIGGER",
    }
    assert {run["domain"] for run in runs.values()} == {"development", "production"}
    assert {run["createdBy"]["kind"] for run in runs.values()} == {"USER", "APPLICATION"}
    assert runs["daily_report"]["trigger"] == {"name": "daily_report-trigger"}
    assert runs["daily_report"]["rootAction"]["state"] == "report published"
    assert all(node["task"]["version"] and node["environmentName"] for node in actions)

    below_root = {node["name"] for node in actions if node["parentName"] == "root"}
    assert any(node["parentName"] in below_root for node in actions), "three levels"
    assert len(runs["train_model"]["actions"]["nodes"]) > 200, "a few hundred actions"
    assert {node["type"] for node in actions} == {"TASK", "TRACE", "CONDITION"}
    assert {"HIT", "POPULATED"} <= {node["cacheStatus"] for node in actions}

    waited_for = {node["name"]: node["dependencies"] for node in runs["daily_report"]["actions"]["nodes"]}
    assert waited_for["join-tables"] == ["extract-customers", "extract-orders", "extract-returns"]
    assert waited_for["render-csv"] == ["aggregate"]
    assert waited_for["extract"] == []

    retried = next(node for node in actions if node["attempts"] == 2 and node["phase"] == "SUCCEEDED")
    assert [attempt["attempt"] for attempt in retried["attemptHistory"]] == [1, 2]
    assert retried["attemptHistory"][0]["error"]["code"]
    assert retried["error"] is None

    failed = runs["load_orders"]
    assert (failed["phase"], failed["error"]["kind"], failed["error"]["code"]) == (
        "FAILED",
        "USER",
        "ChildFailed",
    )
    checked = next(node for node in failed["actions"]["nodes"] if node["name"] == "check-schema")
    assert (checked["phase"], checked["attempts"], checked["error"]["code"]) == (
        "FAILED",
        3,
        "SchemaMismatch",
    )
    phases = {node["phase"] for node in actions}
    assert phases == {"SUCCEEDED", "FAILED", "ABORTED", "RECOVERED"}

    approval = next(node for node in actions if node["name"] == "approve-release")
    passed = [step["phase"] for step in approval["attemptHistory"][0]["phaseTransitions"]]
    assert passed == ["QUEUED", "RUNNING", "PAUSED", "SUCCEEDED"]
    assert approval["state"] == "approved"

    assert any(attempt["phase"] == "TIMED_OUT" for attempt in attempts)
    assert any(attempt["logs"] for attempt in attempts)
    assert any(attempt["outputs"] for attempt in attempts)
    reasons = {event["reason"] for attempt in attempts for event in attempt["clusterEvents"]}
    assert {"Pulled", "FailedScheduling", "SchemaMismatch"} <= reasons


async def test_history_is_filled_up_to_the_requested_number_of_runs(
    client: GraphQLClient, executor: Executor
) -> None:
    demo = Demo(executor, lambda text: None, seed=3)
    await demo.fill_history(3)
    await demo.fill_history(3)
    assert len(await _runs(client)) == 3


@asynccontextmanager
async def _playing(demo: Demo, limit: int) -> AsyncIterator[None]:
    """Runs the demo while the context is open."""
    task = asyncio.create_task(demo.play(live=limit, max_runs=limit, forever=False))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.wait_for(task, SECONDS)


async def _wait_for_run(
    client: GraphQLClient, filter_: dict[str, Any], matches: Callable[[dict[str, Any]], bool] = bool
) -> dict[str, Any]:
    """Waits for a run that matches the filter and the predicate."""
    async with asyncio.timeout(SECONDS):
        while True:
            for run in await _runs(client, **filter_):
                if matches(run):
                    return run
            await asyncio.sleep(0.1)


def _running(run: dict[str, Any]) -> int:
    return sum(node["phase"] == "RUNNING" for node in run["actions"]["nodes"])


def _identifier(run: dict[str, Any]) -> dict[str, str]:
    return {part: run[part] for part in ("project", "domain", "name")}


OUTPUT = """query ($filter: RunFilter) {
  runs(first: 100, filter: $filter) {
    nodes {
      project domain name functionName executor phase
      actions(first: 1000) {
        nodes {
          project domain runName name phase progress { done total } metrics { name last }
          artifacts { name mediaType size }
          attemptHistory { attempt phase logSummary { lineCount firstError } }
        }
      }
    }
  }
}"""


async def _outputs(client: GraphQLClient, **filter_: Any) -> dict[str, dict[str, Any]]:
    """The actions that have put anything out, by name."""
    body = await client.execute(OUTPUT, {"filter": filter_})
    assert "errors" not in body, body
    return {
        action["name"]: action
        for run in body["data"]["runs"]["nodes"]
        for action in run["actions"]["nodes"]
        if any(attempt["logSummary"] for attempt in action["attemptHistory"])
    }


async def test_played_runs_end_like_the_history_and_have_logs_progress_metrics_and_files(
    client: GraphQLClient, executor: Executor
) -> None:
    demo = Demo(executor, lambda text: None, seed=1, speed=60)
    async with asyncio.timeout(SECONDS):
        await demo.play(live=4, max_runs=len(SCENARIOS), forever=False)
    runs = {_scenario(run): run["phase"] for run in await _runs(client)}
    assert runs == dict.fromkeys(SCENARIOS, "SUCCEEDED") | {"load_orders": "FAILED"}
    found = await _outputs(client)
    failed = found["check-schema"]
    assert [attempt["logSummary"]["firstError"] is not None for attempt in failed["attemptHistory"]] == [
        True
    ] * 3
    assert {artifact["name"] for artifact in failed["artifacts"]} == {"bad-rows.csv"}
    assert {
        artifact["mediaType"].partition(";")[0] for each in found.values() for artifact in each["artifacts"]
    } >= {
        "application/json",
        "image/png",
        "text/csv",
        "text/html",
        "text/markdown",
    }
    assert failed["progress"]["done"] < failed["progress"]["total"]
    trials = [each for name, each in found.items() if name.startswith("trial-")]
    assert len(trials) > 100
    assert {metric["name"] for trial in trials for metric in trial["metrics"]} == {"loss", "memory"}
    assert all(trial["progress"] == {"done": 12, "total": 12} for trial in trials)


async def test_what_the_history_has_put_out_follows_without_delaying_it(
    client: GraphQLClient, executor: Executor, transport: RecordingTransport
) -> None:
    demo = Demo(executor, lambda text: None, seed=1)
    assert await demo.fill_history(len(SCENARIOS))
    assert transport.count("AppendLogs") == 0
    plans = list(demo.silent)
    await demo.narrate_history()
    found = await _outputs(client)
    assert {"check-schema", "aggregate", "build-dataset", "reconcile"} <= found.keys()
    assert not any(name.startswith("trial-") for name in found)
    before = {name: each["attemptHistory"] for name, each in found.items()}
    for plan in plans:
        await Narrator(executor, plan).write_history()
    assert {name: each["attemptHistory"] for name, each in (await _outputs(client)).items()} == before
    assert not await demo.fill_history(len(SCENARIOS))


async def test_an_executor_is_lost(client: GraphQLClient, executor: Executor) -> None:
    demo = Demo(executor, lambda text: None, seed=1)
    await demo.lose_executor()
    [run] = await _runs(client, executor="export-worker-7")
    assert run["phase"] == "RUNNING"
    assert await demo.unfinished_runs() == []


async def test_an_approval_is_paused_until_it_is_granted(
    client: GraphQLClient, executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.demo.executor.SCENARIOS", {"publish_dataset": SCENARIOS["publish_dataset"]})
    # The pause lasts for seconds, so that polling sees it even on a stalled machine.
    async with _playing(Demo(executor, lambda text: None, seed=4, speed=10), 1):
        run = await _wait_for_run(client, {"hasPausedActions": True})
        paused = next(node for node in run["actions"]["nodes"] if node["phase"] == "PAUSED")
        assert (paused["name"], paused["type"]) == ("approve-release", "CONDITION")
        assert paused["state"] == "waiting for approval"
        await _wait_for_run(client, {"phases": ["SUCCEEDED"]})


ABORT_RUN = """mutation ($id: RunIdentifierInput!) {
  abortRun(input: {id: $id, reason: "enough"}) { requested run { abort { state } } }
}"""
ABORT_ACTION = """mutation ($id: ActionIdentifierInput!) { abortAction(input: {id: $id}) { requested } }"""
ACTION = """query ($id: ActionIdentifierInput!) {
  action(id: $id) {
    phase abort { state attemptCount reason }
    attemptHistory { phase clusterEvents { reason message } error { code message } }
  }
}"""


@pytest.mark.usefixtures("single_attempt")
async def test_an_abort_stops_a_demo_run_and_all_its_actions(
    client: GraphQLClient, executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.demo.executor.SCENARIOS", {"train_model": SCENARIOS["train_model"]})
    async with _playing(Demo(executor, lambda text: None, seed=2, speed=4), 1):
        run = await _wait_for_run(client, {"phases": ["RUNNING"]}, lambda run: _running(run) > 10)
        body = await client.execute(ABORT_RUN, {"id": _identifier(run)})
        assert body["data"]["abortRun"] == {"requested": True, "run": {"abort": {"state": "REQUESTED"}}}
        confirmed = {"state": "CONFIRMED", "attemptCount": 1}
        run = await _wait_for_run(client, {"phases": ["ABORTED"]}, lambda run: run["abort"] == confirmed)
        phases = {node["phase"] for node in run["actions"]["nodes"]}
        assert phases <= {"SUCCEEDED", "ABORTED"}
        await asyncio.sleep(1)
        later = await _wait_for_run(client, {"phases": ["ABORTED"]})
        assert later["actions"] == run["actions"], "nothing is reported of it any more"


async def test_aborts_arrive_by_one_subscription_without_polling(
    client: GraphQLClient, executor: Executor, transport: RecordingTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.demo.executor.SCENARIOS", {"train_model": SCENARIOS["train_model"]})
    output: list[str] = []
    async with _playing(Demo(executor, output.append, seed=2, speed=6), 2):
        for _ in range(2):
            run = await _wait_for_run(client, {"phases": ["RUNNING"]}, lambda run: _running(run) > 5)
            await client.execute(ABORT_RUN, {"id": _identifier(run)})
        await until(lambda: sum(text.endswith(": ABORTED") for text in output) == 2)
    assert len(await _runs(client, phases=["ABORTED"], abortPending=False)) == 2
    assert transport.count("ClearAbortRequest") == 2
    assert transport.count("AbortRequests") == 1
    assert ("AbortRequests", {"project": "demo", "after": None}) in transport.requests
    assert transport.count("Aborts") == transport.count("MarkAbortAttempt") == 0


async def test_an_abort_during_an_interruption_arrives_after_resuming_from_the_last_cursor(
    client: GraphQLClient, url: str, transport: RecordingTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.demo.executor.SCENARIOS", {"train_model": SCENARIOS["train_model"]})
    output: list[str] = []
    async with (
        proxied(url) as proxy,
        IngestClient(
            f"http://127.0.0.1:{proxy.port}", max_unavailable_s=SECONDS, transport=transport
        ) as opened,
        _playing(Demo(Executor(opened), output.append, seed=2, speed=4), 1),
    ):
        run = await _wait_for_run(client, {"phases": ["RUNNING"]}, lambda run: _running(run) > 10)
        proxy.refuse()
        await client.execute(ABORT_RUN, {"id": _identifier(run)})
        await until(lambda: any("abort requests: Connection lost" in text for text in output))
        assert (await _wait_for_run(client, {"abortPending": True}))["phase"] == "ABORTED"
        proxy.refuse(False)
        await _wait_for_run(client, {"abortPending": False}, lambda run: run["phase"] == "ABORTED")
    afters = [variables["after"] for name, variables in transport.requests if name == "AbortRequests"]
    assert afters[0] is None
    assert len(afters) > 1
    assert all(afters[1:])
    assert "abort requests: connected again" in output


async def _abort_history(
    client: GraphQLClient, repository: ActionRepo, id_: dict[str, str], state: str
) -> list[dict[str, Any]]:
    """The distinct states of an abort until it is in `state`. Each failed attempt is repeated at once."""

    async def make_due(connection: AsyncConnection) -> None:
        waits = actions.c.abort_next_attempt_at.is_not(None)
        await connection.execute(actions.update().where(waits).values(abort_next_attempt_at=None))

    seen: list[dict[str, Any]] = []
    async with asyncio.timeout(SECONDS):
        while not seen or seen[-1]["state"] != state:
            body = await client.execute(ACTION, {"id": id_})
            abort = body["data"]["action"]["abort"]
            if abort not in seen:
                seen.append(abort)
                if abort["state"] == "RETRYING" and abort["attemptCount"] < 3:
                    await repository.database.transact_on_connection(make_due)
            await asyncio.sleep(0.05)
    return seen


@pytest.mark.usefixtures("single_attempt")
@pytest.mark.parametrize("whole_run", [False, True])
async def test_an_action_that_ignores_two_abort_requests_is_retried_and_stops_at_the_third(
    client: GraphQLClient,
    executor: Executor,
    repository: ActionRepo,
    monkeypatch: pytest.MonkeyPatch,
    whole_run: bool,
) -> None:
    monkeypatch.setattr("ingest.demo.executor.SCENARIOS", {"load_orders": SCENARIOS["load_orders"]})
    stubborn = "count-duplicates"

    def is_running(run: dict[str, Any]) -> bool:
        return any((node["name"], node["phase"]) == (stubborn, "RUNNING") for node in run["actions"]["nodes"])

    async with _playing(Demo(executor, lambda text: None, seed=4, speed=4), 1):
        run = await _wait_for_run(client, {}, is_running)
        name = {"project": run["project"], "domain": run["domain"], "runName": run["name"]}
        aborted, below = {**name, "name": ROOT if whole_run else stubborn}, {**name, "name": stubborn}
        if whole_run:
            await client.execute(ABORT_RUN, {"id": _identifier(run)})
        else:
            await client.execute(ABORT_ACTION, {"id": aborted})
        seen = await _abort_history(client, repository, aborted, "CONFIRMED")
        attempts = [abort["attemptCount"] for abort in seen if abort["state"] == "RETRYING"]
        assert set(attempts) >= {1, 2}
        assert attempts == sorted(attempts)
        assert seen[-1]["attemptCount"] == 3

        action = (await client.execute(ACTION, {"id": below}))["data"]["action"]
        assert action["phase"] == "ABORTED"
        (attempt,) = action["attemptHistory"]
        assert attempt["error"] == {"code": "ABORTED", "message": "aborted on request"}
        killed = {
            "reason": "Killing",
            "message": "Killed at request 3: earlier requests were ignored",
        }
        assert killed in attempt["clusterEvents"]
        run = await _wait_for_run(client, {"phases": ["ABORTED" if whole_run else "FAILED"]})
        assert all(ActionPhase[node["phase"]].is_terminal for node in run["actions"]["nodes"])


@pytest.mark.usefixtures("single_attempt")
async def test_an_action_that_ignores_aborts_delays_none_unless_it_is_running(
    client: GraphQLClient, executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.demo.executor.SCENARIOS", {"load_orders": SCENARIOS["load_orders"]})
    async with _playing(Demo(executor, lambda text: None, seed=4, speed=1), 1):
        run = await _wait_for_run(client, {"phases": ["RUNNING"]})
        assert {node["name"] for node in run["actions"]["nodes"]} <= {ROOT, "load", "fetch-files"}
        await client.execute(ABORT_RUN, {"id": _identifier(run)})
        run = await _wait_for_run(client, {"phases": ["ABORTED"], "abortPending": False})
        assert run["abort"] == {"state": "CONFIRMED", "attemptCount": 1}


async def test_an_abort_of_a_run_without_player_is_confirmed_at_once(
    client: GraphQLClient, executor: Executor, transport: RecordingTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.demo.executor.POLL_INTERVAL_S", SECONDS * 10)
    plan = plan_scenario("daily_report", 7)
    async with _playing(Demo(executor, lambda text: None), 0):
        await until(lambda: transport.count("RunsOf") == 2)
        # As if another process had started it and died.
        await executor.report([plan.create_input(plan.root, plan.began_at)])
        id_ = {"project": plan.run.project, "domain": plan.run.domain, "name": plan.run.name}
        await client.execute(ABORT_RUN, {"id": id_})
        await _wait_for_run(client, {"abortPending": False}, lambda run: run["phase"] == "ABORTED")
        assert transport.count("RunsOf") == 2


async def test_a_run_ended_by_another_client_is_no_longer_played(
    client: GraphQLClient, executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.demo.executor.POLL_INTERVAL_S", 1)
    monkeypatch.setattr("ingest.demo.executor.SCENARIOS", {"train_model": SCENARIOS["train_model"]})
    output: list[str] = []
    async with _playing(Demo(executor, output.append, seed=2, speed=4), 1):
        run = await _wait_for_run(client, {"phases": ["RUNNING"]}, lambda run: _running(run) > 10)
        name = {"project": run["project"], "domain": run["domain"], "runName": run["name"], "name": ROOT}
        await executor.report([], [], [{"id": name, "phase": "FAILED", "attempts": 1}])
        await until(lambda: any(text.endswith(": ABORTED") for text in output))
    (run,) = await _runs(client)
    assert run["phase"] == "FAILED"
    assert _running(run) == 0


async def test_a_restarted_demo_finishes_its_runs_and_confirms_aborts_requested_meanwhile(
    client: GraphQLClient, executor: Executor
) -> None:
    async with _playing(Demo(executor, lambda text: None, seed=1, speed=2), 2):
        for scenario in ("daily_report", "train_model"):
            await _wait_for_run(
                client, {"labels": [{"key": "scenario", "value": scenario}]}, lambda run: _running(run) > 1
            )
    left = await _runs(client, phases=["RUNNING"])
    aborted = next(run for run in left if _scenario(run) == "train_model")
    mutation = """mutation ($id: RunIdentifierInput!) { abortRun(input: {id: $id}) { requested } }"""
    await client.execute(mutation, {"id": _identifier(aborted)})

    output: list[str] = []
    demo = Demo(executor, output.append, speed=60)
    async with asyncio.timeout(SECONDS):
        await demo.play(live=2, max_runs=2, forever=False)
    assert sum(text.startswith("resumes demo/") for text in output) == 2
    runs = {_scenario(run): run for run in await _runs(client)}
    assert len(runs) == 2
    assert runs["daily_report"]["phase"] == "SUCCEEDED"
    assert runs["train_model"]["phase"] == "ABORTED"
    assert runs["train_model"]["abort"]["state"] == "CONFIRMED"
    for run in runs.values():
        assert all(ActionPhase[node["phase"]].is_terminal for node in run["actions"]["nodes"])


async def test_an_interrupted_history_is_completed_with_its_planned_times(
    client: GraphQLClient, executor: Executor
) -> None:
    plan = plan_scenario("daily_report", 7, began_at=plan_scenario("daily_report", 7).began_at)
    moment = plan.began_at
    await executor.report([plan.create_input(plan.root, moment)])
    demo = Demo(executor, lambda text: None)
    async with asyncio.timeout(SECONDS):
        await demo.play(live=1, max_runs=1, forever=False)
    (run,) = await _runs(client)
    assert (run["phase"], run["durationMs"]) == ("SUCCEEDED", plan.duration_ms)


async def test_runs_of_other_executors_in_the_same_project_are_not_played(
    client: GraphQLClient, executor: Executor
) -> None:
    own = plan_scenario("daily_report", 7)
    foreign = own.create_input(own.root, own.began_at)
    foreign["id"]["name"], foreign["spec"] = "root", {"scenario": "daily_report", "seed": 8, "pace": 1}
    await executor.report([foreign])
    assert await Demo(executor, lambda text: None).unfinished_runs() == []


async def test_the_demo_waits_for_an_unavailable_server_and_prints_it() -> None:
    seen = 0

    def refuse(request: httpx2.Request) -> httpx2.Response:
        nonlocal seen
        seen += 1
        raise httpx2.ConnectError("Connection refused")

    console = Console(file=StringIO(), width=300)
    transport = httpx2.MockTransport(refuse)
    playing = asyncio.create_task(play_demo("http://localhost", console=console, transport=transport))
    await until(lambda: seen > 2)
    assert not playing.done()
    playing.cancel()
    with suppress(asyncio.CancelledError):
        await playing
    assert isinstance(console.file, StringIO)
    assert console.file.getvalue() == (
        "Demo: http://localhost/graphql does not respond (Connection refused); retrying\n"
    )
