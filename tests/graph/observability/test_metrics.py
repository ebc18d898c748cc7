"""The metrics at /metrics."""

import asyncio
import contextlib
import re

import httpx2
from starlette.applications import Starlette

from graph.app import create_app
from graph.settings import Settings
from repo import ActionRepo, NewLogLine
from tests.support.client import GraphQLClient
from tests.support.making import action, make_run
from tests.support.serving import serving
from tests.support.sockets import connected


async def metrics(client: GraphQLClient) -> dict[str, float]:
    response = await client.get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain")
    return {name: float(value) for name, value in re.findall(r"^(rungraph_\w+) (\S+)$", response.text, re.M)}


async def test_subscribers_and_their_queued_changes_are_counted(
    app: Starlette, client: GraphQLClient
) -> None:
    before = await metrics(client)
    assert (before["rungraph_watches"], before["rungraph_bus_connected"]) == (0, 1)
    repository: ActionRepo = app.state.repository
    stream = repository.watch_all_run_updates()
    async with asyncio.timeout(10):
        await anext(stream)
        await make_run(repository)
        while (await metrics(client))["rungraph_mailbox_entries"] == 0:  # noqa: ASYNC110 - asked from outside
            await asyncio.sleep(0.01)
    seen = await metrics(client)
    assert seen["rungraph_watches"] == 1
    assert seen["rungraph_feed_looks_total"] > before["rungraph_feed_looks_total"]
    assert 0 <= seen["rungraph_feed_lag_seconds"] < 5
    assert seen["rungraph_tasks"] > before["rungraph_tasks"] > 0
    await stream.aclose()
    assert (await metrics(client))["rungraph_watches"] == 0


async def test_an_unusable_cursor_is_counted_as_a_resync(app: Starlette, client: GraphQLClient) -> None:
    repository: ActionRepo = app.state.repository
    stream = repository.watch_all_run_updates(after="nonsense")
    async with asyncio.timeout(10):
        await anext(stream)
    await stream.aclose()
    assert (await metrics(client))["rungraph_resyncs_total"] == 1


async def test_appended_lines_are_counted(app: Starlette, client: GraphQLClient) -> None:
    repository: ActionRepo = app.state.repository
    await make_run(repository)
    for _ in range(2):
        await repository.logs.append(action(), [NewLogLine("one"), NewLogLine("ü")], offset=0)
    seen = await metrics(client)
    assert seen["rungraph_appended_log_lines_total"] == 2
    assert seen["rungraph_appended_log_bytes_total"] == 7


async def test_connections_in_use_are_counted(app: Starlette, client: GraphQLClient) -> None:
    assert (await metrics(client))["rungraph_database_connections_in_use"] == 0
    repository: ActionRepo = app.state.repository
    async with repository.database.read():
        assert (await metrics(client))["rungraph_database_connections_in_use"] == 1
    assert (await metrics(client))["rungraph_database_connections_in_use"] == 0


async def labelled(client: GraphQLClient) -> dict[str, float]:
    """The metrics with labels, by name and labels."""
    text = (await client.get("/metrics")).text
    return {name: float(value) for name, value in re.findall(r"^(rungraph_\w+\{.*\}) (\S+)$", text, re.M)}


async def test_operations_are_counted_by_root_field_and_outcome(client: GraphQLClient) -> None:
    queries = [
        "query A { runs { totalCount } }",
        "query B { runs { nodes { name } } }",
        "{ runs { totalCount } projects { name } }",
        "query ($b: Boolean!) { ...F @skip(if: $b) } fragment F on Query { projects { name } }",
        'mutation { clearAbortRequest(id: {project: "a", domain: "b", runName: "c", name: "d"})'
        " { action { name } } }",
        "{ nonsense }",
        "not GraphQL",
    ]
    for query in queries:
        await client.execute(query, {"b": False} if "$b" in query else None)
    seen = await labelled(client)
    counted = {
        name.removeprefix("rungraph_operations_total"): value
        for name, value in seen.items()
        if name.startswith("rungraph_operations_total")
    }
    assert counted == {
        '{field="runs",outcome="ok",type="query"}': 2,
        '{field="several",outcome="ok",type="query"}': 1,
        '{field="projects",outcome="ok",type="query"}': 1,
        '{field="clearAbortRequest",outcome="error",type="mutation"}': 1,
        '{field="none",outcome="refused",type="none"}': 2,
    }
    assert seen['rungraph_operation_seconds_count{field="runs",type="query"}'] == 2
    assert 0 < seen['rungraph_operation_seconds_sum{field="runs",type="query"}'] < 60
    assert 'rungraph_operation_seconds_count{field="none",type="none"}' not in seen
    assert seen['rungraph_errors_total{code="NOT_FOUND"}'] == 1
    assert seen['rungraph_errors_total{code="GRAPHQL_PARSE_FAILED"}'] == 1


async def test_repeated_operations_are_cache_hits(client: GraphQLClient) -> None:
    for _ in range(3):
        await client.execute("{ runs { nodes { name } } }")
    seen = await labelled(client)
    assert seen['rungraph_cache_misses_total{cache="documents"}'] >= 1
    assert seen['rungraph_cache_misses_total{cache="statements"}'] >= 1
    assert seen['rungraph_cache_hits_total{cache="statements"}'] >= 2


async def test_calls_that_wait_for_a_connection_are_counted(app: Starlette, client: GraphQLClient) -> None:
    repository: ActionRepo = app.state.repository
    most = (await metrics(client))["rungraph_database_connections_max"]
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(10):
            await stack.enter_async_context(repository.database.read())
        before = await metrics(client)
        assert before["rungraph_database_connections_in_use"] == 10 < most
        assert before["rungraph_database_waiting"] == 0
        waiting = asyncio.create_task(repository.check())
        async with asyncio.timeout(10):
            while (await metrics(client))["rungraph_database_waiting"] != 1:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    await waiting
    assert (await metrics(client))["rungraph_database_waiting"] == 0


async def test_websockets_and_subscriptions_are_counted_by_field(database_url: str) -> None:
    app = create_app(Settings(database_url=database_url))
    with serving(app) as address:
        async with httpx2.AsyncClient(base_url=address) as asking:
            async with connected(f"{address}/graphql") as socket:
                await socket.subscribe("1", "subscription { runs(first: 1) { kind } }")
                await socket.next()
                text = (await asking.get("/metrics")).text
                assert "rungraph_websockets 1.0" in text
                assert 'rungraph_subscriptions{field="runs"} 1.0' in text
            async with asyncio.timeout(10):
                while 'rungraph_subscriptions{field="runs"} 0.0' not in text:
                    await asyncio.sleep(0.02)
                    text = (await asking.get("/metrics")).text
            assert "rungraph_websockets 0.0" in text
            assert 'rungraph_operations_total{field="runs",outcome="ok",type="subscription"} 1.0' in text


async def test_refused_websocket_operations_are_counted(database_url: str) -> None:
    with serving(create_app(Settings(database_url=database_url, max_subscriptions=1))) as address:
        async with connected(f"{address}/graphql") as socket, httpx2.AsyncClient(base_url=address) as asking:
            await socket.subscribe("1", "subscription { runs(first: 1) { kind } }")
            await socket.next()
            await socket.subscribe("2", "subscription { runs(first: 1) { kind } }")
            while (message := await socket.next())["type"] != "error":
                assert message["id"] == "1"
            text = (await asking.get("/metrics")).text
    assert 'rungraph_errors_total{code="RATE_LIMITED"} 1.0' in text
    assert 'rungraph_operations_total{field="none",outcome="refused",type="none"} 1.0' in text
