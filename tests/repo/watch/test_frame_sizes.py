"""Frames are bounded by size, and a stream resumes after the cursor of each."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette

from repo import (
    ActionError,
    ActionPhase,
    ActionRepo,
    ErrorKind,
    Frame,
    FrameKind,
    RunIdentifier,
)
from repo.domain.cursors import parse_watch_cursor
from repo.sql.paging import Keyset
from repo.tables import action_events
from repo.watch import mailboxes as mailboxes_module
from repo.watch import stream as stream_module
from tests.support.making import (
    RUN,
    action,
    at,
    event,
    make_run,
    new,
)
from tests.support.serving import serving
from tests.support.sockets import connected

SECONDS = 60
MOST = 10_000
LONG = "x" * 3_000
RUN_ID = '{project: "etl", domain: "production", name: "nightly-1"}'

Watch = Callable[..., AsyncGenerator[Frame[Any], None]]


@pytest.fixture(autouse=True)
def small_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module, "MAX_BYTES", MOST)


async def take(stream: AsyncGenerator[Frame[Any], None], last: FrameKind, count: int = 0) -> list[Frame[Any]]:
    """Reads frames up to one of this kind, or changes up to this number of rows."""
    taken: list[Frame[Any]] = []
    async with asyncio.timeout(SECONDS):
        while not taken or taken[-1].kind is not last or sum(len(each.items) for each in taken) < count:
            taken.append(await anext(stream))
    return taken


def size_of(frame: Frame[Any]) -> int:
    return sum(len(json.dumps([x.spec, x.state])) if hasattr(x, "spec") else len(LONG) for x in frame.items)


def names_of(taken: list[Frame[Any]]) -> list[Any]:
    return [getattr(item, "version", None) or item.name for frame in taken for item in frame.items]


async def make_long_runs(repository: ActionRepo, count: int) -> None:
    for number in range(count):
        run = RunIdentifier("etl", "production", f"r{number:02}")
        await repository.create_action(new(run=run))
        error = ActionError(ErrorKind.USER, LONG)
        await repository.insert_events([event(run=run, phase=ActionPhase.FAILED, error=error)])
        await repository.update_action_phase(action(run=run), ActionPhase.FAILED, 1)


async def check_snapshot(watch: Watch, names: list[Any]) -> None:
    """Asserts that the snapshot has these rows in small frames, and resumes after each."""
    async with aclosing(watch()) as stream:
        taken = await take(stream, FrameKind.SYNCED)
    assert names_of(taken) == names
    assert all(size_of(frame) <= MOST + len(LONG) for frame in taken)
    assert len(taken) > len(names) // 4
    for number, frame in enumerate(taken[:-1]):
        async with aclosing(watch(after=frame.cursor)) as stream:
            if number < len(taken) - 2:  # behind the last one nothing is missing
                assert names_of(await take(stream, FrameKind.SYNCED)) == names_of(taken[number + 1 :])


async def test_a_snapshot_of_large_actions_comes_in_small_frames(repository: ActionRepo) -> None:
    children = [new(f"t{number:02}", "a0", spec={"text": LONG}) for number in range(60)]
    await repository.actions.create([new(), *children])
    names = ["a0", *(child.id.name for child in children)]
    await check_snapshot(lambda **arguments: repository.watch_all_action_updates(RUN, **arguments), names)


async def test_a_snapshot_of_runs_with_large_errors_has_the_requested_size(
    repository: ActionRepo,
) -> None:
    await make_long_runs(repository, 25)
    names = [f"r{number:02}" for number in range(24, 4, -1)]
    await check_snapshot(lambda **arguments: repository.watch_all_run_updates(first=20, **arguments), names)


async def test_a_snapshot_of_large_events_comes_in_small_frames(repository: ActionRepo) -> None:
    await make_run(repository)
    made = [event(version=number, seconds=number, outputs=LONG) for number in range(1, 61)]
    await repository.insert_events(made)
    await check_snapshot(partial(repository.watches.watch_events, RUN), list(range(1, 61)))


async def test_a_snapshot_of_events_starts_again_if_another_version_began_it(repository: ActionRepo) -> None:
    await make_run(repository)
    await repository.insert_events([event(version=number, outputs=LONG) for number in range(1, 61)])
    async with aclosing(repository.watches.watch_events(RUN)) as stream:
        cursor = parse_watch_cursor((await anext(stream)).cursor)
    assert cursor is not None
    assert cursor.page is not None
    of_another = Keyset("EVENT_TIME", action_events.c.occurred_at, False, ()).cursor([at(1)])
    resumed = repository.watches.watch_events(RUN, after=str(replace(cursor, page=of_another)))
    async with aclosing(resumed):
        frames = await take(resumed, FrameKind.SYNCED)
    assert frames[0].kind is FrameKind.RESYNC
    assert names_of(frames) == list(range(1, 61))


async def test_changes_of_large_rows_come_in_small_frames(repository: ActionRepo) -> None:
    await make_run(repository)
    rows, events = repository.watch_all_action_updates(RUN), repository.watches.watch_events(RUN)
    async with aclosing(rows), aclosing(events):
        await take(rows, FrameKind.SYNCED)
        synced = (await take(events, FrameKind.SYNCED))[-1]
        await repository.actions.create([new(f"t{n:02}", "a0", spec=LONG) for n in range(20)])
        changed = await take(rows, FrameKind.CHANGE, 20)
        assert sorted(names_of(changed)) == [f"t{n:02}" for n in range(20)]
        await repository.insert_events([event(version=n, seconds=n, info=LONG) for n in range(1, 21)])
        happened = await take(events, FrameKind.CHANGE, 20)
        assert names_of(happened) == list(range(1, 21))
        for taken in (changed, happened):
            assert len(taken) >= 6
            assert all(size_of(frame) <= MOST + len(LONG) for frame in taken)
            # Until all changes of a poll were sent, a cursor resumes before them.
            assert len({frame.cursor for frame in taken[:-1]}) == 1
        assert {frame.cursor for frame in happened[:-1]} == {synced.cursor}
    for cursor, expected in ((happened[0].cursor, list(range(1, 21))), (happened[-1].cursor, [99])):
        async with aclosing(repository.watches.watch_events(RUN, after=cursor)) as stream:
            await repository.insert_events([event(version=99)])
            assert names_of(await take(stream, FrameKind.CHANGE, len(expected)))[: len(expected)] == expected


async def test_many_states_come_in_frames_of_few_rows(
    repository: ActionRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("repo.watch.stream.MAX_ROWS", 3)
    await make_run(repository, **{f"t{number}": "a0" for number in range(10)})
    async with aclosing(repository.watch_state_updates(RUN)) as stream:
        synced = (await take(stream, FrameKind.SYNCED))[-1]
        waiting = asyncio.create_task(take(stream, FrameKind.CHANGE, 10))
        for number in range(10):
            await repository.update_action_state(action(f"t{number}"), "x")
        taken = await waiting
    assert all(len(frame.items) <= 3 for frame in taken)
    async with aclosing(repository.watch_state_updates(RUN, synced.cursor)) as stream:
        again = await take(stream, FrameKind.CHANGE, 10)
    assert {item.name for frame in again for item in frame.items} == {f"t{number}" for number in range(10)}
    assert [len(frame.items) for frame in again] == [3, 3, 3, 1]
    assert {frame.cursor for frame in again[:-1]} == {synced.cursor}


async def test_a_mailbox_of_large_rows_overflows_by_its_size(
    repository: ActionRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailboxes_module, "MAX_PENDING_BYTES", 20_000)
    await make_run(repository, b="a0")
    rows, events = repository.watch_all_action_updates(RUN), repository.watches.watch_events(RUN)
    async with aclosing(rows), aclosing(events):
        await take(rows, FrameKind.SYNCED)
        await take(events, FrameKind.SYNCED)
        # The same row again and again is kept once.
        for number in range(10):
            await repository.update_action_state(action("b"), f"{number}{LONG}")
            await repository.watches.hub.poll()
        assert [item.state for item in (await anext(rows)).items] == [f"9{LONG}"]
        await repository.actions.create([new(f"t{n}", "a0", spec=LONG) for n in range(10)])
        await repository.insert_events([event(version=n, seconds=n, info=LONG) for n in range(1, 11)])
        await repository.watches.hub.poll()
        assert repository.watches.metrics().pending == 0
        assert (await anext(rows)).kind is FrameKind.RESYNC
        assert len(names_of(await take(rows, FrameKind.SYNCED))) == 12
        assert names_of(await take(events, FrameKind.CHANGE, 10)) == list(range(1, 11))


async def test_no_message_of_a_websocket_or_a_stream_of_events_is_large(
    app: Starlette, repository: ActionRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_module, "MAX_BYTES", 100_000)
    await repository.actions.create([new(), *(new(f"t{n:02}", "a0", spec="x" * 30_000) for n in range(60))])
    query = f"subscription {{ actions(run: {RUN_ID}) {{ kind actions {{ name spec }} }} }}"
    with serving(app) as url:
        async with connected(f"{url}/graphql", max_size=150_000) as socket:
            await socket.subscribe("1", query)
            names: list[str] = []
            while (frame := await socket.data("1"))["kind"] == "SNAPSHOT":
                names += [each["name"] for each in frame["actions"]]
        sizes, accept = [], {"accept": "text/event-stream"}
        async with (
            httpx2.AsyncClient(base_url=url) as client,
            client.stream("POST", "/graphql", json={"query": query}, headers=accept) as response,
        ):
            async for line in response.aiter_lines():
                sizes.append(len(line))
                if "SYNCED" in line:
                    break
    assert names == ["a0", *(f"t{n:02}" for n in range(60))]
    assert max(sizes) < 150_000
    assert sum(sizes) > 60 * 30_000
