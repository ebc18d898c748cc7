"""GraphQL over HTTP with third-party clients, on a real port."""

import asyncio
import http.client
import json
import logging
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from graph.app import create_app
from graph.settings import Settings
from tests.support.serving import run_node, serving
from tests.support.toy import LIMIT, toy_app

AUDITS = 61


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(toy_app()) as address:
        yield f"{address}/graphql"


def test_the_public_audit_of_graphql_over_http_passes_in_full(tmp_path: Path) -> None:
    app = create_app(Settings(database_url=f"sqlite:///{tmp_path / 'runs.db'}"))
    with serving(app) as address:
        results = json.loads(run_node("audit.js", f"{address}/graphql"))
    assert [result for result in results if result["status"] != "ok"] == []
    assert len(results) == AUDITS


@pytest.mark.parametrize(
    ("query", "results"),
    [
        ("{ hello }", [{"data": {"hello": "Hello, world"}}]),
        ("mutation { touch }", [{"data": {"touch": True}}]),
        ("subscription { count(to: 3) }", [{"data": {"count": number}} for number in (1, 2, 3)]),
    ],
)
def test_the_graphql_sse_client_gets_every_result(url: str, query: str, results: list[object]) -> None:
    assert [json.loads(line) for line in run_node("events.js", url, query).splitlines()] == results


@pytest.mark.parametrize(
    ("query", "results"),
    [
        ("{ hello }", [{"hello": "Hello, world"}]),
        ("subscription { count(to: 3) }", [{"count": number} for number in (1, 2, 3)]),
    ],
)
def test_urql_gets_every_result_over_http(url: str, query: str, results: list[object]) -> None:
    lines = [json.loads(line) for line in run_node("urql.js", url, query).splitlines()]
    assert lines == [{"data": result} for result in results]


def test_the_graphql_sse_client_gets_what_is_wrong_with_a_query(url: str) -> None:
    [result] = [json.loads(line) for line in run_node("events.js", url, "{ nothing }").splitlines()]
    assert "data" not in result
    assert result["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"


def test_a_client_with_a_large_body_can_read_the_response(url: str) -> None:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    connection.request("POST", "/graphql", b" " * 10_000_000, {"Content-Type": "application/json"})
    response = connection.getresponse()
    assert response.status == 413
    assert json.loads(response.read())["errors"][0]["extensions"]["code"] == "PAYLOAD_TOO_LARGE"
    connection.close()


def test_a_client_with_a_large_chunked_body_can_read_the_response(url: str) -> None:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    chunks = (b" " * 10_000 for _ in range(1_000))
    connection.request("POST", "/graphql", chunks, {"Content-Type": "application/json"}, encode_chunked=True)
    assert connection.getresponse().status == 413
    connection.close()


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
@pytest.mark.parametrize(
    ("announced", "query"),
    [pytest.param(LIMIT, "{ hello }", id="while sending"), pytest.param(0, "{ slow }", id="while it runs")],
)
async def test_a_client_that_disconnects_causes_no_error(
    caplog: pytest.LogCaptureFixture, url: str, accept: str, announced: int, query: str
) -> None:
    body = json.dumps({"query": query}).encode()
    head = (
        f"POST /graphql HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {announced or len(body)}\r\n\r\n"
    )
    with caplog.at_level(logging.INFO):
        with socket.create_connection((urlsplit(url).hostname, urlsplit(url).port), timeout=5) as leaving:
            leaving.sendall(head.encode() + body)
            await asyncio.sleep(0.1)
        await asyncio.sleep(0.7)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
