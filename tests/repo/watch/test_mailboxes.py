"""The costs of streams, and what is kept for slow readers."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import TypeVar

import pytest

from repo import ActionPhase, ActionRepo, Frame, FrameKind
from repo.watch import event_streams as event_streams_module
from repo.watch import feed as feed_module
from repo.watch import mailboxes as mailboxes_module
from repo.watch import stream as stream_module
from tests.support.making import (
    RUN,
    action,
    event,
    make_run,
    new,
    update,
)
from tests.support.statements import recorded

T = TypeVar("T")
SECONDS = 40


@asynccontextmanager
async def synced(stream: AsyncGenerator[Frame[T], None]) -> AsyncIterator[AsyncGenerator[Frame[T], None]]:
    """The stream after its snapshot."""
    async with aclosing(stream), asyncio.timeout(SECONDS):
        while (await anext(stream)).kind is not FrameKind.SYNCED:
            pass
        yield stream


def pending(repository: ActionRepo) -> int:
    """Pending entries of all mailboxes."""
    return repository.watches.metrics().pending


async def all_seen(repository: ActionRepo) -> None:
    """Returns when everything written so far is in the mailboxes."""
    await repository.watches.hub.poll()


async def cost_of_a_change(repository: ActionRepo, watchers: int, name: str) -> int:
    """The number of statements for one change with this number of streams, without the write."""
    async with AsyncExitStack() as stack:
        streams = [
            await stack.enter_async_context(synced(repository.watch_all_action_updates(RUN)))
            for _ in range(watchers)
        ]
        await repository.create_action(new(name, "a0"))
        for stream in streams:
            assert (await anext(stream)).items[0].name == name
        await asyncio.sleep(0.1)
        with recorded(repository.database, polling=True) as polls:
            await all_seen(repository)
        with recorded(repository.database, polling=True) as statements:
            await repository.update_action_phase(action(name), ActionPhase.RUNNING, 1)
            written = len(statements)
            await asyncio.gather(*(anext(stream) for stream in streams))
        return (len(statements) - written) // len(polls)


async def test_a_change_costs_the_same_for_one_stream_as_for_many(repository: ActionRepo) -> None:
    await make_run(repository)
    alone = await cost_of_a_change(repository, 1, "alone")
    crowded = await cost_of_a_change(repository, 50, "crowded")
    # Polls: for the notification, and perhaps a periodic one.
    assert alone <= 2
    assert crowded <= 2


async def test_a_replica_without_streams_reads_nothing(repository: ActionRepo) -> None:
    await make_run(repository)
    async with synced(repository.watch_all_action_updates(RUN)):
        pass
    reader = repository.watches.hub._reader
    assert reader is not None
    async with asyncio.timeout(SECONDS):
        await asyncio.wait([reader])  # it notices at its next look that nobody is left
    with recorded(repository.database, polling=True) as statements:
        await asyncio.sleep(2.2)
    assert statements == []


async def test_a_slow_reader_has_one_entry_per_row_and_gets_the_latest(repository: ActionRepo) -> None:
    await make_run(repository, b="a0")
    async with synced(repository.watch_all_action_updates(RUN)) as stream:
        for phase in (ActionPhase.INITIALIZING, ActionPhase.RUNNING, ActionPhase.SUCCEEDED):
            await repository.update_action_phase(action("b"), phase, 1)
            await all_seen(repository)
            assert pending(repository) == 1
        (found,) = (await anext(stream)).items
        assert found.phase is ActionPhase.SUCCEEDED


async def test_a_slow_reader_does_not_delay_others(repository: ActionRepo) -> None:
    await make_run(repository, b="a0")
    watch = repository.watch_all_action_updates
    async with synced(watch(RUN)) as slow, synced(watch(RUN)) as quick:
        for attempt in range(1, 6):
            await repository.update_action_phase(action("b"), ActionPhase.RUNNING, attempt)
            (found,) = (await anext(quick)).items
            assert found.attempts == attempt
        assert (await anext(slow)).items == [found]


async def test_an_overflowed_mailbox_restarts_and_misses_nothing(
    repository: ActionRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailboxes_module, "MAX_PENDING", 10)
    await make_run(repository)
    async with synced(repository.watch_all_action_updates(RUN)) as stream:
        await repository.actions.create([new(f"t{number}", "a0") for number in range(20)])
        await all_seen(repository)
        assert pending(repository) == 0
        assert (await anext(stream)).kind is FrameKind.RESYNC
        snapshot = await anext(stream)
        assert snapshot.kind is FrameKind.SNAPSHOT
        assert len(snapshot.items) == 21
        assert (await anext(stream)).kind is FrameKind.SYNCED
        await repository.update_action_phase(action("t7"), ActionPhase.RUNNING, 1)
        assert [item.name for item in (await anext(stream)).items] == ["t7"]
    assert repository.watches.metrics().counts.resyncs == 1


async def test_overflowed_events_are_read_from_the_database_once(
    repository: ActionRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailboxes_module, "MAX_PENDING", 10)
    await make_run(repository)
    versions: list[int] = []
    async with synced(repository.watches.watch_events(RUN)) as stream:
        for start in range(0, 60, 15):
            await repository.insert_events([event(version=start + number) for number in range(15)])
            await all_seen(repository)
            assert pending(repository) == 0
            while start == 30 and len(versions) < 45:
                versions += [item.version for item in (await anext(stream)).items]
        while len(versions) < 60:
            versions += [item.version for item in (await anext(stream)).items]
        await repository.insert_events([event(version=60)])
        versions += [item.version for item in (await anext(stream)).items]
    assert sorted(versions) == list(range(61))


async def test_missed_events_are_read_in_slices_each_once(
    repository: ActionRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slices end between transactions, pages anywhere; only the last frame of all moves the cursor."""
    monkeypatch.setattr(event_streams_module, "SLICE", 7)
    monkeypatch.setattr(stream_module, "MAX_ROWS", 4)
    await make_run(repository, b="a0")
    watch = repository.watches.watch_events(RUN)
    async with synced(watch):
        before = watch.cursor
    transactions = (1, 3, 20, 1, 8, 7, 7, 2)
    seen: list[tuple[int, int]] = []
    cursors: list[str] = []
    for number, count in enumerate(transactions):
        name = "b" if number % 2 else "a0"
        await repository.insert_events([event(name, attempt=number, version=v) for v in range(count)])
    async with aclosing(repository.watches.watch_events(RUN, after=before)) as stream:
        while len(seen) < sum(transactions):
            frame = await anext(stream)
            assert frame.kind is FrameKind.CHANGE
            seen += [(item.attempt, item.version) for item in frame.items]
            cursors.append(frame.cursor)
    assert seen == [(number, v) for number, count in enumerate(transactions) for v in range(count)]
    assert set(cursors[:-1]) == {before}
    assert cursors[-1] != before
    of_one = repository.watches.watch_events(RUN, "b", 1, after=before)
    async with aclosing(of_one):
        assert [item.version for item in (await anext(of_one)).items] == [0, 1, 2]
    async with aclosing(repository.watches.watch_events(RUN, after=cursors[-1])) as stream:
        await repository.insert_events([event("b", version=99)])
        assert [item.version for item in (await anext(stream)).items] == [99]


async def test_overflowed_states_cause_a_resync(
    repository: ActionRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailboxes_module, "MAX_PENDING", 2)
    await make_run(repository, b="a0", c="a0", d="a0")
    async with synced(repository.watch_state_updates(RUN)) as stream:
        for name in ("b", "c", "d"):
            await repository.update_action_state(action(name), "x")
        await all_seen(repository)
        assert [(await anext(stream)).kind, (await anext(stream)).kind] == [
            FrameKind.RESYNC,
            FrameKind.SYNCED,
        ]
        await repository.update_action_state(action("b"), "y")
        assert [item.name for item in (await anext(stream)).items] == ["b"]


async def test_more_changes_than_one_poll_reads_are_not_lost(
    repository: ActionRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "MAX_CHANGES", 10)
    await make_run(repository)
    watch, events = repository.watch_all_action_updates(RUN), repository.watches.watch_events(RUN)
    async with synced(watch) as rows, synced(events) as happened:
        await repository.actions.create([new(f"t{number}", "a0") for number in range(15)])
        await repository.insert_events([event(version=number) for number in range(15)])
        held: set[str] = set()
        while len(held) < 16:
            held |= {item.name for item in (await anext(rows)).items}
        versions: list[int] = []
        while len(versions) < 15:
            versions += [item.version for item in (await anext(happened)).items]
        assert sorted(versions) == list(range(15))
        await repository.actions.update_phases([update("t3", ActionPhase.RUNNING)])
        async with asyncio.timeout(SECONDS):
            while not any(i.phase is ActionPhase.RUNNING for i in (await anext(rows)).items):
                pass
