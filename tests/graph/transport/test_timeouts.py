"""Timeouts: operations and their statements are cancelled with TIMEOUT."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

import asyncpg
import httpx2
import pytest
from sqlalchemy import BigInteger, Select, literal_column, select, text
from sqlalchemy.ext.asyncio import create_async_engine
from websockets.exceptions import InvalidHandshake

from graph.app import create_app
from graph.settings import Settings
from repo import ActionPhase, DeadlineExceeded, open_repository
from repo.sql.database import Database
from repo.sql.urls import parse_url
from tests.support.client import GraphQLClient
from tests.support.making import make_run
from tests.support.serving import serving
from tests.support.sockets import connected
from tests.support.toy import toy_app

SECONDS = 40
LIMIT = 0.5
ENDLESS = "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n)"
UPDATE = """mutation { updateActionPhase(input: {phase: RUNNING, attempts: 1,
              id: {project: "etl", domain: "production", runName: "nightly-1", name: "a0"}}) { applied } }"""
ONLY_POSTGRESQL = pytest.mark.parametrize("databases", ["postgresql"], indirect=True)
ONLY_SQLITE = pytest.mark.parametrize("databases", ["sqlite"], indirect=True)


T = TypeVar("T")


async def at_last(ask: Callable[[], Awaitable[T]], is_right: Callable[[T], bool] = lambda _: True) -> T:
    """The result of a request. A stalling machine may exceed any limit: then the request is repeated a few
    times."""
    for _ in range(4):
        with suppress(DeadlineExceeded):
            if is_right(found := await ask()):
                return found
    return await ask()


def endless() -> Select[Any]:
    return select(literal_column(ENDLESS, BigInteger).label("n"))


def quick() -> Select[Any]:
    return select(literal_column("1", BigInteger).label("n"))


@asynccontextmanager
async def opened(url: str, limit: float = LIMIT) -> AsyncIterator[Database]:
    database = Database(url, statement_timeout=limit)
    try:
        async with asyncio.timeout(SECONDS):
            yield database
    finally:
        await database.close()


@asynccontextmanager
async def locked(url: str) -> AsyncIterator[None]:
    """Blocks all writes; with PostgreSQL reads too."""
    engine = create_async_engine(parse_url(url))
    try:
        async with engine.connect() as connection:
            if url.startswith("sqlite"):
                await connection.execute(text("PRAGMA busy_timeout=0"))
                await connection.execute(text("BEGIN IMMEDIATE"))
            else:
                await connection.execute(text("LOCK TABLE actions IN ACCESS EXCLUSIVE MODE"))
            yield
    finally:
        await engine.dispose()


@asynccontextmanager
async def client_of(url: str, **settings: Any) -> AsyncIterator[GraphQLClient]:
    app = create_app(Settings(database_url=url, operation_timeout=LIMIT, **settings))
    async with (
        asyncio.timeout(SECONDS),
        app.router.lifespan_context(app),
        GraphQLClient(transport=httpx2.ASGITransport(app), base_url="http://localhost") as client,
    ):
        yield client


async def test_a_read_that_takes_too_long_ends(database_url: str) -> None:
    async with opened(database_url) as database:
        with pytest.raises(DeadlineExceeded):
            await database.fetch("endless", endless, {})
        with pytest.raises(DeadlineExceeded):
            async with database.read() as connection:
                await connection.execute(endless())
        with pytest.raises(DeadlineExceeded):
            async with database.snapshot() as moment:
                await moment.fetch("endless", endless, {})
        found = await at_last(lambda: database.fetch("quick", quick, {}))
        assert [tuple(row) for row in found.raw] == [(1,)]

        async def in_a_snapshot() -> int:
            async with database.snapshot() as moment:
                return len((await moment.fetch("quick", quick, {})).raw)

        assert await at_last(in_a_snapshot) == 1


async def test_abandoned_reads_delay_no_other_client(database_url: str) -> None:
    async with opened(database_url, limit=0) as database:
        for _ in range(3):
            reads = [asyncio.create_task(database.fetch("endless", endless, {})) for _ in range(12)]
            await asyncio.sleep(0.1)
            for read in reads:
                read.cancel()
            await asyncio.gather(*reads, return_exceptions=True)
        found = await database.fetch("quick", quick, {})
        assert [tuple(row) for row in found.raw] == [(1,)]
        if not database.is_sqlite:
            await assert_nothing_goes_on(database_url)


async def test_a_statement_just_below_the_limit_is_left_alone(database_url: str) -> None:
    """Each of many requests has its own timeout."""
    answered = 0
    async with opened(database_url) as database:
        for _ in range(20):
            with suppress(DeadlineExceeded):  # one that the machine stalled in
                assert len((await database.fetch("quick", quick, {})).raw) == 1
                answered += 1
            await asyncio.sleep(LIMIT / 15)
    assert answered >= 18


async def assert_nothing_goes_on(url: str) -> None:
    """PostgreSQL executes none of our statements."""
    connection = await asyncpg.connect(url)
    try:
        deadline = time.monotonic() + SECONDS
        active = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        active += " AND state = 'active' AND pid <> pg_backend_pid()"
        while await connection.fetchval(active):
            assert time.monotonic() < deadline, "a statement goes on that nobody waits for"
            await asyncio.sleep(0.02)
    finally:
        await connection.close()


@ONLY_POSTGRESQL
@pytest.mark.parametrize("compiled", [True, False])
async def test_a_query_over_the_timeout_gets_an_error(database_url: str, compiled: bool) -> None:
    query = "{ runs { nodes { name } } }"
    async with client_of(database_url, compiled_execution=compiled) as client:
        async with locked(database_url):
            response = await client.post(
                "/graphql",
                json={"query": query},
                headers={"Accept": "application/graphql-response+json"},
            )
            body = response.json()
            assert (response.status_code, body["data"]) == (200, None)
            assert body["errors"][0]["extensions"]["code"] == "TIMEOUT"
            assert (await client.get("/livez")).status_code == 200
            await assert_nothing_goes_on(database_url)
        right: dict[str, Any] = {"data": {"runs": {"nodes": []}}}
        assert await at_last(lambda: client.execute(query), right.__eq__) == right


@pytest.mark.parametrize("compiled", [True, False])
async def test_a_mutation_over_the_timeout_may_be_repeated(database_url: str, compiled: bool) -> None:
    async with open_repository(database_url) as repository:
        await make_run(repository)
        async with client_of(database_url, compiled_execution=compiled) as client:
            async with locked(database_url):
                body = await client.execute(UPDATE)
                (error,) = body["errors"]
                assert error["extensions"]["code"] == "TIMEOUT"
                assert "can be repeated" in error["message"] or "may be repeated" in error["message"]
            right = {"data": {"updateActionPhase": {"applied": True}}}
            assert await at_last(lambda: client.execute(UPDATE), right.__eq__) == right
        (stored,) = (await repository.list_actions()).items
        assert stored.phase is ActionPhase.RUNNING


@ONLY_POSTGRESQL
async def test_a_write_that_waits_too_long_for_a_lock_is_cancelled(database_url: str) -> None:
    async with open_repository(database_url, statement_timeout=LIMIT) as repository, asyncio.timeout(SECONDS):
        async with locked(database_url):
            with pytest.raises(DeadlineExceeded):
                await make_run(repository)
            await assert_nothing_goes_on(database_url)
        await at_last(lambda: make_run(repository))


@pytest.mark.parametrize("compiled", [True, False])
async def test_a_websocket_operation_over_the_timeout_gets_an_error(
    database_url: str, compiled: bool
) -> None:
    async with open_repository(database_url) as repository:
        await make_run(repository)
    settings = Settings(database_url=database_url, operation_timeout=LIMIT, compiled_execution=compiled)
    with serving(create_app(settings)) as url:
        async with connected(f"{url}/graphql") as socket:
            async with locked(database_url):
                await socket.subscribe("1", UPDATE)
                error = await socket.error("1")
                assert error["extensions"]["code"] == "TIMEOUT"

            async def again() -> Any:
                await socket.subscribe("2", UPDATE)
                return await socket.next()

            message = await at_last(again, lambda message: message["type"] == "next")
            assert message["payload"]["data"] == {"updateActionPhase": {"applied": True}}
            await socket.completes("2")


@ONLY_SQLITE
async def test_a_subscription_may_outlast_the_operation_timeout(database_url: str) -> None:
    settings = Settings(database_url=database_url, operation_timeout=LIMIT)
    with serving(create_app(settings)) as url:
        async with connected(f"{url}/graphql") as socket:
            await socket.subscribe("1", "subscription { runs { kind runs { name } } }")
            assert (await socket.data("1"))["kind"] == "SYNCED"
            await asyncio.sleep(2 * LIMIT)
            async with open_repository(database_url) as repository:
                await make_run(repository)
            assert (await socket.data("1"))["runs"] == [{"name": "nightly-1"}]


@pytest.fixture
def port() -> Iterator[int]:
    """The port of a server with a short request timeout."""
    with serving(toy_app(), request_timeout=LIMIT) as url:
        yield int(url.rpartition(":")[2])


async def sent(port: int, *parts: bytes, every: float = LIMIT / 5) -> bytes:
    """The response to a client that sends these parts slowly, until the connection is closed."""
    async with asyncio.timeout(SECONDS):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            for part in parts:
                writer.write(part)
                await asyncio.sleep(every)
            return await reader.read()
        except ConnectionError:
            return b""
        finally:
            writer.close()


HEAD = b"POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
BODY = b'{"query": "{ __typename }"}'
WHOLE = HEAD + b"content-length: %d\r\n\r\n" % len(BODY) + BODY


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([HEAD], id="a head that never ends"),
        pytest.param([HEAD, *[b"x: y\r\n"] * 30], id="a head that trickles"),
        pytest.param([HEAD + b"content-length: 100\r\n\r\n{"], id="a body that never comes"),
        pytest.param([HEAD + b"content-length: 100\r\n\r\n", *[b"{"] * 30], id="a body that trickles"),
    ],
)
async def test_a_request_that_does_not_arrive_times_out(port: int, parts: list[bytes]) -> None:
    expected = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\n"
    answer = await at_last(lambda: sent(port, *parts[:5]), lambda answer: answer.startswith(expected))
    assert answer.startswith(expected)


@pytest.mark.parametrize("parts", [[], [b"\r\n"] * 5], ids=["nothing", "empty lines"])
async def test_a_connection_without_a_request_is_closed_without_a_response(
    port: int, parts: list[bytes]
) -> None:
    assert await sent(port, *parts) == b""
    answer = await at_last(lambda: sent(port, WHOLE, *parts), lambda answer: b"HTTP/1.1 200" in answer)
    assert answer.count(b"HTTP/1.1") == 1


async def test_the_request_timeout_restarts_with_each_request(port: int) -> None:
    def is_right(answer: bytes) -> bool:
        return answer.count(b"HTTP/1.1 200") == 8 and answer.count(b"HTTP/1.1 408") == 0

    assert is_right(await at_last(lambda: sent(port, *[WHOLE[:50], WHOLE[50:]] * 8), is_right))


async def test_responses_and_websockets_may_outlast_the_request_timeout(port: int) -> None:
    async def answer() -> Any:
        with suppress(InvalidHandshake):  # the machine stalled before the request was there
            async with connected(f"http://127.0.0.1:{port}/graphql") as socket:
                await asyncio.sleep(2 * LIMIT)
                await socket.send({"type": "ping"})
                return await socket.next()

    pong = {"type": "pong"}
    assert await at_last(answer, pong.__eq__) == pong
