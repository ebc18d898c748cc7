"""The log: one line per entry, as text or JSON, without secrets."""

import asyncio
import json
import logging
import os
import pty
import subprocess
import sys
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import sqlalchemy
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.applications import Starlette

import repo
from graph.app import create_app
from graph.observability import telemetry
from graph.observability.logs import configure_logs, flush_logs
from graph.settings import Settings
from repo import ActionRepo
from tests.support.client import GraphQLClient
from tests.support.serving import serving
from tests.support.sockets import connected
from tests.support.toy import toy_app

CANARY = "".join(("can", "ary"))  # a traceback shows lines of source text

LogLines = Callable[[], list[dict[str, Any]]]

SAY = """
import logging, sys, warnings
import structlog
from graph.observability.logs import configure_logs
configure_logs(*sys.argv[1:])
log = structlog.get_logger()
"""
EVERYTHING = """
log.info("ours", half="\\ud800", large=2**70, unknown=object())
log.debug("too little")
logging.getLogger("some.library").warning("of a %s", "library")
logging.getLogger("some.library").info("too little")
logging.getLogger("some.library").warning("wrong %d", "arguments")
warnings.warn("careful")
raise ValueError("the end")
"""


def lines_of(code: str, *how: str) -> list[str]:
    """The lines that a program logs."""
    command = [sys.executable, "-c", SAY + code, *how]
    return subprocess.run(command, capture_output=True, text=True, timeout=60).stderr.splitlines()


def test_every_line_is_json_including_those_of_libraries() -> None:
    lines = [json.loads(line) for line in lines_of(EVERYTHING, "info", "json")]
    assert [line["event"].partition(":")[0] for line in lines] == [
        "ours",
        "of a library",
        "wrong %d",
        "<string>",  # the warning, which begins with its place
        "ended by an error",
    ]
    assert [line["level"] for line in lines] == ["info", "warning", "warning", "warning", "critical"]
    assert lines[1]["logger"] == "some.library"
    assert lines[4]["exception"].endswith("ValueError: the end")
    assert all(line["timestamp"].endswith("Z") for line in lines)


def test_bound_values_are_in_the_lines_of_libraries_too() -> None:
    code = "configure_logs('info', 'json', worker=7); log.info('a'); logging.error('b')"
    lines = [json.loads(line) for line in lines_of(code, "info", "json")]
    assert [line["worker"] for line in lines] == [7, 7]


def test_lines_are_text_on_a_terminal_and_json_otherwise() -> None:
    (line,) = lines_of("log.info('hello', who='you')", "info", "auto")
    assert json.loads(line)["who"] == "you"
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", SAY + "log.info('hello', who='you')", "info", "auto"]
    subprocess.run(command, stderr=theirs, check=True, timeout=60)
    on_the_terminal = os.read(ours, 10_000).decode()
    os.close(ours)
    os.close(theirs)
    assert "hello" in on_the_terminal
    assert "{" not in on_the_terminal


def test_no_value_breaks_a_line_or_controls_the_terminal() -> None:
    code = "log.info('a', b='c\\nd\\x1b[2J'); logging.error('e\\x1b[2J\\nf')"
    for how in ("text", "json"):
        lines = lines_of(code, "info", how)
        assert len(lines) == 2
        assert not any("\x1b[2J" in line for line in lines)


@pytest.fixture
def log_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LogLines]:
    """The lines since the last read, including those of servers in this process."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    with warnings.catch_warnings(), (tmp_path / "log").open("w") as log, (tmp_path / "log").open() as lines:
        monkeypatch.setattr(sys, "stderr", log)
        configure_logs("info", "json")
        # Loggers of modules outlive the test, and must not keep this file.
        structlog.configure(cache_logger_on_first_use=False)

        def log_lines() -> list[dict[str, Any]]:
            flush_logs()
            return [json.loads(line) for line in lines]

        try:
            yield log_lines
        finally:
            structlog.reset_defaults()
            logging.captureWarnings(False)


@pytest.mark.parametrize(
    "text",
    [
        "invalid literal for int() with base 10: 'canary'",
        'he said "it\'s canary" and left',
        "first\nDETAIL: Key (name)=(canary) already exists.",
        "invalid input for query argument $1: datetime.canary(1) (expected str)",
        "no such server: postgresql://user:canary@host/name",
        "GET https://host.example/path?token=canary failed",
    ],
)
def test_messages_of_exceptions_are_logged_without_values(log_lines: LogLines, text: str) -> None:
    log = structlog.get_logger()
    try:
        try:
            raise KeyError("canary")
        except KeyError:
            raise ExceptionGroup("several", [ValueError(text)]) from None
    except ExceptionGroup as error:
        log.error("broken", exc_info=error)
        log.error("broken", reason=f"ValueError: {error.exceptions[0]}")
    first, second = log_lines()
    assert "ValueError: " in first["exception"]
    assert "test_logs.py" in first["exception"]
    assert second["reason"].startswith("ValueError: ")
    assert "canary" not in str([first, second])


def test_errors_of_the_operating_system_are_logged_with_address_or_file(log_lines: LogLines) -> None:
    reason = "ConnectionRefusedError: [Errno 111] Connect call failed ('192.0.2.1', 5432)"
    structlog.get_logger().warning("lost", reason=reason)
    (line,) = log_lines()
    assert line["reason"] == reason


async def test_database_errors_are_logged_without_stored_or_requested_values(
    repository: ActionRepo, log_lines: LogLines
) -> None:
    async def twice(connection: AsyncConnection) -> None:
        await connection.execute(sqlalchemy.text("CREATE TEMPORARY TABLE once (name TEXT PRIMARY KEY)"))
        for _ in range(2):
            await connection.execute(sqlalchemy.text("INSERT INTO once VALUES (:name)"), {"name": CANARY})

    async def misplaced(connection: AsyncConnection) -> None:
        await connection.execute(sqlalchemy.text("SELECT * FROM nowhere WHERE a = :b"), {"b": CANARY})

    for work in (twice, misplaced):
        with pytest.raises(sqlalchemy.exc.DBAPIError) as caught:
            await repository.database.transact_on_connection(work)
        structlog.get_logger().error("broken", exc_info=caught.value)
        (line,) = log_lines()
        assert "Error" in line["exception"]
        assert "canary" not in str(line)


@pytest.fixture
async def broken(app: Starlette) -> AsyncIterator[GraphQLClient]:
    """A client of an application whose database has lost a table."""
    async with (
        app.router.lifespan_context(app),
        GraphQLClient(transport=httpx2.ASGITransport(app), base_url="http://localhost") as client,
    ):
        await lose_a_table(app.state.repository)
        yield client


async def lose_a_table(repository: ActionRepo, name: str = "actions") -> None:
    async def rename(connection: AsyncConnection) -> None:
        await connection.execute(sqlalchemy.text(f"ALTER TABLE {name} RENAME TO elsewhere"))

    await repository.database.transact_on_connection(rename)


SEARCH = 'query Search { runs(filter: {search: "canary"}) { nodes { name } } }'


async def test_an_unexpected_error_and_its_operation_have_the_id_of_the_request(
    broken: GraphQLClient, log_lines: LogLines
) -> None:
    response = await broken.post("/graphql", json={"query": SEARCH}, headers={"X-Request-ID": "abc-1"})
    assert response.headers["x-request-id"] == "abc-1"
    unexpected, operation = log_lines()
    assert unexpected["event"] == "unexpected error"
    assert unexpected["error_id"] == response.json()["errors"][0]["extensions"]["id"]
    assert "repo/sql/database.py" in unexpected["exception"]
    assert operation["level"] == "warning"
    assert operation["duration_ms"] > 0
    del operation["timestamp"], operation["duration_ms"]
    assert operation == {
        "level": "warning",
        "event": "operation",
        "transport": "http",
        "outcome": "error",
        "caller": "anonymous",
        "type": "query",
        "field": "runs",
        "name": "Search",
        "errors": ["INTERNAL_SERVER_ERROR"],
        "status": 200,
        "request_id": "abc-1",
    }
    assert unexpected["request_id"] == "abc-1"
    assert "canary" not in str([unexpected, operation])


@pytest.mark.parametrize("id_", [None, "", "a b", "x" * 129, "a\u00e4", "<script>"])
async def test_a_request_without_a_valid_id_gets_a_new_one(client: GraphQLClient, id_: str | None) -> None:
    headers = {} if id_ is None else {b"X-Request-ID": id_.encode()}
    ids = set()
    for _ in range(2):
        response = await client.post("/graphql", json={"query": "{ __typename }"}, headers=headers)
        ids.add(response.headers["x-request-id"])
    assert len(ids) == 2
    assert all(len(one) == 32 and one.isalnum() for one in ids)


async def test_a_refused_request_has_an_id(client: GraphQLClient) -> None:
    response = await client.post("/graphql", content="{", headers={"X-Request-ID": "abc"})
    assert response.status_code >= 400
    assert response.headers["x-request-id"] == "abc"


async def test_the_feed_does_not_log_with_the_id_of_the_request_that_started_it(
    repository: ActionRepo, log_lines: LogLines
) -> None:
    async def first() -> None:
        structlog.contextvars.bind_contextvars(request_id="first")
        async for frame in repository.watch_all_run_updates():
            if frame.kind is repo.FrameKind.SYNCED:
                await lose_a_table(repository, "action_changes")

    watching = asyncio.create_task(first())
    lines: list[dict[str, Any]] = []
    async with asyncio.timeout(20):
        while not lines:
            await asyncio.sleep(0.05)
            lines = [line for line in log_lines() if line["event"] == "cannot read changes"]
    watching.cancel()
    assert "request_id" not in lines[0]


@pytest.fixture
def toy() -> Iterator[tuple[telemetry.Telemetry, str]]:
    """The address of the toy, and the telemetry of its server."""
    app = toy_app()
    endpoint = app.routes[0].endpoint  # type: ignore[attr-defined]
    with serving(app) as address:
        yield endpoint.pipeline.telemetry, f"{address}/graphql"


Toy = tuple[telemetry.Telemetry, str]
EVENTS = {"Accept": "text/event-stream"}


async def operations_of(log_lines: LogLines, count: int) -> list[dict[str, Any]]:
    """The lines of `count` operations, once they are written; the server runs in another thread."""
    lines: list[dict[str, Any]] = []
    async with asyncio.timeout(10):
        while len(lines) < count:
            await asyncio.sleep(0.02)
            lines += [line for line in log_lines() if line["event"] == "operation"]
    return lines


async def ask_for_everything(url: str) -> None:
    """A query, an event stream, and two operations of a websocket; the last ones are interrupted."""
    async with httpx2.AsyncClient() as client:
        await client.post(url, json={"query": "query Greeting { hello }"})
        await client.post(url, json={"query": "subscription { count(to: 2) }"}, headers=EVENTS)
    async with connected(url) as socket:
        await socket.subscribe("1", "mutation { touch }")
        assert await socket.data("1")
        await socket.completes("1")
        await socket.subscribe("2", "subscription Rest { quiet }")
        assert await socket.data("2") == 0


async def test_with_all_every_operation_is_logged(toy: Toy, log_lines: LogLines) -> None:
    server_telemetry, url = toy
    server_telemetry.logged = "all"
    await ask_for_everything(url)
    lines = await operations_of(log_lines, 4)
    keys = ("transport", "type", "field", "name", "outcome", "status")
    assert [tuple(line.get(key) for key in keys) for line in lines] == [
        ("http", "query", "hello", "Greeting", "ok", 200),
        ("sse", "subscription", "count", None, "ok", 200),
        ("websocket", "mutation", "touch", None, "ok", None),
        ("websocket", "subscription", "quiet", "Rest", "ok", None),
    ]
    assert {line["caller"] for line in lines} == {"anonymous"}
    ids = [line["request_id"] for line in lines]
    assert ids[2] == ids[3]  # of one connection
    assert len(set(ids)) == 3


async def test_failed_operations_are_logged_but_not_mistakes_of_clients(
    toy: Toy, log_lines: LogLines
) -> None:
    recorded, url = toy
    recorded.slow_after = 1000.0
    await ask_for_everything(url)
    async with httpx2.AsyncClient() as client:
        for query in ("{ refusing }", "{ nope }", "{ missing }"):
            await client.post(url, json={"query": query})
    async with connected(url) as socket:
        await socket.subscribe("1", "{ missing }")
        assert (await socket.next())["payload"]["errors"]
        await socket.completes("1")
    lines = await operations_of(log_lines, 2)
    assert [(line["transport"], line["field"]) for line in lines] == [
        ("http", "missing"),
        ("websocket", "missing"),
    ]
    assert [line["level"] for line in lines] == ["warning", "warning"]


async def test_slow_operations_are_logged_except_subscriptions(toy: Toy, log_lines: LogLines) -> None:
    recorded, url = toy
    recorded.slow_after = 0.0
    await ask_for_everything(url)
    lines = await operations_of(log_lines, 2)
    assert [line["field"] for line in lines] == ["hello", "touch"]


async def test_with_none_no_operation_is_logged(toy: Toy, log_lines: LogLines) -> None:
    server_telemetry, url = toy
    server_telemetry.logged = "none"
    async with httpx2.AsyncClient() as client:
        await client.post(url, json={"query": "{ missing }"})
    assert [line["event"] for line in log_lines()] == ["unexpected error"]


async def test_a_line_has_the_name_of_the_operation_and_nothing_else_of_the_document(
    toy: Toy, log_lines: LogLines
) -> None:
    server_telemetry, url = toy
    server_telemetry.logged = "all"
    long = "N" * 2000
    async with httpx2.AsyncClient() as client:
        await client.post(url, json={"query": f'query {long} {{ hello(name: "canary") }}'})
        await client.post(
            url,
            json={
                "query": "query Greeting($name: String!) { canary: hello(name: $name) # canary\n }",
                "variables": {"name": "canary"},
            },
        )
        await client.post(url, json={"query": "query A { hello }", "operationName": "canary \x1b[2J"})
        await client.post(url, json={"query": "canary"})
        await client.get(url, params={"query": "{ canary }"})
        await client.post(url, content="canary")
    lines = await operations_of(log_lines, 6)
    assert [line.get("name") for line in lines] == ["N" * 100, "Greeting", None, None, None, None]
    assert "canary" not in str(lines)


def test_the_settings_determine_which_operations_are_logged() -> None:
    app = create_app(Settings(log_operations="none"))
    endpoint = next(route.endpoint for route in app.routes if getattr(route, "path", "") == "/graphql")  # type: ignore[attr-defined]
    assert endpoint.pipeline.telemetry.logged == "none"
