"""An unavailable database: calls report it, and running streams wait for it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, suppress

import httpx2
import pytest
import structlog
from starlette.applications import Starlette

from graph.app import create_app
from graph.observability.logs import configure_logs, flush_logs
from graph.settings import Settings
from repo import (
    ActionPhase,
    ActionRepo,
    DatabaseUnavailable,
    FrameKind,
    open_repository,
)
from repo.watch import stream as stream_module
from tests.support.client import GraphQLClient
from tests.support.making import (
    RUN,
    action,
    event,
    make_run,
)
from tests.support.postgres import Postgres, running_postgres
from tests.support.serving import serving
from tests.support.sockets import connected

SECONDS = 30
RUNS = "subscription { runs { kind runs { name phaseCounts { phase count } } } }"
CREATE = """mutation {
  createAction(input: {id: {project: "p", domain: "d", runName: "r", name: "a0"}}) { created }
}"""


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """A server of this module's own, with the newest schema."""
    with running_postgres(is_migrated=True) as postgres:
        yield postgres


@asynccontextmanager
async def unavailable(server: Postgres) -> AsyncIterator[None]:
    """Stops the server for the duration of the context."""
    await asyncio.to_thread(server.stop)
    try:
        yield
    finally:
        await asyncio.to_thread(server.start)


async def test_calls_report_an_unavailable_database_and_succeed_later(server: Postgres) -> None:
    app = create_app(Settings(database_url=server.url))
    async with (
        app.router.lifespan_context(app),
        GraphQLClient(transport=httpx2.ASGITransport(app), base_url="http://localhost") as client,
    ):
        async with unavailable(server):
            with structlog.testing.capture_logs() as logs:
                for query in ("{ projects { name } }", CREATE):
                    (error,) = (await client.execute(query))["errors"]
                    assert error["extensions"]["code"] == "SERVICE_UNAVAILABLE"
                    assert error["message"] == ("the database is not available at the moment; retry the call")
        assert [log["event"] for log in logs] == ["the database is not available", "operation"] * 2
        assert all(log["errors"] == ["SERVICE_UNAVAILABLE"] for log in logs[1::2])
        assert all("exc_info" not in log and "\n" not in log["reason"] for log in logs[::2])
        assert (await client.execute(CREATE))["data"] == {"createAction": {"created": True}}


async def test_a_call_without_a_free_connection_gets_an_error(
    database_url: str,
) -> None:
    async with open_repository(database_url, pool_size=1, connection_timeout=0.1) as repository:
        async with repository.database.read():
            with pytest.raises(DatabaseUnavailable):
                await repository.runs.list_projects()
        assert await repository.runs.list_projects() == {}


async def test_a_stream_that_has_begun_waits_for_the_database(
    server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_module, "MAX_ROWS", 2)
    names = {f"c{number}": "a0" for number in range(5)}
    async with asyncio.timeout(SECONDS), open_repository(server.url) as repository:
        await make_run(repository, **names)
        await repository.insert_events([event(name) for name in names])
        watches = repository.watches
        actions = watches.watch_all_action_updates(RUN, attributes=frozenset({"name"}))
        streams = (actions, watches.watch_events(RUN))
        async with aclosing(streams[0]) as rows, aclosing(streams[1]) as events:
            found = {item.name for item in (await anext(rows)).items}
            happened = [item.action.name for item in (await anext(events)).items]
            await asyncio.sleep(0.2)
            async with unavailable(server):
                # One page is read while the one before is sent.
                found |= {item.name for item in (await anext(rows)).items}
                next_rows = asyncio.ensure_future(anext(rows))
                next_events = asyncio.ensure_future(anext(events))
                await asyncio.sleep(0.3)
                assert not next_rows.done()
                assert not next_events.done()
            found |= {item.name for item in (await next_rows).items}
            happened += [item.action.name for item in (await next_events).items]
            while (frame := await anext(rows)).kind is not FrameKind.SYNCED:
                found |= {item.name for item in frame.items}
            while (next_frame := await anext(events)).kind is not FrameKind.SYNCED:
                happened += [item.action.name for item in next_frame.items]
            assert found == {"a0", *names}
            assert sorted(happened) == sorted(names)
            await repository.update_action_phase(action(), ActionPhase.RUNNING, 1)
            assert [item.name for item in (await anext(rows)).items] == ["a0"]


async def test_transaction_ids_reused_after_a_crash_hide_no_changes() -> None:
    """A transaction without changes is logged later; until then a crash reverts its id, which was seen
    already."""
    with running_postgres(is_migrated=True, wal_writer_delay="10000") as server:
        seen: list[int] = []

        async def watch(repository: ActionRepo) -> None:
            async with aclosing(repository.watches.watch_events(RUN)) as stream:
                async for frame in stream:
                    if frame.kind is FrameKind.RESYNC:
                        seen.clear()
                    seen.extend(item.version for item in frame.items)

        async with asyncio.timeout(SECONDS), open_repository(server.url) as repository:
            await make_run(repository)
            await repository.insert_events([event(version=0)])
            watching = asyncio.create_task(watch(repository))
            while seen != [0]:  # noqa: ASYNC110 - it comes in its own time
                await asyncio.sleep(0.01)
            for _ in range(20):
                assert await repository.insert_events([event(version=0)]) == 0, "it is stored already"
            await asyncio.sleep(0.3)
            await asyncio.to_thread(server.stop, True)
            await asyncio.to_thread(server.start)
            for version in range(1, 6):
                while True:
                    with suppress(DatabaseUnavailable):
                        await repository.insert_events([event(version=version)])
                        break
                    await asyncio.sleep(0.1)
            while len(seen) < 6:  # noqa: ASYNC110 - it comes in its own time
                await asyncio.sleep(0.01)
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
    assert seen == list(range(6))


async def test_an_incomplete_frame_ends_the_stream_with_an_error(app: Starlette) -> None:
    async def fail(*_: object) -> object:
        raise DatabaseUnavailable("unavailable") from ConnectionRefusedError("secret-host said no")

    with serving(app) as address:
        url = f"{address}/graphql"
        async with asyncio.timeout(SECONDS), httpx2.AsyncClient(timeout=SECONDS) as client:
            await client.post(url, json={"query": CREATE})
            app.state.repository.runs.count_phases = fail
            async with connected(url) as socket:
                await socket.subscribe("1", RUNS)
                error = await socket.error("1")
                assert error["extensions"]["code"] == "SERVICE_UNAVAILABLE"
                assert error["message"] == "unavailable"
            headers = {"Accept": "text/event-stream"}
            next_frame = (await client.post(url, json={"query": RUNS}, headers=headers)).text
    assert "SERVICE_UNAVAILABLE" in next_frame
    assert next_frame.count("event: next") == 1
    assert "event: complete" in next_frame
    assert "secret-host" not in next_frame


async def test_a_traceback_in_the_log_shows_no_variables(capfd: pytest.CaptureFixture[str]) -> None:
    configure_logs("info")
    try:
        password = "".join(("can", "ary"))
        try:
            raise ValueError("broken" if password else "")
        except ValueError:
            structlog.get_logger().error("unexpected", exc_info=True)
    finally:
        flush_logs()
        structlog.reset_defaults()
    output = capfd.readouterr().err
    assert "ValueError: broken" in output
    assert "canary" not in output
