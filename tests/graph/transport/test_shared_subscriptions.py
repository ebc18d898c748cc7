"""Shared subscriptions: equal requests have one source, and each client gets what it would get alone."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette

from graph.auth.caller import ANONYMOUS
from graph.context import Context
from graph.execution import Engine, OperationRequest
from graph.limits.documents import Limits
from graph.schema.build import build_schema
from graph.transport import shared_subscriptions as module
from graph.transport import subscribers
from graph.transport.http import GraphQLEndpoint
from graph.transport.shared_subscriptions import SharedSubscriptions
from repo import Access, ActionPhase, ActionRepo, Grant, Role
from tests.support.making import (
    RUN,
    action,
    event,
    make_run,
    new,
)
from tests.support.serving import serving
from tests.support.sockets import Socket, connected
from tests.support.waiting import until

SECONDS = 40
SCHEMA = build_schema(Limits(depth=15, aliases=100, tokens=4000, cost=250_000, page=1000))
RUN_ID = '{project: "etl", domain: "production", name: "nightly-1"}'
ACTIONS = f"""subscription ($after: String) {{
  actions(run: {RUN_ID}, after: $after) {{ kind cursor removed actions {{ name phase revision }} }}
}}"""
EVENTS = f"""subscription ($after: String) {{
  events(run: {RUN_ID}, after: $after) {{ kind cursor events {{ version }} }}
}}"""


@pytest.fixture
async def address(app: Starlette) -> AsyncIterator[str]:
    """The address of the application, which has its own event loop."""
    with serving(app) as address:
        yield f"{address}/graphql"


def live_of(app: Starlette) -> SharedSubscriptions:
    """The shared subscriptions of the application."""
    endpoints = [getattr(route, "endpoint", None) for route in app.routes]
    return next(
        endpoint.pipeline.subscriptions for endpoint in endpoints if isinstance(endpoint, GraphQLEndpoint)
    )


@asynccontextmanager
async def subscribed(url: str, query: str, count: int, **variables: object) -> AsyncIterator[list[Socket]]:
    """Sockets with the same subscription, after SYNCED unless they resume."""
    async with AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(connected(url)) for _ in range(count)]
        for number, socket in enumerate(sockets):
            await socket.subscribe(f"id-{number}", query, variables=variables)
            while "after" not in variables and (await socket.data(f"id-{number}"))["kind"] != "SYNCED":
                pass
        yield sockets


async def write(repository: ActionRepo, phase: ActionPhase) -> None:
    assert await repository.update_action_phase(action(), phase, 1)


async def test_equal_subscriptions_share_one_source_and_get_equal_frames(
    app: Starlette, address: str, repository: ActionRepo
) -> None:
    await make_run(repository)
    live, metrics = live_of(app), app.state.repository.watches.metrics
    async with subscribed(address, ACTIONS, 10) as sockets:
        await until(lambda: (live.operations, live.sources, metrics().watches) == (10, 1, 1))
        async with httpx2.AsyncClient() as client:
            metrics_text = (await client.get(address.replace("graphql", "metrics"))).text
        assert re.findall(r"^rungraph_(?:subscribers|watches) (\S+)$", metrics_text, re.M) == ["10.0", "1.0"]
        for phase in (ActionPhase.RUNNING, ActionPhase.SUCCEEDED):
            await write(repository, phase)
            frames = [await socket.data(f"id-{number}") for number, socket in enumerate(sockets)]
            assert frames == [frames[0]] * 10
            assert frames[0]["actions"][0]["phase"] == phase.name
    await until(lambda: (live.operations, live.sources, metrics().watches) == (0, 0, 0))


@pytest.mark.parametrize(
    "query",
    [
        "subscription { runs { kind runs { phase } } }",
        "subscription { ...all } fragment all on Subscription { runs { kind runs { phase } } }",
        "subscription All { all: runs { kind runs { phase } } }",
    ],
)
async def test_a_subscription_may_use_fragments_and_aliases(
    app: Starlette, address: str, repository: ActionRepo, query: str
) -> None:
    await make_run(repository)
    live = live_of(app)
    async with subscribed(address, query, 2) as sockets:
        await until(lambda: (live.operations, live.sources) == (2, 1))
        await write(repository, ActionPhase.RUNNING)
        for number, socket in enumerate(sockets):
            assert (await socket.data(f"id-{number}"))["runs"] == [{"phase": "RUNNING"}]


async def test_different_subscriptions_are_not_shared_but_cursors_may_differ(
    app: Starlette, address: str, repository: ActionRepo
) -> None:
    await make_run(repository)
    live = live_of(app)
    async with subscribed(address, ACTIONS, 1) as (first,):
        await write(repository, ActionPhase.INITIALIZING)
        cursor = (await first.data("id-0"))["cursor"]
        async with subscribed(address, ACTIONS, 2, after=cursor) as others:
            await until(lambda: (live.operations, live.sources) == (3, 1))
            async with subscribed(address, ACTIONS.replace("removed", ""), 1):
                await until(lambda: (live.operations, live.sources) == (4, 2))
            await write(repository, ActionPhase.RUNNING)
            for socket in (first, *others):
                number = 0 if socket is first else others.index(socket)
                assert (await socket.data(f"id-{number}"))["actions"][0]["phase"] == "RUNNING"


async def test_a_shared_source_outlives_its_first_subscriber(
    app: Starlette, address: str, repository: ActionRepo
) -> None:
    await make_run(repository)
    live = live_of(app)
    async with subscribed(address, ACTIONS, 2) as (first, second):
        await until(lambda: live.sources == 1 and app.state.repository.watches.metrics().watches == 1)
        await first.send({"type": "complete", "id": "id-0"})
        await until(lambda: live.operations == 1)
        await write(repository, ActionPhase.RUNNING)
        assert (await second.data("id-1"))["actions"][0]["phase"] == "RUNNING"


@pytest.mark.parametrize("waiting", [1, 32])
async def test_every_subscriber_gets_every_event_once_even_if_it_falls_behind(
    app: Starlette, address: str, repository: ActionRepo, monkeypatch: pytest.MonkeyPatch, waiting: int
) -> None:
    """With a queue of one frame, subscribers repeatedly fall behind and catch up by themselves."""
    monkeypatch.setattr(subscribers, "MAX_WAITING", waiting)
    monkeypatch.setattr(module, "FRAME_INTERVAL", 0.0)
    await make_run(repository)
    count, viewers = 120, 8
    seen: list[list[int]] = [[] for _ in range(viewers)]

    async def read(number: int) -> None:
        await asyncio.sleep(number * 0.03)
        async with connected(address) as socket:
            await socket.subscribe("1", EVENTS)
            while len(seen[number]) < count:
                seen[number] += [item["version"] for item in (await socket.data("1"))["events"]]

    async def insert(start: int) -> None:
        for version in range(start, count, 4):
            await repository.insert_events([event(version=version)])

    async with asyncio.timeout(SECONDS):
        await asyncio.gather(*(read(number) for number in range(viewers)), *(insert(s) for s in range(4)))
    assert all(sorted(versions) == list(range(count)) for versions in seen)


async def test_subscribers_that_join_during_writes_converge_to_the_stored_state(
    app: Starlette, address: str, repository: ActionRepo
) -> None:
    await make_run(repository)
    held: list[dict[str, Any]] = [{} for _ in range(12)]

    async def read(number: int) -> None:
        await asyncio.sleep(number * 0.03)
        async with connected(address) as socket:
            await socket.subscribe("1", ACTIONS)
            is_synced = False  # the first page of a snapshot alone may say that a0 has ended
            while not is_synced or held[number]["a0"]["phase"] != "SUCCEEDED":
                frame = await socket.data("1")
                is_synced = is_synced or frame["kind"] == "SYNCED"
                for row in frame["actions"]:
                    before = held[number].get(row["name"], {"revision": 0})
                    assert before["revision"] <= row["revision"], "older after newer"
                    held[number][row["name"]] = row

    async def storm(writer: int) -> None:
        for turn in range(8):
            name = f"w{writer}-{turn}"
            await repository.create_action(new(name, "a0"))
            for phase in (ActionPhase.RUNNING, ActionPhase.SUCCEEDED):
                await repository.update_action_phase(action(name), phase, 1)

    async with asyncio.timeout(SECONDS):
        reading = [asyncio.create_task(read(number)) for number in range(len(held))]
        await asyncio.gather(*(storm(writer) for writer in range(4)))
        await write(repository, ActionPhase.SUCCEEDED)
        await asyncio.gather(*reading)
    stored = {
        item.name: {"name": item.name, "phase": item.phase.name, "revision": item.revision}
        for item in (await repository.list_actions(RUN)).items
    }
    wrong = {
        (number, name): (rows.get(name), stored.get(name))
        for number, rows in enumerate(held)
        for name in rows.keys() | stored.keys()
        if rows.get(name) != stored.get(name)
    }
    assert wrong == {}, "the rows of a reader, and as they are stored"


async def test_a_shared_stream_ends_for_all_subscribers(address: str, repository: ActionRepo) -> None:
    await make_run(repository)
    query = f"subscription {{ actions(run: {RUN_ID}, untilTerminal: true) {{ kind actions {{ phase }} }} }}"
    async with subscribed(address, query, 3) as sockets:
        await write(repository, ActionPhase.SUCCEEDED)
        for number, socket in enumerate(sockets):
            assert (await socket.data(f"id-{number}"))["actions"] == [{"phase": "SUCCEEDED"}]
            await socket.completes(f"id-{number}")


def test_callers_with_different_permissions_do_not_share_a_source() -> None:
    request = OperationRequest(ACTIONS, {"after": "1"}, None)
    one, other = (Access(frozenset({Grant(Role.VIEWER, project)})) for project in ("one", "other"))
    key = module.stream_key
    assert key(request, one) != key(request, other)
    # Both see the same rows, but only one of them is notified of aborts.
    assert key(request, one) != key(request, Access(frozenset({Grant(Role.WRITER, "one")})))
    assert key(request, one) != key(OperationRequest(ACTIONS, {"after": "2"}, None), one)
    assert key(request, one) != key(OperationRequest(ACTIONS, {"after": "1"}, None, {"trace": 1}), one)
    assert key(request, one, "after") == key(OperationRequest(ACTIONS, {"after": "2"}, None), one, "after")


@pytest.mark.parametrize(
    ("query", "name"),
    [
        (ACTIONS, "after"),
        (ACTIONS.replace("$after", "$from"), "from"),
        (ACTIONS.replace(", after: $after", "").replace("($after: String)", ""), None),
        (ACTIONS.replace("after: $after", "after: $after, filter: {search: $after}"), None),
    ],
)
async def test_the_cursor_to_resume_after_is_found_by_its_variable(query: str, name: str | None) -> None:
    operation = await Engine(SCHEMA).load_operation(query, None)
    assert operation is not None
    assert operation.cursor_variable == name


async def test_a_subscriber_that_leaves_at_any_moment_leaves_nothing_behind(repository: ActionRepo) -> None:
    await make_run(repository)
    live = SharedSubscriptions(lambda result: str(result.data).encode(), Engine(SCHEMA).load_operation)
    request = OperationRequest(ACTIONS, None, None)

    async def context() -> Context:
        return Context(repository, ANONYMOUS, 100)

    async def execute(context: object) -> Any:
        return await SCHEMA.stream(request.query, variable_values=request.variables, context_value=context)

    async def read() -> None:
        async with aclosing(live.results(request, context, execute)) as results:
            async for _ in results:
                pass

    before = asyncio.all_tasks()
    async with asyncio.timeout(SECONDS):
        for others in (0, 1):
            staying = [asyncio.create_task(read()) for _ in range(others)]
            while live.sources < others:  # noqa: ASYNC110 - it joins in its own time
                await asyncio.sleep(0.01)
            for turn in range(100):
                leaving = asyncio.create_task(read())
                # At each turn of the event loop after joining.
                while turn % 3 and live.operations > others and live.sources == 0:  # noqa: ASYNC110
                    await asyncio.sleep(0)
                for _ in range(turn // 3):
                    await asyncio.sleep(0 if turn % 3 == 1 else 0.0002)
                leaving.cancel()
                await asyncio.gather(leaving, return_exceptions=True)
            for task in staying:
                task.cancel()
            await asyncio.gather(*staying, return_exceptions=True)
            while live.operations or live.sources or repository.watches.metrics().watches:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            while asyncio.all_tasks() != before:  # noqa: ASYNC110 - the reader of changes ends by itself
                await asyncio.sleep(0.01)
    assert repository.database.connections_in_use == 0
