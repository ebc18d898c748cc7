"""Streams of logs: each line once and in order, from any number, on any replica."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from datetime import timedelta

import pytest

from repo import (
    Access,
    ActionNotFound,
    ActionPhase,
    ActionRepo,
    FrameKind,
    Grant,
    LogFrame,
    LogGap,
    LogGapReason,
    LogLevel,
    LogQuery,
    NewLogLine,
    Role,
    Stream,
    open_repository,
)
from repo.watch import log_streams, log_tails
from tests.support.making import action, make_run, update
from tests.support.waiting import until

SECONDS = 40


async def append(repository: ActionRepo, start: int, end: int, attempt: int = 1) -> None:
    await repository.logs.append(action(), [NewLogLine(f"line {n}") for n in range(start, end + 1)], attempt)


class Reader:
    """What a stream has sent, checked to be in order and complete but for gaps."""

    def __init__(self, stream: Stream[LogFrame], after: int = 0) -> None:
        self._stream = stream
        self.numbers: list[int] = []
        self.texts: list[str] = []
        self.kinds: list[FrameKind] = []
        self.gaps: list[LogGap] = []
        self.end = after

    async def until(self, done: Callable[[], bool]) -> "Reader":
        async with asyncio.timeout(SECONDS):
            while not done():
                await self.next()
        return self

    async def next(self) -> LogFrame:
        frame = await asyncio.wait_for(anext(self._stream), SECONDS)
        self.kinds.append(frame.kind)
        if frame.kind is FrameKind.RESYNC:
            self.numbers, self.texts, self.gaps = [], [], []
        assert len(frame.lines) <= 500
        assert frame.end >= self.end or frame.kind is FrameKind.RESYNC
        self.numbers += [line.number for line in frame.lines]
        self.texts += [line.text for line in frame.lines]
        self.gaps += frame.omitted
        self.end = frame.end
        return frame

    async def up_to(self, number: int) -> list[int]:
        await self.until(lambda: self.end >= number and FrameKind.SYNCED in self.kinds)
        return self.numbers


@pytest.fixture
async def logged(repository: ActionRepo) -> ActionRepo:
    await make_run(repository, b="a0")
    return repository


@pytest.fixture
async def replica(logged: ActionRepo, database_url: str) -> AsyncIterator[ActionRepo]:
    """Another replica, without a bus: it polls once a second."""
    async with open_repository(database_url) as opened:
        yield opened


async def test_a_stream_begins_with_the_stored_lines_and_goes_on(logged: ActionRepo) -> None:
    await append(logged, 1, 1200)
    async with aclosing(logged.watches.watch_log(action(), 1)) as stream:
        reader = Reader(stream)
        assert await reader.up_to(1200) == [*range(1, 1201)]
        assert reader.kinds == [FrameKind.SNAPSHOT] * 3 + [FrameKind.SYNCED]
        await append(logged, 1201, 1203)
        frame = await reader.next()
        assert (frame.kind, [line.text for line in frame.lines]) == (
            FrameKind.CHANGE, ["line 1201", "line 1202", "line 1203"],
        )  # fmt: skip
        assert (frame.end, frame.summary.line_count) == (1203, 1203)
        await append(logged, 1, 1, attempt=2)
        await append(logged, 1204, 1204)
        assert [line.text for line in (await reader.next()).lines] == ["line 1204"]


async def test_the_last_lines_or_those_after_a_number_come_first(logged: ActionRepo) -> None:
    await append(logged, 1, 3000)
    async with aclosing(logged.watches.watch_log(action(), 1, last=10)) as stream:
        assert await Reader(stream).up_to(3000) == [*range(2991, 3001)]
    async with aclosing(logged.watches.watch_log(action(), 1, after=2500)) as stream:
        reader = await (reader := Reader(stream, 2500)).until(lambda: reader.end == 3000)
        assert reader.numbers == [*range(2501, 3001)]
        assert set(reader.kinds) == {FrameKind.CHANGE}
    async with aclosing(logged.watches.watch_log(action(), 1, after=3000)) as stream:
        reader = Reader(stream, 3000)
        following = asyncio.create_task(reader.next())
        await append(logged, 3001, 3001)
        assert [line.number for line in (await following).lines] == [3001]


async def test_a_log_that_has_not_begun_is_watched(logged: ActionRepo) -> None:
    async with aclosing(logged.watches.watch_log(action(), 1, last=10)) as stream:
        reader = Reader(stream)
        assert await reader.up_to(0) == []
        await append(logged, 1, 2)
        await reader.next()
        assert reader.numbers == [1, 2]


async def test_only_what_matches_is_sent(logged: ActionRepo) -> None:
    await append(logged, 1, 1100)
    query = LogQuery(search="LINE 109")
    async with aclosing(logged.watches.watch_log(action(), 1, query, last=3)) as stream:
        reader = Reader(stream)
        assert await reader.up_to(1100) == [1097, 1098, 1099]
        await logged.logs.append(action(), [NewLogLine("no"), NewLogLine("Line 109!", None, LogLevel.ERROR)])
        frame = await reader.next()
        assert ([line.number for line in frame.lines], frame.end) == ([1102], 1102)
        assert frame.summary.first_error == 1102


async def test_gaps_are_sent_where_they_are(logged: ActionRepo) -> None:
    await logged.logs.append(action(), [NewLogLine("one")], offset=0)
    async with aclosing(logged.watches.watch_log(action(), 1)) as stream:
        reader = Reader(stream)
        await reader.up_to(1)
        await logged.logs.append(action(), [NewLogLine("four")], offset=3)
        await reader.next()
        assert reader.numbers == [1, 4]
        assert reader.gaps == [LogGap(2, 3, LogGapReason.NOT_RECEIVED)]
    async with aclosing(logged.watches.watch_log(action(), 1)) as stream:
        assert await Reader(stream).up_to(4) == [1, 4]


@pytest.mark.parametrize("seed", range(3))
async def test_streams_are_exact_while_the_log_grows(
    logged: ActionRepo, replica: ActionRepo, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Streams begin at random moments on two replicas, stop and resume on either one; mailboxes are small, so
    that some overflow."""
    monkeypatch.setattr(log_tails, "MAX_LINES", 60)
    monkeypatch.setattr(log_streams, "SLICE", 70)
    dice, total = random.Random(seed), 3000

    async def grow() -> None:
        number = 1
        while number <= total:
            end = min(total, number + dice.choice((0, 1, 5, 40, 300)))
            await append(dice.choice((logged, replica)), number, end)
            number = end + 1
            await asyncio.sleep(dice.choice((0, 0.005, 0.03)))

    async def follow() -> None:
        await asyncio.sleep(dice.random() * 0.5)
        seen: list[int] = []
        while not seen or seen[-1] < total:
            after = seen[-1] if seen else 0
            watches = dice.choice((logged, replica)).watches
            async with aclosing(watches.watch_log(action(), 1, after=after)) as stream:
                reader, stop = Reader(stream, after), after + dice.randint(1, 1500)
                await reader.until(lambda: reader.end >= min(stop, total))  # noqa: B023
                seen += reader.numbers
        assert seen == [*range(1, total + 1)]

    await asyncio.gather(grow(), *(follow() for _ in range(8)))


async def test_many_streams_share_one_reader(logged: ActionRepo) -> None:
    readers: list[Reader] = []
    streams = [logged.watches.watch_log(action(), 1, last=1) for _ in range(50)]
    try:
        for stream in streams:
            readers.append(Reader(stream))
            await readers[-1].up_to(0)
        tails = logged.watches.tails
        before = tails.parts_read
        await append(logged, 1, 5)
        await asyncio.gather(*(reader.next() for reader in readers))
        assert all(reader.numbers == [1, 2, 3, 4, 5] for reader in readers)
        assert tails.parts_read == before + 1
    finally:
        for stream in streams:
            await stream.aclose()
    assert logged.watches.hub.mailboxes == frozenset()


async def test_a_log_wakes_no_stream_of_runs(logged: ActionRepo) -> None:
    async with aclosing(logged.watches.watch_all_run_updates()) as runs:
        while (await asyncio.wait_for(anext(runs), SECONDS)).kind is not FrameKind.SYNCED:
            pass
        change = asyncio.create_task(anext(runs))
        await append(logged, 1, 100)
        await logged.watches.hub.poll()
        assert runs.mailbox.is_empty
        await logged.update_action_phase(action(), ActionPhase.RUNNING, 1)
        assert [run.phase for run in (await asyncio.wait_for(change, SECONDS)).items] == [ActionPhase.RUNNING]


async def test_a_number_beyond_the_log_restarts_the_stream(logged: ActionRepo) -> None:
    await append(logged, 1, 5)
    async with aclosing(logged.watches.watch_log(action(), 1, after=100)) as stream:
        reader = Reader(stream)
        assert await reader.up_to(5) == [1, 2, 3, 4, 5]
        assert reader.kinds == [FrameKind.RESYNC, FrameKind.SNAPSHOT, FrameKind.SYNCED]


async def test_a_restore_restarts_the_stream(logged: ActionRepo) -> None:
    await append(logged, 1, 5)
    async with aclosing(logged.watches.watch_log(action(), 1)) as stream:
        reader = Reader(stream)
        await reader.up_to(5)
        await logged.database.invalidate_positions()
        await reader.until(lambda: reader.kinds[-1] is FrameKind.RESYNC)
        reader.kinds = []
        assert await reader.up_to(5) == [1, 2, 3, 4, 5]
        await append(logged, 6, 6)
        await reader.until(lambda: reader.numbers[-1] == 6)


async def test_the_removal_of_the_run_ends_the_stream(logged: ActionRepo) -> None:
    await append(logged, 1, 5)
    await logged.actions.update_phases([update("a0", ActionPhase.SUCCEEDED)])
    async with aclosing(logged.watches.watch_log(action(), 1)) as stream:
        reader = Reader(stream)
        await reader.up_to(5)
        async for _ in logged.pruning.prune(timedelta(0)):
            pass
        with pytest.raises(ActionNotFound):
            await reader.next()


async def test_only_who_may_read_the_action_watches_its_log(logged: ActionRepo) -> None:
    other = logged.on_behalf_of(Access(frozenset({Grant(Role.ADMIN, "other")})))
    for repository, name in ((other, "a0"), (logged, "missing")):
        async with aclosing(repository.watches.watch_log(action(name), 1)) as stream:
            with pytest.raises(ActionNotFound):
                await anext(stream)


async def test_the_reader_stops_with_the_last_stream(logged: ActionRepo) -> None:
    async with aclosing(logged.watches.watch_log(action(), 1)) as stream:
        await Reader(stream).up_to(0)
    tails = logged.watches.tails
    await until(lambda: not logged.watches.hub.on_notification)
    async with aclosing(logged.watches.watch_log(action(), 1)) as stream:
        reader = Reader(stream)
        await reader.up_to(0)
        await append(logged, 1, 1)
        await reader.next()
    assert tails.parts_read >= 1
