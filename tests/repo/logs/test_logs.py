"""Logs: exact under concurrent appends and repeats, in few chunks, searchable, within a quota."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from repo import (
    Access,
    ActionNotFound,
    ActionPhase,
    ActionRepo,
    Forbidden,
    Grant,
    InvalidArgument,
    LogGap,
    LogGapReason,
    LogLevel,
    LogLine,
    LogQuery,
    NewLogLine,
    Pruned,
    Role,
    open_repository,
)
from repo.actions import log_removal
from repo.domain.logs import MAX_LINE
from repo.logs import chunks
from repo.tables import log_chunks, log_heads
from tests.support.making import T0, action, at, make_run, update
from tests.support.statements import recorded

KIB = 1024
ALL_LINES = LogQuery()


def lines(*texts: str, level: LogLevel | None = None) -> list[NewLogLine]:
    return [NewLogLine(text, T0, level) for text in texts]


def numbered(start: int, end: int) -> list[NewLogLine]:
    return lines(*(f"line {number}" for number in range(start, end)))


async def read_all(
    repository: ActionRepo,
    attempt: int = 1,
    query: LogQuery = ALL_LINES,
    page: int = 1000,
) -> list[LogLine]:
    """All lines, forward in pages."""
    found: list[LogLine] = []
    after = 0
    while True:
        part = await repository.logs.page(action(), attempt, query, after=after, limit=page)
        found += part.lines
        if not part.has_more:
            return found
        assert part.end > after
        after = part.end


async def read_back(repository: ActionRepo, attempt: int = 1, page: int = 1000) -> list[LogLine]:
    """All lines, backward in pages."""
    found: list[LogLine] = []
    before: int | None = None
    while True:
        part = await repository.logs.page(action(), attempt, before=before, limit=page, backward=True)
        found = [*part.lines, *found]
        if not part.has_more:
            return found
        before = part.start


async def stored(repository: ActionRepo, what: Any) -> Any:
    async with repository.database.read() as connection:
        return await connection.scalar(select(what))


@pytest.fixture
async def logged(repository: ActionRepo) -> ActionRepo:
    await make_run(repository, b="a0")
    return repository


@pytest.fixture
async def small(database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ActionRepo]:
    """A repository with a quota of 20 KiB, and chunks of 1 KiB."""
    monkeypatch.setattr(chunks, "MAX_SIZE", KIB)
    monkeypatch.setattr("repo.logs.writer.MAX_SIZE", KIB)
    async with open_repository(database_url, log_quota=20 * KIB) as repository:
        await make_run(repository)
        yield repository


async def test_lines_come_back_as_they_were_appended(logged: ActionRepo) -> None:
    new = [
        NewLogLine("plain", at(1)),
        NewLogLine("\x1b[31mred\x1b[0m Grüße 🎉", at(0.123456), LogLevel.WARNING),
        NewLogLine("", at(3), LogLevel.ERROR),
    ]
    result = await logged.logs.append(action(), new, attempt=2, stream="stderr")
    assert (result.appended, result.next_offset, result.first_number, result.last_number) == (3, 3, 1, 3)
    page = await logged.logs.page(action(), 2)
    assert page.lines == [
        LogLine(number, "stderr", line.at or T0, line.level, line.text)
        for number, line in enumerate(new, start=1)
    ]
    assert (page.start, page.end, page.has_more, page.omitted) == (1, 3, False, [])
    assert (page.summary.line_count, page.summary.first_error) == (3, 3)
    assert page.summary.byte_count == sum(len(line.text.encode()) + 1 for line in new)
    assert (await logged.logs.page(action(), 1)).lines == [], "another attempt"
    assert (await logged.logs.page(action("b"), 2)).lines == [], "another action"


async def test_numbers_are_positions_over_all_streams(logged: ActionRepo) -> None:
    for count, stream in ((2, "stdout"), (1, "stderr"), (2, "stdout")):
        await logged.logs.append(action(), numbered(0, count), stream=stream)
    found = await read_all(logged)
    assert [(line.number, line.stream) for line in found] == [
        (1, "stdout"), (2, "stdout"), (3, "stderr"), (4, "stdout"), (5, "stdout"),
    ]  # fmt: skip
    assert [line.number for line in await read_all(logged, query=LogQuery(stream="stderr"))] == [3]
    summary = (await logged.logs.summaries([(action(), 1), (action(), 7)]))[action(), 1]
    assert [(each.name, each.next_offset) for each in summary.streams] == [("stdout", 4), ("stderr", 1)]


async def test_a_repeat_is_left_out_and_a_gap_is_counted(logged: ActionRepo) -> None:
    logs = logged.logs
    assert (await logs.append(action(), numbered(0, 5), offset=0)).appended == 5
    again = await logs.append(action(), numbered(0, 5), offset=0)
    assert (again.appended, again.repeated, again.next_offset, again.first_number) == (0, 5, 5, None)
    partly = await logs.append(action(), numbered(3, 8), offset=3)
    assert (partly.appended, partly.repeated, partly.first_number) == (3, 2, 6)
    later = await logs.append(action(), numbered(11, 13), offset=11)
    assert (later.appended, later.missing, later.next_offset, later.first_number) == (2, 3, 13, 12)
    page = await logs.page(action(), 1)
    assert [line.text for line in page.lines] == [f"line {n}" for n in (*range(8), 11, 12)]
    assert [line.number for line in page.lines] == [*range(1, 9), 12, 13]
    gap = LogGap(9, 11, LogGapReason.NOT_RECEIVED)
    assert page.omitted == [gap]
    assert (await logs.page(action(), 1, limit=8)).omitted == []
    assert (await logs.page(action(), 1, limit=1, backward=True)).omitted == []
    assert (await logs.page(action(), 1, limit=3, backward=True)).omitted == [gap]
    assert (await logs.append(action(), [], offset=100)).next_offset == 13, "no lines, no gap"


@pytest.mark.parametrize("seed", range(3))
async def test_concurrent_appenders_with_repeats_are_exact(
    database_url: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each stream is sent over two replicas, in calls of random sizes, some of them twice or from earlier."""
    monkeypatch.setattr(chunks, "MAX_SIZE", 4 * KIB)
    monkeypatch.setattr("repo.logs.writer.MAX_SIZE", 4 * KIB)
    dice = random.Random(seed)
    sent = {
        f"s{number}": [f"{number}:{n} " + "x" * dice.randint(0, 90) for n in range(400)]
        for number in range(4)
    }

    async def executor(stream: str, replicas: Sequence[ActionRepo]) -> None:
        offset, texts = 0, sent[stream]
        while offset < len(texts):
            start = max(0, offset - dice.choice((0, 0, 0, 7)))
            end = offset + dice.choice((1, 1, 2, 5, 60))
            calls = [
                dice.choice(replicas).logs.append(action(), lines(*texts[start:end]), 1, stream, start)
                for _ in range(dice.choice((1, 1, 2)))
            ]
            await asyncio.gather(*calls)
            offset = min(end, len(texts))

    async with open_repository(database_url) as one, open_repository(database_url) as two:
        await make_run(one)
        await asyncio.gather(*(executor(stream, (one, two)) for stream in sent))
        found = await read_all(two, page=dice.choice((7, 100, 1000)))
        assert [line.number for line in found] == list(range(1, 1601))
        for stream, texts in sent.items():
            assert [line.text for line in found if line.stream == stream] == texts
        assert await read_back(one, page=dice.choice((7, 100, 1000))) == found
        assert [each.text for each in await read_all(one, query=LogQuery(stream="s2"))] == sent["s2"]


async def test_many_small_appends_make_few_chunks(logged: ActionRepo) -> None:
    for number in range(300):
        await logged.logs.append(action(), numbered(number, number + 1))
    assert await stored(logged, func.count(log_chunks.c.first)) <= 10
    assert [line.text for line in await read_all(logged)] == [f"line {n}" for n in range(300)]
    size = await stored(logged, func.sum(log_chunks.c.size))
    assert (
        size == await stored(logged, log_heads.c.byte_count) == await stored(logged, log_heads.c.stored_bytes)
    )


async def test_beyond_the_quota_the_middle_is_removed(small: ActionRepo) -> None:
    total = 0
    for start in range(0, 4000, 100):
        result = await small.logs.append(action(), numbered(start, start + 100))
        total = start + 100
        assert await stored(small, log_heads.c.stored_bytes) <= 20 * KIB
        assert result.last_number == total
    assert result.is_truncated
    page = await small.logs.page(action(), 1, limit=5)
    (gap,) = page.omitted
    assert gap.reason is LogGapReason.QUOTA
    assert [line.number for line in page.lines] == [1, 2, 3, 4, 5]
    kept = [*range(1, gap.first), *range(gap.last + 1, total + 1)]
    found = await read_all(small, page=300)
    assert [line.number for line in found] == kept
    assert [line.text for line in found] == [f"line {number - 1}" for number in kept]
    assert await read_back(small, page=300) == found
    assert await stored(small, func.sum(log_chunks.c.size)) == await stored(small, log_heads.c.stored_bytes)
    first_part = sum(len(line.text) + 1 for line in found if line.number < gap.first)
    assert 8 * KIB < first_part <= 10 * KIB, "half of the quota"
    assert (await small.logs.page(action(), 1, after=gap.first + 1, limit=1)).lines[0].number == gap.last + 1
    middle = await small.logs.page(action(), 1, before=gap.last, limit=1, backward=True)
    assert middle.lines[0].number == gap.first - 1


async def test_a_single_call_may_exceed_the_quota(small: ActionRepo) -> None:
    await small.logs.append(action(), numbered(0, 5000))
    page = await small.logs.page(action(), 1, limit=1, backward=True)
    assert page.lines[0].text == "line 4999"
    assert await stored(small, log_heads.c.stored_bytes) <= 20 * KIB


async def test_a_search_is_in_any_case_and_bounded(
    logged: ActionRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [f"step {n} {'Straße FAILED' if n % 1000 == 7 else 'fine'} {'.' * 90}" for n in range(12_000)]
    for start in range(0, len(texts), 4000):
        await logged.logs.append(action(), lines(*texts[start : start + 4000]))
    expected = [n + 1 for n in range(12_000) if n % 1000 == 7]
    for search in ("failed", "STRASSE f", "e FAILED"):
        assert [line.number for line in await read_all(logged, query=LogQuery(search=search))] == expected
    monkeypatch.setattr("repo.logs.logs.MAX_SEARCHED", 1)
    nothing = await logged.logs.page(action(), 1, LogQuery(search="no such text"))
    assert (nothing.lines, nothing.has_more) == ([], True)
    assert 0 < nothing.end < 12_000
    assert await read_all(logged, query=LogQuery(search="no such text")) == []
    found = await logged.logs.page(action(), 1, LogQuery(search="failed"), limit=2, backward=True)
    assert [line.number for line in found.lines] == expected[-2:]


async def test_levels_are_filtered(logged: ActionRepo) -> None:
    await logged.logs.append(action(), numbered(0, 3000))
    await logged.logs.append(action(), lines("bad", level=LogLevel.ERROR))
    await logged.logs.append(action(), numbered(0, 3000))
    await logged.logs.append(action(), lines("worse", level=LogLevel.CRITICAL))
    both = LogQuery(levels=frozenset({LogLevel.ERROR, LogLevel.CRITICAL}))
    assert [line.text for line in await read_all(logged, query=both)] == ["bad", "worse"]
    page = await logged.logs.page(action(), 1, LogQuery(levels=frozenset({LogLevel.DEBUG})))
    assert (page.lines, page.has_more, page.end, page.summary.first_error) == ([], False, 6002, 3001)


async def test_a_long_line_is_cut_and_says_so(logged: ActionRepo) -> None:
    result = await logged.logs.append(action(), lines("x" * (MAX_LINE + 1234), "short"))
    assert result.cut == 1
    cut, short = await read_all(logged)
    assert cut.text == "x" * MAX_LINE + " … (1,234 more characters)"
    assert short.text == "short"


async def test_what_cannot_be_appended_is_refused(logged: ActionRepo) -> None:
    logs = logged.logs
    with pytest.raises(ActionNotFound, match="missing"):
        await logs.append(action("missing"), lines("x"))
    with pytest.raises(ActionNotFound):
        await logs.page(action("missing"), 1)
    for arguments, message in (
        ({"stream": ""}, "stream must"),
        ({"stream": "a\nb"}, "stream must"),
        ({"attempt": -1}, "attempt must"),
        ({"offset": -1}, "offset must"),
        ({"offset": 2**53}, "offset must"),
    ):
        with pytest.raises(InvalidArgument, match=message):
            await logs.append(action(), lines("x"), **arguments)
    with pytest.raises(InvalidArgument, match="5000"):
        await logs.append(action(), lines("x") * 5001)
    for number in range(30):
        await logs.append(action(), lines("x"), stream=f"s{number}")
    with pytest.raises(InvalidArgument, match="30 streams"):
        await logs.append(action(), lines("x"), stream="one more")
    assert (await logs.page(action(), 2**40)).lines == [], "no such attempt"


async def test_one_bad_call_does_not_spoil_those_it_is_committed_with(logged: ActionRepo) -> None:
    calls = [logged.logs.append(action(name), lines(name)) for name in ("a0", "gone", "b", "a0")]
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(each).__name__ for each in results] == [
        "AppendResult", "ActionNotFound", "AppendResult", "AppendResult",
    ]  # fmt: skip


async def test_a_finished_action_still_gets_lines(logged: ActionRepo) -> None:
    await logged.actions.update_phases([update("a0", ActionPhase.SUCCEEDED)])
    assert (await logged.logs.append(action(), lines("late"))).appended == 1


async def test_tenants_see_nothing_of_each_other(logged: ActionRepo) -> None:
    await logged.logs.append(action(), lines("secret"))
    other = logged.on_behalf_of(Access(frozenset({Grant(Role.ADMIN, "other")})))
    reader = logged.on_behalf_of(Access(frozenset({Grant(Role.VIEWER, "etl")})))
    assert [line.text for line in await read_all(reader)] == ["secret"]
    with pytest.raises(Forbidden):
        await reader.logs.append(action(), lines("x"))
    with pytest.raises(Forbidden):
        await other.logs.append(action(), lines("x"))
    with pytest.raises(ActionNotFound):
        await other.logs.page(action(), 1)
    assert await other.logs.summaries([(action(), 1)]) == {}


async def test_large_logs_are_pruned_in_parts(logged: ActionRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_removal, "MAX_BYTES", 10 * KIB)
    for attempt in range(5):
        await logged.logs.append(action("b"), numbered(0, 1000), attempt)
    await logged.actions.update_phases([update("a0", ActionPhase.SUCCEEDED, end_time=T0)])
    with recorded(logged.database) as seen:
        assert [done async for done in logged.pruning.prune(timedelta(0))] == [Pruned(1, 2)]
    assert sum(text.startswith("DELETE FROM log_heads") for text, _ in seen) == 2
    assert await stored(logged, func.count(log_chunks.c.first)) == 0


async def test_no_log_is_removed_of_a_run_that_stays(
    logged: ActionRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_removal, "MAX_BYTES", 1)
    await logged.logs.append(action("b"), numbered(0, 1000))
    assert await logged.pruning.remove([action().key], at(0)) == Pruned()
    assert len(await read_all(logged)) == 0
    assert (await logged.logs.page(action("b"), 1)).summary.line_count == 1000


async def test_logs_are_pruned_with_their_run(logged: ActionRepo) -> None:
    await logged.logs.append(action("b"), numbered(0, 3000))
    await logged.actions.update_phases([update("a0", ActionPhase.SUCCEEDED, end_time=T0)])
    async for _ in logged.pruning.prune(timedelta(0)):
        pass
    assert await stored(logged, func.count(log_chunks.c.first)) == 0
    assert await stored(logged, func.count(log_heads.c.attempt)) == 0
    with pytest.raises(ActionNotFound):
        await logged.logs.append(action("b"), lines("x"))
