"""Subscriptions over the schema: the current state, then every change, with what is selected."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial
from inspect import getsource
from typing import Any, cast

import pytest
from starlette.applications import Starlette

from graph.auth.caller import ANONYMOUS
from graph.context import Context
from graph.execution import CURSOR
from graph.limits.documents import Limits
from graph.schema.build import Schema, build_schema
from graph.schema.subscription import Subscription
from repo import ActionPhase, ActionRepo, LogLevel, NewLogLine, Pruned, RunIdentifier
from repo.watch.stream import MAX_ROWS
from tests.support.making import (
    ADA,
    RUN,
    action,
    event,
    make_run,
    new,
    update,
)
from tests.support.serving import serving
from tests.support.sockets import connected

SECONDS = 40
RUN_ID = '{project: "etl", domain: "production", name: "nightly-1"}'
A0_ID = '{project: "etl", domain: "production", runName: "nightly-1", name: "a0"}'


@pytest.fixture(scope="module")
def schema() -> Schema:
    return build_schema(Limits(depth=15, aliases=20, tokens=1000, cost=10**6, page=1000))


class Stream:
    """The results of one subscription; each has to arrive within SECONDS."""

    def __init__(self, results: AsyncGenerator[Any, None]) -> None:
        self._results = results
        self._arrived: asyncio.Queue[Any] = asyncio.Queue()

    async def read(self) -> None:
        async for result in self._results:
            self._arrived.put_nowait(result)
        self._arrived.put_nowait(None)

    async def _next(self) -> Any:
        return await asyncio.wait_for(self._arrived.get(), SECONDS)

    async def next(self) -> dict[str, Any]:
        result = await self._next()
        assert not result.errors, result.errors
        (value,) = result.data.values()
        found: dict[str, Any] = value
        return found

    async def error(self) -> dict[str, Any]:
        (error,) = (await self._next()).errors
        extensions: dict[str, Any] = error.extensions
        return extensions

    async def ends(self) -> bool:
        return await self._next() is None

    async def stays_quiet(self) -> None:
        await asyncio.sleep(0.3)
        assert self._arrived.empty()


@asynccontextmanager
async def watching(schema: Schema, repository: ActionRepo, query: str) -> AsyncIterator[Stream]:
    context = Context(repository, ANONYMOUS, 1000)
    results: Any = await schema.subscribe(query, context_value=context)
    stream = Stream(results)
    reading = asyncio.create_task(stream.read())
    try:
        yield stream
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await results.aclose()


async def test_a_run_is_sent_at_once_and_after_each_change(schema: Schema, repository: ActionRepo) -> None:
    await make_run(repository)
    query = f"subscription {{ run(id: {RUN_ID}, untilTerminal: true) {{ name phase revision }} }}"
    async with watching(schema, repository, query) as stream:
        first = await stream.next()
        assert (first["name"], first["phase"]) == ("nightly-1", "QUEUED")
        await repository.update_action_phase(action(), ActionPhase.RUNNING, 1)
        second = await stream.next()
        assert second["phase"] == "RUNNING"
        assert second["revision"] > first["revision"]
        await repository.update_action_phase(action(), ActionPhase.SUCCEEDED, 1)
        assert (await stream.next())["phase"] == "SUCCEEDED"
        assert await stream.ends()


async def test_a_run_that_has_ended_is_sent_once(schema: Schema, repository: ActionRepo) -> None:
    await make_run(repository)
    await repository.abort_run(RUN, None, ADA)
    query = f"subscription {{ run(id: {RUN_ID}, untilTerminal: true) {{ phase }} }}"
    async with watching(schema, repository, query) as stream:
        assert await stream.next() == {"phase": "ABORTED"}
        assert await stream.ends()


async def test_a_progress_bar_follows_the_descendants(schema: Schema, repository: ActionRepo) -> None:
    await make_run(repository, b="a0", c="b")
    counts = "phaseCounts { phase count }"
    async with (
        watching(schema, repository, f"subscription {{ run(id: {RUN_ID}) {{ {counts} }} }}") as run,
        watching(schema, repository, f"subscription {{ action(id: {A0_ID}) {{ {counts} }} }}") as root,
        watching(schema, repository, f"subscription {{ runs {{ kind runs {{ {counts} }} }} }}") as runs,
        watching(schema, repository, f"subscription {{ run(id: {RUN_ID}) {{ phase }} }}") as plain,
    ):
        assert await run.next() == {"phaseCounts": [{"phase": "QUEUED", "count": 3}]}
        assert await root.next() == {"phaseCounts": [{"phase": "QUEUED", "count": 2}]}
        assert [(await runs.next())["kind"] for _ in range(2)] == ["SNAPSHOT", "SYNCED"]
        await plain.next()
        await repository.update_action_phase(action("c"), ActionPhase.RUNNING, 1)
        assert {"phase": "RUNNING", "count": 1} in (await run.next())["phaseCounts"]
        assert {"phase": "RUNNING", "count": 1} in (await root.next())["phaseCounts"]
        assert {"phase": "RUNNING", "count": 1} in (await runs.next())["runs"][0]["phaseCounts"]
        await plain.stays_quiet()


@pytest.mark.parametrize("is_compiled", [False, True])
async def test_dependencies_come_with_an_action_that_is_watched(
    schema: Schema, app: Starlette, repository: ActionRepo, is_compiled: bool
) -> None:
    await repository.actions.create([new(), new("b", "a0", dependencies=("c", "a"))])
    b_id = A0_ID.replace("a0", "b")
    queries = (
        f"subscription {{ action(id: {b_id}) {{ phase dependencies }} }}",
        f"subscription {{ actions(run: {RUN_ID}) {{ kind actions {{ dependencies phase }} }} }}",
    )
    async with AsyncExitStack() as stack:
        if is_compiled:
            url = stack.enter_context(serving(app)) + "/graphql"
            sockets = [await stack.enter_async_context(connected(url)) for _ in queries]
            for socket, query in zip(sockets, queries, strict=True):
                await socket.subscribe("a", query)
            nexts: list[Callable[[], Awaitable[Any]]] = [partial(socket.data, "a") for socket in sockets]
        else:
            streams = [
                await stack.enter_async_context(watching(schema, repository, query)) for query in queries
            ]
            nexts = [stream.next for stream in streams]
        one, all_of_them = nexts
        assert await one() == {"phase": "QUEUED", "dependencies": ["c", "a"]}
        assert await all_of_them() == {
            "kind": "SNAPSHOT",
            "actions": [
                {"dependencies": [], "phase": "QUEUED"},
                {"dependencies": ["c", "a"], "phase": "QUEUED"},
            ],
        }
        assert (await all_of_them())["kind"] == "SYNCED"
        await repository.update_action_phase(action("b"), ActionPhase.RUNNING, 1)
        assert await one() == {"phase": "RUNNING", "dependencies": ["c", "a"]}
        change = await all_of_them()
        assert change["actions"] == [{"dependencies": ["c", "a"], "phase": "RUNNING"}]


async def test_events_count_as_changes_if_they_are_selected(schema: Schema, repository: ActionRepo) -> None:
    await make_run(repository, b="a0")
    with_events = f"""subscription {{ actions(run: {RUN_ID}) {{
                  kind actions {{ name latestEvent(attempt: 1) {{ phase }} }} }} }}"""
    plain = f"subscription {{ actions(run: {RUN_ID}) {{ kind actions {{ name }} }} }}"
    async with (
        watching(schema, repository, with_events) as event_stream,
        watching(schema, repository, plain) as quiet,
    ):
        for stream in (event_stream, quiet):
            assert [(await stream.next())["kind"] for _ in range(2)] == ["SNAPSHOT", "SYNCED"]
        await repository.insert_events([event("b", ActionPhase.RUNNING)])
        assert await event_stream.next() == {
            "kind": "CHANGE",
            "actions": [{"name": "b", "latestEvent": {"phase": "RUNNING"}}],
        }
        await quiet.stays_quiet()


async def test_ids_of_rows_that_leave_the_filter_are_sent(schema: Schema, repository: ActionRepo) -> None:
    await make_run(repository)
    query = """subscription { runs(filter: {phases: [QUEUED], project: "etl"}) {
                 kind runs { id name } removed cursor } }"""
    async with watching(schema, repository, query) as stream:
        snapshot = await stream.next()
        (run,) = snapshot["runs"]
        assert (await stream.next())["kind"] == "SYNCED"
        await make_run(repository, RunIdentifier("other", "production", "stranger"))
        await repository.abort_run(RUN, None, ADA)
        change = await stream.next()
        assert (change["kind"], change["runs"], change["removed"]) == ("CHANGE", [], [run["id"]])


async def test_a_stream_resumes_after_its_cursor(schema: Schema, repository: ActionRepo) -> None:
    await make_run(repository)
    query = "subscription { runs(after: %s) { kind runs { name phase } cursor } }"
    async with watching(schema, repository, query % "null") as stream:
        await stream.next()
        cursor = (await stream.next())["cursor"]
    await repository.update_action_phase(action(), ActionPhase.RUNNING, 1)
    async with watching(schema, repository, query % f'"{cursor}"') as stream:
        change = await stream.next()
        assert (change["kind"], change["runs"]) == ("CHANGE", [{"name": "nightly-1", "phase": "RUNNING"}])
        cursor = change["cursor"]
    async with watching(schema, repository, query % f'"{cursor}"') as stream:
        await stream.stays_quiet()
    async with watching(schema, repository, query % '"nonsense"') as stream:
        assert [(await stream.next())["kind"] for _ in range(3)] == ["RESYNC", "SNAPSHOT", "SYNCED"]


async def test_events_are_sent_once_and_resume_after_a_cursor(schema: Schema, repository: ActionRepo) -> None:
    await make_run(repository, b="a0")
    await repository.insert_events([event(version=0), event("b", version=0)])
    query = "subscription { events(run: %s%s) { kind events { version action { name } } cursor } }"
    async with watching(schema, repository, query % (RUN_ID, "")) as stream:
        snapshot = await stream.next()
        assert sorted(x["action"]["name"] for x in snapshot["events"]) == ["a0", "b"]
        assert (await stream.next())["kind"] == "SYNCED"
        await repository.insert_events([event(version=0), event(version=1)])
        change = await stream.next()
        assert change["events"] == [{"version": 1, "action": {"name": "a0"}}]
    await repository.insert_events([event("b", version=2), event(version=2)])
    rest = f', actionName: "a0", after: "{change["cursor"]}"'
    async with watching(schema, repository, query % (RUN_ID, rest)) as stream:
        assert (await stream.next())["events"] == [{"version": 2, "action": {"name": "a0"}}]
        await stream.stays_quiet()


async def test_states_that_are_set_or_notified_are_sent(schema: Schema, repository: ActionRepo) -> None:
    await make_run(repository, b="a0")
    query = f"subscription {{ actionStates(run: {RUN_ID}) {{ kind actions {{ runName name }} cursor }} }}"
    async with watching(schema, repository, query) as stream:
        assert (await stream.next())["kind"] == "SYNCED"
        await repository.update_action_state(action("b"), "x")
        assert (await stream.next())["actions"] == [{"runName": "nightly-1", "name": "b"}]
        await repository.update_action_phase(action("b"), ActionPhase.RUNNING, 1)
        await stream.stays_quiet()
        await repository.notify_state_update(action())
        frame = await stream.next()
        assert frame["actions"] == [{"runName": "nightly-1", "name": "a0"}]
    await repository.update_action_state(action("b"), "y")
    await repository.update_action_phase(action("b"), ActionPhase.SUCCEEDED, 1)
    resumed = query.replace(f"run: {RUN_ID}", f'run: {RUN_ID}, after: "{frame["cursor"]}"')
    async with watching(schema, repository, resumed) as stream:
        assert (await stream.next())["actions"] == [{"runName": "nightly-1", "name": "b"}]


async def test_the_actions_of_a_large_run_are_sent_in_pages_parents_first(
    schema: Schema, repository: ActionRepo
) -> None:
    await repository.actions.create([new(), *(new(f"t{i:04}", "a0") for i in range(1200))])
    query = f"subscription {{ actions(run: {RUN_ID}) {{ kind actions {{ name }} }} }}"
    async with watching(schema, repository, query) as stream:
        frames = [await stream.next()]
        while frames[-1]["kind"] == "SNAPSHOT":
            frames.append(await stream.next())
    assert frames[-1]["kind"] == "SYNCED"
    assert all(len(frame["actions"]) <= MAX_ROWS for frame in frames)
    assert len(frames) > 3
    names = [x["name"] for frame in frames for x in frame["actions"]]
    assert names == ["a0", *(f"t{i:04}" for i in range(1200))]


@pytest.mark.parametrize(
    "query",
    [
        f"subscription {{ run(id: {RUN_ID}) {{ name }} }}",
        f"subscription {{ action(id: {A0_ID}) {{ name }} }}",
        f"subscription {{ actions(run: {RUN_ID}) {{ kind }} }}",
        f"subscription {{ events(run: {RUN_ID}) {{ kind }} }}",
        f"subscription {{ logLines(action: {A0_ID}, attempt: 1) {{ kind }} }}",
    ],
)
async def test_watching_a_missing_object_is_an_error(
    schema: Schema, repository: ActionRepo, query: str
) -> None:
    async with watching(schema, repository, query) as stream:
        assert (await stream.error())["code"] == "NOT_FOUND"


async def test_watching_the_events_of_a_missing_action_is_an_error(
    schema: Schema, repository: ActionRepo
) -> None:
    await make_run(repository)
    query = f'subscription {{ events(run: {RUN_ID}, actionName: "nope") {{ kind }} }}'
    async with watching(schema, repository, query) as stream:
        assert (await stream.error())["code"] == "NOT_FOUND"


async def test_a_log_is_followed_and_resumed_after_a_number(schema: Schema, repository: ActionRepo) -> None:
    await make_run(repository)
    await repository.logs.append(action(), [NewLogLine(f"line {n}") for n in (1, 2, 3)])
    fields = (
        "kind lines { number text level stream } omitted { first last } end lineCount byteCount firstError"
    )
    query = f"subscription {{ logLines(action: {A0_ID}, attempt: 1, last: 2) {{ {fields} }} }}"
    async with watching(schema, repository, query) as stream:
        first = await stream.next()
        assert (first["kind"], [line["text"] for line in first["lines"]]) == (
            "SNAPSHOT",
            ["line 2", "line 3"],
        )
        assert (await stream.next())["kind"] == "SYNCED"
        await repository.logs.append(action(), [NewLogLine("bad", None, LogLevel.ERROR)], stream="stderr")
        assert await stream.next() == {
            "kind": "CHANGE",
            "lines": [{"number": 4, "text": "bad", "level": "ERROR", "stream": "stderr"}],
            "omitted": [],
            "end": 4,
            "lineCount": 4,
            "byteCount": 25,
            "firstError": 4,
        }
    resumed = query.replace("last: 2", 'after: 3, search: "BAD"')
    async with watching(schema, repository, resumed) as stream:
        frame = await stream.next()
        assert (frame["kind"], [line["number"] for line in frame["lines"]]) == ("CHANGE", [4])
    async with watching(schema, repository, query.replace("last: 2", "last: 1001")) as stream:
        assert (await stream.error())["code"] == "BAD_USER_INPUT"


async def test_a_stream_that_is_closed_leaves_nothing_behind(schema: Schema, repository: ActionRepo) -> None:
    await make_run(repository)
    await repository.actions.update_phases([update("a0", ActionPhase.RUNNING)])
    async with watching(schema, repository, "subscription { runs { kind } }") as stream:
        await stream.next()
        assert len(repository.watches.hub.mailboxes) == 1
    assert repository.watches.hub.mailboxes == frozenset()


async def test_removed_runs_are_sent_by_id_and_end_their_own_streams_with_not_found(
    schema: Schema, repository: ActionRepo
) -> None:
    await make_run(repository)
    await repository.update_action_phase(action(), ActionPhase.SUCCEEDED, 1)
    queries = [
        "subscription { runs { kind removed runs { id } } }",
        f"subscription {{ run(id: {RUN_ID}) {{ name }} }}",
        f"subscription {{ actions(run: {RUN_ID}) {{ kind }} }}",
        f"subscription {{ events(run: {RUN_ID}) {{ kind }} }}",
    ]
    async with AsyncExitStack() as stack:
        runs, run, actions, events = [
            await stack.enter_async_context(watching(schema, repository, query)) for query in queries
        ]
        id_ = (await runs.next())["runs"][0]["id"]
        assert (await run.next())["name"] == RUN.name
        for stream, last in ((runs, 1), (actions, 2), (events, 1)):
            assert [(await stream.next())["kind"] for _ in range(last)][-1] == "SYNCED"
        assert [done async for done in repository.pruning.prune(timedelta(0))] == [Pruned(1, 1)]
        assert await runs.next() == {"kind": "CHANGE", "removed": [id_], "runs": []}
        for stream in (run, actions, events):
            assert (await stream.error())["code"] == "NOT_FOUND"
            assert await stream.ends()


def test_every_subscription_is_followed_and_resumes_after_a_cursor() -> None:
    for field in cast(Any, Subscription).__strawberry_definition__.fields:
        source = getsource(field.base_resolver.wrapped_func)
        assert "info.context.follow(" in source, f"{field.name}: return info.context.follow(stream)"
        if "Run]" in source or "Action]" in source:
            assert "related_by(info)" in source, f"{field.name}: pass related_by(info) to the stream"
        if "after" in {argument.python_name for argument in field.arguments}:
            assert "info.context.resume_after or after" in source, f"{field.name}: resume a slow client"
            assert field.metadata.get(CURSOR) == "after", f"{field.name}: add _RESUMABLE to its metadata"
