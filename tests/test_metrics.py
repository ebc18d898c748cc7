"""What an operator sees at /metrics."""

import asyncio
import re

from starlette.applications import Starlette

from repo import ActionRepo
from tests.client import GraphQLClient
from tests.making import make_run


async def figures(client: GraphQLClient) -> dict[str, float]:
    response = await client.get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain")
    return {name: float(value) for name, value in re.findall(r"^(rungraph_\w+) (\S+)$", response.text, re.M)}


async def test_a_subscriber_and_what_waits_for_it_are_counted(app: Starlette, client: GraphQLClient) -> None:
    before = await figures(client)
    assert (before["rungraph_watches"], before["rungraph_bus_connected"]) == (0, 1)
    repository: ActionRepo = app.state.repository
    stream = repository.watch_all_run_updates()
    async with asyncio.timeout(10):
        await anext(stream)
        await make_run(repository)
        while (await figures(client))["rungraph_mailbox_entries"] == 0:  # noqa: ASYNC110 - asked from outside
            await asyncio.sleep(0.01)
    seen = await figures(client)
    assert seen["rungraph_watches"] == 1
    assert seen["rungraph_feed_looks_total"] > before["rungraph_feed_looks_total"]
    assert 0 <= seen["rungraph_feed_lag_seconds"] < 5
    assert seen["rungraph_tasks"] > before["rungraph_tasks"] > 0
    await stream.aclose()
    assert (await figures(client))["rungraph_watches"] == 0


async def test_a_cursor_that_cannot_be_honoured_is_counted_as_a_resync(
    app: Starlette, client: GraphQLClient
) -> None:
    repository: ActionRepo = app.state.repository
    stream = repository.watch_all_run_updates(after="nonsense")
    async with asyncio.timeout(10):
        await anext(stream)
    await stream.aclose()
    assert (await figures(client))["rungraph_resyncs_total"] == 1


async def test_connections_in_use_are_counted(app: Starlette, client: GraphQLClient) -> None:
    assert (await figures(client))["rungraph_database_connections_in_use"] == 0
    repository: ActionRepo = app.state.repository
    async with repository._database.read():
        assert (await figures(client))["rungraph_database_connections_in_use"] == 1
    assert (await figures(client))["rungraph_database_connections_in_use"] == 0
