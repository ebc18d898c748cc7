"""The read API on a real server, with both clients: lists, objects, logs, artifacts, aborts and errors."""

import socket
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rungraph import (
    ActionOrderField,
    ActionPhase,
    ApiError,
    ArtifactKind,
    Client,
    LogLevel,
    RunIdentifier,
    RunSource,
)

from tests.client.both import Both, Writer


def test_runs_are_listed_page_by_page_and_filtered(client: Any, writer: Writer, project: str) -> None:
    began = datetime.now(UTC) - timedelta(minutes=1)
    writer.send(
        *(
            {
                "id": {**writer.run, "runName": f"run-{number:03}", "name": "main"},
                "details": {
                    "source": "TRACKED" if number % 2 else "CLI",
                    "labels": [
                        {"key": "team", "value": "a" if number % 3 else "b"},
                        {"key": "n", "value": str(number)},
                    ],
                },
                "phase": "FAILED" if number % 50 == 7 else "SUCCEEDED",
            }
            for number in range(230)
        )
    )
    assert len({run.name for run in client.runs()}) == 230
    names = [run.name for run in client.runs(order_by=ActionOrderField.NAME, ascending=True, limit=130)]
    assert names == [f"run-{number:03}" for number in range(130)]
    named = [RunIdentifier(project, "development", f"run-{number:03}") for number in (3, 5)]
    assert {run.name for run in client.runs(ids=named)} == {"run-003", "run-005"}
    with pytest.raises(ValueError, match="limit must be at least 0"):
        list(client.runs(limit=-1))
    failed = list(client.runs(phases=[ActionPhase.FAILED], start_date=began))
    assert {run.name for run in failed} == {f"run-{number:03}" for number in (7, 57, 107, 157, 207)}
    assert len(list(client.runs(labels={"team": "b", "n": "1"}))) == 78
    assert [run.name for run in client.runs(all_labels={"team": "b", "n": "3"})] == ["run-003"]
    assert len(list(client.runs(search="run-22", sources=[RunSource.CLI]))) == 5
    assert list(client.runs(end_date=began)) == []
    assert list(client.runs(domain="production")) == []
    assert len(list(client.runs(project=None, domain=None, search=f"{project}/development/run-000"))) == 1
    assert failed[0].label("team") in ("a", "b")
    assert failed[0].label("other") is None


def test_a_run_and_its_actions_are_typed(client: Any, writer: Writer) -> None:
    message = "Traceback (most recent call last):\nValueError: row 17"
    error = {"kind": "USER", "code": "ValueError", "message": message}
    writer.report("main", details={"labels": [{"key": "team", "value": "data"}]}, phase="RUNNING")
    writer.report("load", "main", phase="FAILED", error=error)
    writer.report(
        "load",
        attempt=2,
        phase="RUNNING",
        progress={"done": 1, "total": 4},
        metrics=[{"name": "rows", "value": 7}],
    )
    writer.report("save", "main", phase="QUEUED")
    run = client.run("nightly")
    assert (run.phase, run.label("team"), run.has_ended) == (ActionPhase.RUNNING, "data", False)
    assert {each.phase: each.count for each in run.phase_counts} == {"RUNNING": 2, "QUEUED": 1}
    assert client.run(run) == client.run(run.identifier) == run
    assert RunIdentifier.parse(str(run.identifier)) == run.identifier
    assert run.created_at.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - run.created_at) < timedelta(minutes=5)
    assert [each.name for each in client.actions(run)] == ["main", "load", "save"]
    assert [each.name for each in client.actions(run, parent_name="main", phases=["QUEUED"])] == ["save"]
    load = client.action(run, "load")
    assert client.action(load) == client.action(load.identifier) == load
    assert (load.attempts, load.parent_name, load.error) == (2, "main", None)
    assert load.progress is not None
    assert (load.progress.done, load.progress.total, load.metrics[0].last) == (1.0, 4.0, 7.0)
    assert isinstance(load.progress.done, float)
    events = list(client.events(run, "load"))
    assert [(each.attempt, each.phase) for each in events] == [(1, "FAILED"), (2, "RUNNING")]
    assert events[0].error is not None
    assert (events[0].error.code, events[0].error.summary) == ("ValueError", "ValueError: row 17")
    assert [each.action.name for each in client.events("nightly")].count("main") == 1
    assert len(list(client.events(load, attempt=2))) == 1


def test_logs_are_read_line_by_line(client: Any, writer: Writer) -> None:
    writer.report("main", phase="RUNNING")
    writer.log("main", *(f"line {number}" for number in range(2500)))
    writer.log("main", "broken", level="ERROR")
    lines = list(client.logs("nightly"))
    assert [each.number for each in lines] == list(range(1, 2502))
    assert (lines[0].text, lines[0].level, lines[0].stream) == ("line 0", LogLevel.INFO, "stdout")
    assert [each.text for each in client.logs("nightly", "main", levels=[LogLevel.ERROR])] == ["broken"]
    assert len(list(client.logs("nightly", search="LINE 249"))) == 11
    assert list(client.logs("nightly", attempt=2)) == []


def test_a_log_is_followed_until_its_attempt_ends(client: Any, writer: Writer) -> None:
    writer.report("main", phase="RUNNING")
    writer.log("main", "first")
    found = []
    for line in client.logs("nightly", follow=True):
        found.append(line.text)
        if line.text == "first":
            writer.log("main", "second", "third")
        if line.text == "third":
            writer.report("main", phase="SUCCEEDED")
            writer.log("main", "last")
    assert found == ["first", "second", "third", "last"]


def test_artifacts_are_read_by_their_address(client: Any, writer: Writer) -> None:
    writer.report("main", phase="RUNNING")
    writer.store("main", kind="OUTPUTS", name="counts", json={"rows": 3})
    writer.store("main", kind="FILE", name="large.txt", text="x" * 900_000)
    writer.store("main", kind="FILE", name="empty.txt", text="")
    stored = {each.name: each for each in client.artifacts("nightly")}
    assert stored["counts"].json == {"rows": 3}
    assert (stored["large.txt"].text, stored["large.txt"].size) == (None, 900_000)
    assert client.read_artifact(stored["large.txt"]) == b"x" * 900_000
    assert client.read_artifact(stored["empty.txt"]) == b""
    assert [each.name for each in client.artifacts("nightly", kinds=[ArtifactKind.OUTPUTS])] == ["counts"]
    assert client.artifacts(client.action("nightly", "main"), attempt=2) == []
    with pytest.raises(ApiError) as caught:
        client.read_artifact(type(stored["counts"])(**{**vars(stored["counts"]), "url": "artifacts/a.b.c/x"}))
    assert caught.value.code == "SIGNATURE_INVALID"
    with pytest.raises(ApiError, match="DIGEST_MISMATCH"):
        client.read_artifact(type(stored["counts"])(**{**vars(stored["counts"]), "digest": "sha256:0"}))


def test_an_abort_says_what_happened(client: Any, writer: Writer) -> None:
    writer.report("main", phase="RUNNING")
    for name in ("load", "save"):
        writer.report(name, "main", phase="RUNNING")
    of_action = client.abort(client.action("nightly", "load"), "stuck")
    assert (of_action.requested, of_action.action.phase) == (True, ActionPhase.ABORTED)
    of_run = client.abort("nightly", "wrong day")
    assert (of_run.requested, of_run.run.phase) == (True, "ABORTED")
    assert of_run.run.abort is not None
    assert (of_run.run.abort.state, of_run.run.abort.reason) == ("REQUESTED", "wrong day")
    again = client.abort(of_run.run, "other reason")
    assert (again.requested, again.run.abort.reason) == (False, "wrong day")


def test_a_run_is_awaited(client: Any, writer: Writer) -> None:
    writer.report("main", phase="RUNNING")
    with pytest.raises(TimeoutError):
        client.wait("nightly", timeout=0.05)
    threading.Timer(0.2, writer.report, ["main"], {"phase": "SUCCEEDED"}).start()
    run = client.wait("nightly", timeout=60)
    assert run.has_ended
    assert run.phase.is_success
    assert client.wait(run) == run


def test_errors_have_the_code_of_the_api(client: Any, url: str) -> None:
    for call in (
        lambda: client.run("missing"),
        lambda: client.action("missing", "main"),
        lambda: list(client.actions("missing")),
        lambda: list(client.logs("missing")),
        lambda: list(client.watch("missing")),
        lambda: client.wait("missing"),
        lambda: client.abort("missing"),
    ):
        with pytest.raises(ApiError) as caught:
            call()
        assert caught.value.code == "NOT_FOUND"
    with pytest.raises(ApiError, match="GRAPHQL_VALIDATION_FAILED"):
        client.execute("{ unknown }")
    with pytest.raises(ApiError, match="BAD_USER_INPUT"):
        client.run("x" * 300)
    with pytest.raises(TypeError, match="there is no filter 'phase'"):
        client.runs(phase="FAILED")
    with pytest.raises(TypeError):
        client.action("nightly")
    other = type(client)(f"{url}/other")
    with pytest.raises(ApiError, match="BAD_RESPONSE"):
        other.run("x")
    other.close()


@pytest.mark.parametrize("kind", [Client, Both])
def test_a_server_that_is_none_is_an_error(kind: Any) -> None:
    page = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>"
    moved = b"HTTP/1.1 301 Moved\r\nLocation: https://x/\r\nContent-Length: 0\r\n\r\n"
    unavailable = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy"
    cases = [(page, "BAD_RESPONSE"), (moved, "redirects to https://x/"), (unavailable, "SERVICE_UNAVAILABLE")]
    with socket.create_server(("127.0.0.1", 0)) as listening:
        client = kind(f"http://127.0.0.1:{listening.getsockname()[1]}", "token-1", timeout=5)
        for response, message in cases:
            received: list[bytes] = []
            thread = threading.Thread(target=_respond, args=(listening, response, received))
            thread.start()
            with pytest.raises(ApiError, match=message):
                next(client.watch("x"))
            thread.join()
            assert b"Authorization: Bearer token-1\r\n" in received[0]
    with pytest.raises(ApiError, match="SERVICE_UNAVAILABLE"):
        client.run("x")
    client.close()
    with pytest.raises(ValueError, match="'ftp://…@x/graphql' is not the address"):
        kind("ftp://user:password@x")


def _respond(listening: socket.socket, response: bytes, received: list[bytes]) -> None:
    connection, _ = listening.accept()
    with connection:
        received.append(connection.recv(65536))
        connection.sendall(response)
