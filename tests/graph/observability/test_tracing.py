"""Tracing: the spans sent to a collector by OTLP over HTTP."""

import asyncio
import gzip
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2
import pytest
import sqlalchemy
import structlog
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncConnection

from graph.app import create_app
from graph.settings import Settings, explain
from repo import ActionRepo, FrameKind
from tests.support.client import GraphQLClient
from tests.support.databases import PostgresDatabases, create_migrated
from tests.support.making import make_run
from tests.support.ports import free_port

SERVER, CLIENT = 2, 3
"""Kinds of spans, by their numbers in OTLP."""
FAILED = 2
"""The status of a span, likewise."""

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
BELOW = {"traceparent": f"00-{TRACE}-{PARENT}-01"}

RUNS = "query Latest($search: String) { runs(filter: {search: $search}) { nodes { name } } }"
STATE = """mutation {
  updateActionState(state: "canary",
    id: {project: "etl", domain: "production", runName: "nightly-1", name: "a0"}) { action { name } }
}"""


class Receiver(ThreadingHTTPServer):
    """A collector."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[ExportTraceServiceRequest] = []
        self.paths: set[str] = set()

    @property
    def spans(self) -> list[Any]:
        return [
            span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def of_kind(self, kind: int) -> list[Any]:
        return [span for span in self.spans if span.kind == kind]


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.server.paths.add(self.path)
        self.server.requests.append(ExportTraceServiceRequest.FromString(body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A collector, as configured by the environment."""
    server = Receiver()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.shutdown()
    thread.join(10)
    server.server_close()


@asynccontextmanager
async def traced(database_url: str) -> AsyncIterator[tuple[GraphQLClient, ActionRepo]]:
    """An application with tracing. All spans have been sent when it has ended."""
    app = create_app(Settings(database_url=database_url, tracing=True))
    async with asyncio.timeout(60):
        async with (
            app.router.lifespan_context(app),
            GraphQLClient(transport=httpx2.ASGITransport(app), base_url="http://localhost") as client,
        ):
            yield client, app.state.repository


def attributes(span: Any) -> dict[str, Any]:
    return {each.key: each.value.string_value for each in span.attributes}


async def test_an_operation_is_a_span_below_the_one_of_its_client(
    database_url: str, receiver: Receiver
) -> None:
    async with traced(database_url) as (client, _):
        body = {"query": RUNS, "variables": {"search": "canary"}}
        await client.post("/graphql", json=body, headers=BELOW)
        await client.post("/graphql", json={"query": "{ projects { name } }"})
        await client.post("/graphql", json={"query": "{ canary }"})
    named, unnamed, refused = receiver.of_kind(SERVER)
    assert [span.name for span in (named, unnamed, refused)] == [
        "query Latest",
        "query projects",
        "operation",
    ]
    assert (named.trace_id.hex(), named.parent_span_id.hex()) == (TRACE, PARENT)
    assert attributes(named) == {
        "graphql.operation.type": "query",
        "graphql.operation.name": "Latest",
        "enduser.id": "anonymous",
    }
    assert not unnamed.parent_span_id
    assert attributes(refused)["error.type"] == "GRAPHQL_VALIDATION_FAILED"
    assert receiver.paths == {"/v1/traces"}
    assert "canary" not in str(receiver.requests)
    (resource,) = {
        attributes(one.resource)["service.name"] for r in receiver.requests for one in r.resource_spans
    }
    assert resource == "rungraph"


async def test_statements_of_postgresql_are_below_their_operation(
    database_url: str, receiver: Receiver
) -> None:
    async with traced(database_url) as (client, repository):
        await make_run(repository)  # nobody's operation
        for query in (RUNS, STATE):
            body = {"query": query, "variables": {"search": "canary"} if query is RUNS else {}}
            assert "errors" not in (await client.post("/graphql", json=body)).json()
    reading, writing = receiver.of_kind(SERVER)
    statements = receiver.of_kind(CLIENT)
    if database_url.startswith("sqlite"):
        assert statements == []
        return
    assert {span.parent_span_id for span in statements} == {reading.span_id, writing.span_id}
    reads = [span for span in statements if span.parent_span_id == reading.span_id]
    assert any("SELECT" in attributes(span)["db.statement"] for span in reads)
    writes = [span for span in statements if span.parent_span_id == writing.span_id]
    assert any("UPDATE actions" in attributes(span)["db.statement"] for span in writes)
    assert "canary" not in str(receiver.requests)


@pytest.fixture
def postgres_url(postgres_server_url: str) -> Iterator[str]:
    """A database of PostgreSQL, at the newest schema."""
    databases = PostgresDatabases(postgres_server_url)
    url = create_migrated(databases)
    yield url
    databases.drop(url)


async def test_the_span_of_a_failed_statement_has_no_values(postgres_url: str, receiver: Receiver) -> None:
    async def refuse_states(connection: AsyncConnection) -> None:
        # PostgreSQL's message repeats the whole row.
        check = "ALTER TABLE actions ADD CONSTRAINT quiet CHECK (state IS NULL)"
        await connection.execute(sqlalchemy.text(check))

    async with traced(postgres_url) as (client, repository):
        await make_run(repository)
        await repository.database.transact_on_connection(refuse_states)
        body = (await client.post("/graphql", json={"query": STATE})).json()
    assert body["errors"][0]["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
    (operation,) = receiver.of_kind(SERVER)
    assert operation.status.code == FAILED
    assert [span.status.code for span in receiver.of_kind(CLIENT)].count(FAILED) == 1
    assert "canary" not in str(receiver.requests)


async def test_background_work_has_no_spans(database_url: str, receiver: Receiver) -> None:
    async with traced(database_url) as (client, repository):
        async with asyncio.timeout(20):
            async for frame in repository.watch_all_run_updates():
                if frame.kind is FrameKind.SYNCED:
                    polled = repository.watches.metrics().counts.polls
                    while repository.watches.metrics().counts.polls < polled + 2:  # noqa: ASYNC110 - it has no event
                        await asyncio.sleep(0.05)
                    break
        await client.execute("{ __typename }")
    assert [span.kind for span in receiver.spans] == [SERVER]


async def test_log_lines_have_the_trace_id(database_url: str, receiver: Receiver) -> None:
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logs:
        async with traced(database_url) as (client, repository):
            repository.runs.list_projects = None  # type: ignore[method-assign, assignment]
            await client.post("/graphql", json={"query": "{ projects { name } }"}, headers=BELOW)
    assert {log["trace_id"] for log in logs if log["event"] in ("unexpected error", "operation")} == {TRACE}


async def test_a_server_stops_although_no_collector_receives_its_traces(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    async with asyncio.timeout(9):
        async with traced(database_url) as (client, _):
            assert "errors" not in await client.execute("{ __typename }")


def test_without_tracing_its_packages_are_not_imported() -> None:
    code = (
        "import sys, graph.cli.main; from graph.app import create_app; from graph.settings import Settings;"
        "create_app(Settings()); print([name for name in sys.modules if name in "
        "('graph.observability.tracing', 'opentelemetry.sdk.trace', 'opentelemetry.instrumentation')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("missing", ["opentelemetry", "opentelemetry.instrumentation"])
def test_tracing_without_its_packages_is_refused(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    for name in [name for name in sys.modules if name.startswith(missing)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ValidationError) as caught:
        Settings(tracing=True)
    line = explain(caught.value)
    assert line == "RUNGRAPH_TRACING: needs packages that are not installed: pip install .[otel]"
