"""Importing recordings: the stored runs agree with the files."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine
from datetime import datetime
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

import httpx2
import pytest
from rich.console import Console
from starlette.applications import Starlette

from ingest.client import GraphQLClient as IngestClient
from ingest.executor import Executor
from ingest.wfformat.format import read_recording
from ingest.wfformat.importer import import_files
from ingest.wfformat.schedule import plan_recording, run_name
from repo.domain.identifiers import RunIdentifier
from tests import DATA
from tests.support.client import GraphQLClient

FILES = (DATA / "diamond.json", DATA / "timed.json")
WORKFLOWS = {path: json.loads(path.read_text())["workflow"] for path in FILES}
DIAMOND = FILES[0].read_text()
SECONDS = 30

QUERY = """query ($run: RunIdentifierInput!) {
  run(id: $run) {
    phase source createdAt startedAt endedAt durationMs labels { key value } abort { state attemptCount }
    error { code message }
    rootAction { name spec }
    actions(first: 1000) {
      totalCount
      nodes {
        name parentName group phase attempts createdAt startedAt endedAt durationMs spec dependencies
        attemptHistory {
          attempt phase startedAt endedAt cluster outputs phaseTransitions { phase startedAt }
        }
        events(first: 100) { nodes { phase version info } }
      }
    }
  }
}"""

Import = Callable[..., Coroutine[None, None, tuple[int, str]]]


class Interrupted(BaseException):
    """Simulates Ctrl-C."""


class FlakyTransport(httpx2.AsyncBaseTransport):
    """Forwards requests and calls `after` before it returns the response."""

    def __init__(self, app: Starlette) -> None:
        self._inner = httpx2.ASGITransport(app)
        self.requests: list[str] = []
        self.after: Callable[[int], Awaitable[None]] | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        body = json.loads(await request.aread())
        self.requests.append(body["query"].split("(")[0].split()[1])
        number = len(self.requests)
        response = await self._inner.handle_async_request(request)
        if self.after:
            await self.after(number)
        return response


@pytest.fixture
def transport(app: Starlette) -> FlakyTransport:
    return FlakyTransport(app)


@pytest.fixture
def run_import(client: GraphQLClient, transport: FlakyTransport) -> Import:
    """Runs an import into the application; returns the exit code and the output."""

    async def run(*files: Path, **arguments: Any) -> tuple[int, str]:
        console = Console(file=StringIO(), width=300)
        defaults: dict[str, Any] = {"url": "http://localhost", "console": console, "transport": transport}
        code = await asyncio.wait_for(import_files(files or FILES[:1], **(defaults | arguments)), SECONDS)
        assert isinstance(console.file, StringIO)
        return code, console.file.getvalue()

    return run


async def _names(client: GraphQLClient) -> list[str]:
    body = await client.execute("{ runs(first: 100) { nodes { name } } }")
    return sorted(node["name"] for node in body["data"]["runs"]["nodes"])


async def _stored(client: GraphQLClient, name: str | None = None) -> dict[str, Any]:
    """The stored run of this name, or the only one."""
    if name is None:
        (name,) = await _names(client)
    run = {"project": "recordings", "domain": "production", "name": name}
    body = await client.execute(QUERY, {"run": run})
    assert "errors" not in body, body
    found: dict[str, Any] = body["data"]["run"]
    return found


def _ms(start: str, end: str) -> int:
    return round((datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds() * 1000)


def _longest_chain(dependencies: dict[str, list[str]], runtimes: dict[str, int]) -> int:
    @cache
    def until(name: str) -> int:
        return runtimes[name] + max((until(before) for before in dependencies[name]), default=0)

    return max(until(name) for name in runtimes)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
async def test_counts_durations_and_the_critical_path_agree_with_the_file(
    client: GraphQLClient, run_import: Import, path: Path
) -> None:
    code, output = await run_import(path)
    assert code == 0, output
    workflow = WORKFLOWS[path]
    run = await _stored(client)
    actions = {node["name"]: node for node in run["actions"]["nodes"] if node["parentName"]}
    recorded = {task["id"]: round(task["runtimeInSeconds"] * 1000) for task in workflow["execution"]["tasks"]}
    parents = {task["id"]: task["parents"] for task in workflow["specification"]["tasks"]}

    assert run["actions"]["totalCount"] == len(recorded) + 1
    runtimes = {name: _ms(node["startedAt"], node["endedAt"]) for name, node in actions.items()}
    assert runtimes == recorded
    dependencies = {name: node["dependencies"] for name, node in actions.items()}
    assert {name: set(before) for name, before in dependencies.items()} == {
        name: set(before) for name, before in parents.items()
    }
    assert _longest_chain(dependencies, runtimes) == _longest_chain(parents, recorded)
    for name, node in actions.items():
        assert all(actions[before]["endedAt"] <= node["startedAt"] for before in dependencies[name])


async def test_an_imported_run_is_finished_with_the_recorded_times(
    client: GraphQLClient, run_import: Import
) -> None:
    await run_import()
    run = await _stored(client)
    assert (run["phase"], run["source"], run["durationMs"]) == ("SUCCEEDED", "TRACKED", 42_500)
    assert datetime.fromisoformat(run["createdAt"]) == datetime.fromisoformat("2024-01-22T05:05:55Z")
    assert run["startedAt"] == run["createdAt"]
    assert {"key": "workflow", "value": "diamond"} in run["labels"]
    for node in run["actions"]["nodes"]:
        assert (node["phase"], node["attempts"]) == ("SUCCEEDED", 1)
        assert node["parentName"] in (None, run["rootAction"]["name"])
        (attempt,) = node["attemptHistory"]
        assert attempt["endedAt"] == node["endedAt"]
        transitions = {step["phase"]: step["startedAt"] for step in attempt["phaseTransitions"]}
        assert list(transitions) == ["QUEUED", "RUNNING", "SUCCEEDED"]
        assert transitions["RUNNING"] == node["startedAt"]


async def test_a_repeated_import_writes_nothing(run_import: Import, transport: FlakyTransport) -> None:
    await run_import()
    transport.requests.clear()
    code, output = await run_import()
    assert code == 0
    assert "already imported" in output
    assert transport.requests == ["Hello", "ActionsOfRun"]


async def test_an_import_interrupted_at_any_request_resumes_to_the_same_result(
    client: GraphQLClient, run_import: Import, transport: FlakyTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.history.BATCH", 6)  # two tasks at a time
    await run_import(name="whole")
    total = len(transport.requests)
    assert total > 12
    whole = await _stored(client, "whole")
    for number in range(1, total):
        transport.requests.clear()

        async def interrupt(count: int, at: int = number) -> None:
            if count == at:
                raise Interrupted

        transport.after = interrupt
        with pytest.raises(Interrupted):
            await run_import(name=f"interrupted-{number}")
        transport.after = None
        code, output = await run_import(name=f"interrupted-{number}")
        assert code == 0, output
        assert await _stored(client, f"interrupted-{number}") == whole


OUTPUT = """query ($id: ActionIdentifierInput!) {
  logLines(action: $id, attempt: 1, first: 100) { lines { stream level text at } omitted { first } }
  action(id: $id) { artifacts { kind name mediaType text json size attempt } }
}"""


def _with_output(folder: Path) -> Path:
    document = json.loads(DIAMOND)
    (task,) = (each for each in document["workflow"]["execution"]["tasks"] if each["id"] == "clean_3")
    task["logs"] = [
        {"text": "begins"},
        {
            "text": "no price",
            "level": "WARNING",
            "stream": "stderr",
            "at": "2024-01-22T05:06:01Z",
        },
        {"text": "ends", "level": "INFO"},
    ]
    task["artifacts"] = [
        {"name": "counts", "kind": "OUTPUTS", "json": {"rows": 17}},
        {"name": "rows.csv", "text": "a,b\n1,2\n"},
        {"name": "raw.bin", "base64": "AAEC", "mediaType": "application/x-raw"},
    ]
    path = folder / "with-output.json"
    path.write_text(json.dumps(document))
    return path


@pytest.mark.parametrize("speed", [None, 1000])
async def test_logs_and_artifacts_of_a_task_are_imported_once(
    client: GraphQLClient,
    run_import: Import,
    transport: FlakyTransport,
    tmp_path: Path,
    speed: float | None,
) -> None:
    path = _with_output(tmp_path)

    async def interrupt(number: int) -> None:
        if transport.requests[-1] == "AppendLogs":
            raise Interrupted

    transport.after = interrupt
    with pytest.raises(Interrupted):
        await run_import(path, speed=speed)
    transport.after = None
    code, output = await run_import(path, speed=speed)
    assert code == 0, output
    (name,) = await _names(client)
    task = {"project": "recordings", "domain": "production", "runName": name, "name": "clean_3"}
    data = (await client.execute(OUTPUT, {"id": task}))["data"]
    lines = data["logLines"]["lines"]
    assert data["logLines"]["omitted"] == []
    assert [(line["stream"], line["level"], line["text"]) for line in lines] == [
        ("stdout", None, "begins"),
        ("stdout", "INFO", "ends"),
        ("stderr", "WARNING", "no price"),
    ]
    if speed is None:
        assert {line["at"] for line in lines if line["text"] != "begins"} == {"2024-01-22T05:06:01Z"}
    found = {each.pop("name"): each for each in data["action"]["artifacts"]}
    assert {each["attempt"] for each in found.values()} == {1}
    assert (found["counts"]["kind"], found["counts"]["json"]) == ("OUTPUTS", {"rows": 17})
    assert (found["rows.csv"]["kind"], found["rows.csv"]["mediaType"]) == ("FILE", "text/csv")
    assert found["rows.csv"]["text"] == "a,b\n1,2\n"
    assert (found["raw.bin"]["mediaType"], found["raw.bin"]["size"]) == ("application/x-raw", 3)


async def test_an_invalid_file_among_several_writes_nothing(
    client: GraphQLClient, run_import: Import, tmp_path: Path
) -> None:
    invalid = tmp_path / "invalid.json"
    invalid.write_text("{}")
    code, output = await run_import(*FILES, invalid)
    assert code == 2
    assert output == f"{invalid}: schemaVersion: expected 1.5 or 1.6 of WfFormat, found nothing\n"
    assert await _names(client) == []


async def test_escape_sequences_in_a_file_name_are_not_printed(
    client: GraphQLClient, run_import: Import, tmp_path: Path
) -> None:
    odd = tmp_path / "\x1b]0;owned\x07\u202egpj.json"
    odd.write_text("{}")
    code, output = await run_import(odd)
    assert code == 2
    assert output.startswith(f"{tmp_path}/]0;ownedgpj.json: schemaVersion:")
    odd.write_bytes(FILES[0].read_bytes())
    code, output = await run_import(odd, name="odd")
    assert code == 0
    assert output.startswith("]0;ownedgpj.json: SUCCEEDED as recordings/production/odd")


async def test_each_file_becomes_a_run(client: GraphQLClient, run_import: Import) -> None:
    code, output = await run_import(*FILES)
    assert code == 0
    assert len(await _names(client)) == 2
    assert "diamond.json: SUCCEEDED" in output
    assert "timed.json: SUCCEEDED" in output


async def test_an_unavailable_server_is_reported_in_one_line() -> None:
    def refuse(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("Connection refused")

    console = Console(file=StringIO(), width=300)
    code = await import_files(
        FILES, url="http://localhost", console=console, transport=httpx2.MockTransport(refuse)
    )
    assert isinstance(console.file, StringIO)
    assert code == 1
    assert console.file.getvalue().startswith("no response from http://localhost/graphql")
    assert console.file.getvalue().count("\n") == 1


async def test_a_url_without_a_graphql_server_is_reported_in_one_line() -> None:
    console = Console(file=StringIO(), width=300)
    pages = httpx2.MockTransport(lambda request: httpx2.Response(404, text="<html>no</html>"))
    code = await import_files(FILES, url="http://localhost/x", console=console, transport=pages)
    assert isinstance(console.file, StringIO)
    assert code == 1
    output = "http://localhost/x/graphql is not a GraphQL server (status 404)\n"
    assert console.file.getvalue() == output


async def test_an_import_waits_for_a_server_that_is_briefly_unavailable(
    client: GraphQLClient, run_import: Import, transport: FlakyTransport
) -> None:
    async def lose(number: int) -> None:
        if number in (3, 4, 7):
            raise httpx2.ReadError("connection lost")

    transport.after = lose
    code, output = await run_import()
    assert code == 0, output
    assert "does not respond (connection lost); retrying" in output
    assert output.count("responds again") == 2
    assert (await _stored(client))["actions"]["totalCount"] == 11


async def test_a_live_import_goes_through_the_phases_at_its_speed(
    client: GraphQLClient, run_import: Import
) -> None:
    code, output = await run_import(speed=50)
    assert code == 0, output
    run = await _stored(client)
    assert run["phase"] == "SUCCEEDED"
    assert run["durationMs"] == pytest.approx(42_500 / 50, abs=2)
    for node in run["actions"]["nodes"]:
        (attempt,) = node["attemptHistory"]
        assert [step["phase"] for step in attempt["phaseTransitions"]] == ["QUEUED", "RUNNING", "SUCCEEDED"]
    slowest = next(node for node in run["actions"]["nodes"] if node["name"] == "clean_3")
    assert _ms(slowest["startedAt"], slowest["endedAt"]) == pytest.approx(10_001 / 50, abs=2)
    age = _ms(run["createdAt"], datetime.now().astimezone().isoformat())
    assert age < SECONDS * 1000


@pytest.mark.parametrize("request_number", [4, 5, 6, 7, 8])
async def test_an_interrupted_live_import_resumes_without_a_gap(
    client: GraphQLClient, run_import: Import, transport: FlakyTransport, request_number: int
) -> None:
    async def interrupt(number: int) -> None:
        if number == request_number:
            raise Interrupted

    transport.after = interrupt
    with pytest.raises(Interrupted):
        await run_import(speed=50)
    transport.after = None
    before = await _stored(client)
    # On a stalled machine, one request may have reported everything up to the end of the run.
    done = {node["name"]: node for node in before["actions"]["nodes"] if node["phase"] == "SUCCEEDED"}
    assert before["phase"] in ("QUEUED", "RUNNING", "SUCCEEDED")
    assert (before["phase"] == "SUCCEEDED") == (len(done) == 11)
    code, output = await run_import(speed=50)
    assert code == 0, output
    run = await _stored(client)
    assert run["phase"] == "SUCCEEDED"
    assert run["createdAt"] == before["createdAt"]
    assert run["actions"]["totalCount"] == 11
    for node in run["actions"]["nodes"]:
        assert node["phase"] == "SUCCEEDED"
        assert [event["phase"] for event in node["events"]["nodes"]] == ["QUEUED", "RUNNING", "SUCCEEDED"]
        if node["name"] in done:
            assert node["endedAt"] == done[node["name"]]["endedAt"]


async def test_a_live_import_resumes_at_the_time_it_had_reached(
    client: GraphQLClient, run_import: Import, transport: FlakyTransport, tmp_path: Path
) -> None:
    shorter = tmp_path / "diamond.json"
    shorter.write_text(DIAMOND.replace("42.5", "21"))
    recording = read_recording(shorter)
    run = RunIdentifier("recordings", "production", run_name(recording, live=True))
    plan = plan_recording(recording, run)
    tasks = plan.actions[1:]
    # All tasks have ended at 20.6 s of 21 s: at the recorded speed, 0.4 s are left to play.
    async with IngestClient("http://localhost", transport=transport) as opened:
        await Executor(opened).report(
            [plan.create_input(action, plan.began_at) for action in plan.actions],
            [],
            [plan.final_input(action) for action in tasks],
        )
    code, output = await asyncio.wait_for(run_import(shorter, speed=1), 10)
    assert code == 0, output
    assert (await _stored(client))["phase"] == "SUCCEEDED"


ABORT_RUN = """mutation ($run: RunIdentifierInput!) {
  abortRun(input: {id: $run, reason: "no longer needed"}) { requested }
}"""
ABORT_ACTION = """mutation ($action: ActionIdentifierInput!) {
  abortAction(input: {id: $action, reason: "too slow"}) { requested }
}"""


async def _until_running(client: GraphQLClient, action: str) -> str:
    """The name of the only run, as soon as this action of it is running."""
    async with asyncio.timeout(SECONDS):
        while True:
            for name in await _names(client):
                run = await _stored(client, name)
                if {"RUNNING"} == {n["phase"] for n in run["actions"]["nodes"] if n["name"] == action}:
                    return name
            await asyncio.sleep(0.05)


async def test_an_abort_of_the_run_stops_a_live_import(client: GraphQLClient, run_import: Import) -> None:
    playing = asyncio.create_task(run_import(speed=2))
    name = await _until_running(client, "clean_3")
    run_id = {"project": "recordings", "domain": "production", "name": name}
    body = await client.execute(ABORT_RUN, {"run": run_id})
    assert body["data"]["abortRun"]["requested"] is True
    code, output = await playing
    assert code == 1
    assert "diamond.json: ABORTED" in output
    run = await _stored(client)
    assert run["phase"] == "ABORTED"
    assert run["abort"] == {"state": "CONFIRMED", "attemptCount": 1}
    phases = {node["name"]: node["phase"] for node in run["actions"]["nodes"]}
    assert phases["fetch_1"] == "SUCCEEDED"
    assert phases["clean_3"] == "ABORTED"
    assert "report_8" not in phases
    assert set(phases.values()) == {"SUCCEEDED", "ABORTED"}
    code, output = await run_import(speed=2)
    assert code == 1
    assert "ABORTED" in output


async def test_an_abort_of_one_task_leaves_the_others_running_and_fails_the_run(
    client: GraphQLClient, run_import: Import, tmp_path: Path
) -> None:
    shorter = tmp_path / "diamond.json"
    shorter.write_text(DIAMOND.replace("42.5", "21"))
    playing = asyncio.create_task(run_import(shorter, speed=6))
    name = await _until_running(client, "clean_3")
    action = {"project": "recordings", "domain": "production", "runName": name, "name": "clean_3"}
    body = await client.execute(ABORT_ACTION, {"action": action})
    assert body["data"]["abortAction"]["requested"] is True
    code, output = await playing
    assert code == 1
    run = await _stored(client)
    assert run["phase"] == "FAILED"
    assert run["error"] == {"code": "CHILD_ABORTED", "message": "4 actions were aborted"}
    phases = {node["name"]: node["phase"] for node in run["actions"]["nodes"]}
    assert phases["clean_3"] == "ABORTED"
    assert phases["plot_7"] == phases["audit_9"] == "SUCCEEDED"
    # Its dependents may have started in the report that was in flight when the abort arrived.
    below = {"plot_6", "größe/měření 5", "report_8"}
    assert all(phases.get(each, "ABORTED") == "ABORTED" for each in below)
    assert (await client.execute("{ pendingAborts { totalCount } }"))["data"] == {
        "pendingAborts": {"totalCount": 0}
    }
