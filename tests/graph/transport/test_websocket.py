"""Websockets: responses to valid and invalid messages, on a real port."""

import asyncio
import json
import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from starlette.routing import WebSocketRoute
from starlette.types import Message
from starlette.websockets import WebSocket
from strawberry.http.exceptions import WebSocketDisconnected
from websockets.exceptions import InvalidStatus

from graph.transport import http
from graph.transport.connections import MAX_MESSAGE_BYTES
from graph.transport.websocket import Socket
from tests.support.serving import serving
from tests.support.sockets import connected, opened
from tests.support.toy import SUBSCRIPTIONS, toy_app

INIT = {"type": "connection_init"}
QUIET = "subscription { quiet }"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(toy_app()) as address:
        yield f"{address}/graphql"


@pytest.fixture(autouse=True)
def nothing_is_logged(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Clients cause no log lines, unless a test reads the log itself."""
    with caplog.at_level(logging.INFO):
        yield
    records = caplog.get_records("call")
    assert [record.getMessage() for record in records if record.levelno >= logging.WARNING] == []
    output = capsys.readouterr().out.splitlines()
    assert [line for line in output if "[debug" not in line] == []


async def test_a_subscription_sends_its_results_and_completes(url: str) -> None:
    async with connected(url) as socket:
        await socket.subscribe("a", "subscription { count(to: 2) }")
        assert [await socket.data("a") for _ in range(2)] == [1, 2]
        await socket.completes("a")


@pytest.mark.parametrize(
    ("query", "value"), [("{ hello }", "Hello, world"), ("mutation { touch }", True), ("{ slow }", "at last")]
)
async def test_queries_and_mutations_have_one_result(url: str, query: str, value: object) -> None:
    async with connected(url) as socket:
        await socket.subscribe("a", query)
        assert await socket.data("a") == value
        await socket.completes("a")


async def test_an_empty_operation_name_is_ignored(url: str) -> None:
    async with connected(url) as socket:
        payload = {"query": "query Q { hello }", "operationName": ""}
        await socket.send({"type": "subscribe", "id": "1", "payload": payload})
        assert await socket.data("1") == "Hello, world"


async def test_operations_on_one_socket_run_concurrently(url: str) -> None:
    async with connected(url) as socket:
        await socket.subscribe("quiet", QUIET)
        assert await socket.data("quiet") == 0
        await socket.subscribe("slow", "{ slow }")
        await socket.subscribe("fast", "query ($n: String!) { hello(name: $n) }", variables={"n": "é"})
        assert await socket.data("fast") == "Hello, é"
        await socket.completes("fast")
        assert await socket.data("slow") == "at last"


async def test_operations_on_one_socket_have_separate_contexts(url: str) -> None:
    async with connected(url) as socket:
        tokens = set()
        for id in ("a", "b", "c"):
            await socket.subscribe(id, "subscription { whose }")
            tokens.add(await socket.data(id))
            await socket.completes(id)
        assert len(tokens) == 3


async def test_a_ping_is_answered(url: str) -> None:
    async with opened(url) as socket:
        for payload in ({}, {"payload": None}, {"payload": {"at": 1}}):
            await socket.send({"type": "ping", **payload})
            assert await socket.next() == {"type": "pong"}
        await socket.send({"type": "pong"})
        await socket.send({**INIT, "payload": None})
        assert await socket.next() == {"type": "connection_ack"}


async def test_an_operation_that_a_client_completes_ends_and_frees_its_id(url: str) -> None:
    async with connected(url) as socket:
        for _ in range(3):
            await socket.subscribe("a", QUIET)
            assert await socket.data("a") == 0
            await socket.send({"type": "complete", "id": "a"})
        await socket.send({"type": "complete", "id": "never heard of"})
        await socket.subscribe("b", "{ hello }")
        assert await socket.data("b") == "Hello, world"


DEEP = "[" * 200 + "]" * 200


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("", 4400),
        ("{", 4400),
        ("NaN", 4400),
        ('"text"', 4400),
        ("[]", 4400),
        ("null", 4400),
        ("7", 4400),
        ("{}", 4400),
        (b'{"type": "ping"}', 4400),
        (f'{{"type": "ping", "payload": {DEEP}}}', 4400),
        ("[" * 60_000, 4400),
        ({"type": None}, 4400),
        ({"type": {}}, 4400),
        ({"type": "unknown" * 100}, 4400),
        ({"type": "connection_ack"}, 4400),
        ({"type": "next", "id": "a", "payload": {}}, 4400),
        ({"type": "ping", "payload": []}, 4400),
        ({"type": "pong", "payload": "text"}, 4400),
        ({"type": "complete"}, 4400),
        ({"type": "complete", "id": {}}, 4400),
        ({"type": "subscribe", "payload": {"query": "{ hello }"}}, 4400),
        ({"type": "subscribe", "id": "", "payload": {"query": "{ hello }"}}, 4400),
        ({"type": "subscribe", "id": {}, "payload": {"query": "{ hello }"}}, 4400),
        ({"type": "subscribe", "id": 1, "payload": {"query": "{ hello }"}}, 4400),
        ({"type": "subscribe", "id": None, "payload": {"query": "{ hello }"}}, 4400),
        ({"type": "subscribe", "id": "a"}, 4400),
        ({"type": "subscribe", "id": "a", "payload": None}, 4400),
        ({"type": "subscribe", "id": "a", "payload": []}, 4400),
        ({"type": "subscribe", "id": "a", "payload": "{ hello }"}, 4400),
        (INIT, 4429),
        ({**INIT, "payload": []}, 4400),
        ({"type": "subscribe", "id": "taken", "payload": {"query": "{ hello }"}}, 4409),
        (" " * (MAX_MESSAGE_BYTES + 1), 1009),
    ],
)
async def test_a_malformed_message_closes_the_socket_with_the_code_of_the_protocol(
    url: str, message: object, code: int
) -> None:
    async with connected(url) as socket:
        await socket.subscribe("taken", QUIET)
        await socket.data("taken")
        await socket.send(message)
        assert await socket.close_code() == code


async def test_a_long_duplicate_id_is_refused_with_a_truncated_reason(url: str) -> None:
    async with connected(url) as socket:
        await socket.subscribe("é" * 1000, QUIET)
        assert await socket.data("é" * 1000) == 0
        await socket.subscribe("é" * 1000, QUIET)
        assert await socket.close_code() == 4409


async def test_a_message_of_the_maximum_size_is_accepted(url: str) -> None:
    text = json.dumps({"type": "ping"})
    async with opened(url) as socket:
        await socket.send(text + " " * (MAX_MESSAGE_BYTES - len(text)))
        assert await socket.next() == {"type": "pong"}


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({}, "BAD_REQUEST"),
        ({"query": None}, "BAD_REQUEST"),
        ({"query": ""}, "BAD_REQUEST"),
        ({"query": {}}, "BAD_REQUEST"),
        ({"query": "{ hello }", "variables": []}, "BAD_REQUEST"),
        ({"query": "{ hello }", "variables": "{}"}, "BAD_REQUEST"),
        ({"query": "{ hello }", "operationName": 1}, "BAD_REQUEST"),
        ({"query": "{ hello }", "extensions": []}, "BAD_REQUEST"),
        ({"query": "{"}, "GRAPHQL_PARSE_FAILED"),
        ({"query": "{ nothing }"}, "GRAPHQL_VALIDATION_FAILED"),
        ({"query": "subscription { count }"}, "GRAPHQL_VALIDATION_FAILED"),
        ({"query": "subscription { quiet count(to: 1) }"}, "GRAPHQL_VALIDATION_FAILED"),
        ({"query": "{ hello }", "operationName": "Other"}, "OPERATION_RESOLUTION_FAILURE"),
        ({"query": "fragment F on Query { hello }"}, "OPERATION_RESOLUTION_FAILURE"),
        ({"query": "query A { hello } query B { hello }"}, "OPERATION_RESOLUTION_FAILURE"),
        ({"query": "subscription A { quiet } subscription B { ticks }"}, "OPERATION_RESOLUTION_FAILURE"),
        ({"query": "query ($n: String) { hello(name: $n) }", "variables": {"n": "\0"}}, "BAD_USER_INPUT"),
        ({"query": "subscription ($n: Int!) { count(to: $n) }", "variables": {"n": "\0"}}, "BAD_USER_INPUT"),
        (
            {"query": "subscription ($n: Int!) { count(to: $n) }", "variables": {"n": "x"}},
            "BAD_USER_INPUT",
        ),
        ({"query": "subscription ($to: Int!) { count(to: $to) }"}, "BAD_USER_INPUT"),
        ({"query": "", "documentId": "x"}, "PERSISTED_QUERY_NOT_SUPPORTED"),
        ({"extensions": {"persistedQuery": {"sha256Hash": "x"}}}, "PERSISTED_QUERY_NOT_SUPPORTED"),
        ({"query": "{ hello }", "extensions": {"persistedQuery": {"sha256Hash": "x"}}}, "BAD_REQUEST"),
    ],
)
async def test_an_invalid_operation_does_not_end_the_others(
    url: str, payload: dict[str, object], code: str
) -> None:
    async with connected(url) as socket:
        await socket.subscribe("good", "subscription { ticks }")
        assert await socket.data("good") == 0
        await socket.send({"type": "subscribe", "id": "bad", "payload": payload})
        while (message := await socket.next())["id"] == "good":
            pass
        assert (message["type"], message["id"]) == ("error", "bad")
        [error] = message["payload"]
        assert error["message"]
        assert error["extensions"]["code"] == code
        assert (await socket.next())["id"] == "good"
        await socket.subscribe("bad", "{ hello }")
        while (message := await socket.next())["id"] == "good":
            pass
        assert message["payload"] == {"data": {"hello": "Hello, world"}}


async def test_a_socket_can_be_closed_while_operations_are_sending(url: str) -> None:
    async with connected(url, ping_interval=None) as socket:
        await socket.subscribe("a", "subscription { flood }")
        await asyncio.sleep(0.3)  # until the server waits for us to take what it sent
        await socket.send("[]")
        assert await socket.close_code_at_the_end() == 4400


@pytest.mark.parametrize("error", [OSError(), RuntimeError("after websocket.close")])
async def test_a_disconnected_socket_raises_one_exception(error: Exception) -> None:
    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        if message["type"] != "websocket.accept":
            raise error

    websocket = WebSocket({"type": "websocket", "headers": []}, receive, send)
    await websocket.accept()
    endpoint: Any = next(route.app for route in toy_app().routes if isinstance(route, WebSocketRoute))
    disconnected = Socket(endpoint, websocket, websocket)
    with pytest.raises(WebSocketDisconnected):
        await disconnected.send_json({"type": "pong"})
    await disconnected.close(4400, "too late")


async def test_a_subscription_before_the_handshake_is_refused(url: str) -> None:
    async with opened(url) as socket:
        await socket.subscribe("a", "{ hello }")
        assert await socket.close_code() == 4401


async def test_a_silent_client_is_disconnected(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert http.INIT_TIMEOUT == timedelta(seconds=10)
    monkeypatch.setattr(http, "INIT_TIMEOUT", timedelta(seconds=5))  # which a machine that stalls still keeps
    with serving(toy_app()) as address:
        async with opened(f"{address}/graphql") as silent, connected(f"{address}/graphql") as speaking:
            assert await silent.close_code() == 4408
            await speaking.send({"type": "ping"})
            assert await speaking.next() == {"type": "pong"}


@pytest.mark.parametrize("protocols", [["graphql-ws"], ["unknown"]])
async def test_another_protocol_is_refused(url: str, protocols: list[str]) -> None:
    async with opened(url, *protocols) as socket:
        assert socket.connection.subprotocol is None
        assert await socket.close_code() == 4406


async def test_the_operations_of_a_socket_are_limited(url: str) -> None:
    async with connected(url) as socket:
        for number in range(SUBSCRIPTIONS):
            await socket.subscribe(str(number), QUIET)
            assert await socket.data(str(number)) == 0
        await socket.subscribe("more", QUIET)
        error = await socket.error("more")
        assert error["extensions"]["code"] == "RATE_LIMITED"
        assert str(SUBSCRIPTIONS) in error["message"]
        await socket.send({"type": "complete", "id": "0"})
        await socket.subscribe("more", QUIET)
        assert await socket.data("more") == 0


@pytest.mark.parametrize(
    ("origin", "allowed", "welcome"),
    [
        (None, [], True),
        ("same", [], True),
        ("https://evil.example", [], False),
        ("null", [], False),
        ("https://good.example", ["https://good.example"], True),
        ("https://evil.example", ["https://good.example"], False),
        ("https://evil.example", ["*"], True),
    ],
)
async def test_only_allowed_origins_can_open_a_socket(
    caplog: pytest.LogCaptureFixture, origin: str | None, allowed: list[str], welcome: bool
) -> None:
    with serving(toy_app(allowed_origins=allowed)) as address:
        options: dict[str, Any] = {"origin": address if origin == "same" else origin}
        if welcome:
            async with connected(f"{address}/graphql", **options):
                return
        with pytest.raises(InvalidStatus) as refused:
            async with opened(f"{address}/graphql", **options):
                pass
    assert refused.value.response.status_code == 403
    assert str(origin) in caplog.records[-1].getMessage()
    caplog.clear()


async def test_an_error_of_a_stream_has_its_code_and_ends_the_operation(url: str) -> None:
    async with connected(url) as socket:
        await socket.subscribe("a", "subscription { refused }")
        assert await socket.data("a") == 1
        error = await socket.error("a")
        assert (error["message"], error["extensions"]["code"]) == ("it was deleted", "NOT_FOUND")


@pytest.mark.parametrize("field", ["breaking", "unfit"])
async def test_an_unexpected_error_is_logged_and_the_client_sees_its_id_only(
    url: str, capsys: pytest.CaptureFixture[str], field: str
) -> None:
    async with connected(url) as socket:
        await socket.subscribe("a", f"subscription {{ {field} }}")
        if field == "breaking":
            assert await socket.data("a") == 1
        error = await socket.error("a")
    assert error["message"] == "Internal server error"
    assert error["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
    assert "secret" not in json.dumps(error)
    logged = capsys.readouterr().out
    assert error["extensions"]["id"] in logged
    assert "a secret" in logged


async def test_an_error_of_a_field_is_part_of_a_result(url: str) -> None:
    async with connected(url) as socket:
        await socket.subscribe("a", "{ hello refusing }")
        message = await socket.next()
        assert message["payload"]["data"] == {"hello": "Hello, world", "refusing": None}
        assert message["payload"]["errors"][0]["extensions"]["code"] == "NOT_FOUND"
        await socket.completes("a")


@pytest.mark.parametrize("query", [QUIET, "subscription { flood }", "{ slow }"])
async def test_a_client_that_vanishes_causes_no_error(url: str, query: str) -> None:
    async with connected(url) as socket:
        await socket.subscribe("a", query)
        await asyncio.sleep(0.2)
        socket.connection.transport.abort()
    await asyncio.sleep(0.7)
