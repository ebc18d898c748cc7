"""The stream of a log: each line once and in order, from any number on."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial

from repo.domain.logs import LogGap, LogLine, LogQuery, LogSummary
from repo.logs.reader import scan_log
from repo.logs.scanning import Scan, matcher
from repo.sql.database import Database
from repo.watch.log_tails import LogMailbox, LogTails
from repo.watch.stream import FrameKind, Stream, parts_of, until_available

SLICE = 4_000
"""Lines that a stream reads at a time."""
_SEARCHED = 8 * 1024 * 1024
"""Bytes that it searches at a time."""


@dataclass(frozen=True, slots=True)
class LogFrame:
    """A part of the stream of a log."""

    kind: FrameKind
    lines: Sequence[LogLine]
    omitted: Sequence[LogGap]
    """The missing lines up to `end`, since the frame before."""
    end: int
    """The number up to which everything was sent that matches: the stream resumes after it."""
    summary: LogSummary


async def log_frames(
    stream: Stream[LogFrame],
    database: Database,
    tails: LogTails,
    mailbox: LogMailbox,
    query: LogQuery,
    read_summary: Callable[[], Awaitable[LogSummary]],
    after: int | None,
    last: int | None,
) -> AsyncGenerator[LogFrame, None]:
    """The lines after a number, or else the `last` ones that match or all, then every new one. `read_summary`
    raises if the action does not exist."""
    summary = await read_summary()
    await stream.hub.join(mailbox)
    try:
        is_restart = after is not None and after > summary.line_count
        sent = None if is_restart else after
        while True:
            tails.join(mailbox, summary)
            if is_restart:
                stream.hub.metrics.resyncs += 1
                yield _mark(stream, LogFrame(FrameKind.RESYNC, [], [], 0, summary), False)
            frames = _frames(stream, database, mailbox, query, sent, last)
            async with aclosing(frames):
                async for frame in frames:
                    yield frame
            tails.leave(mailbox)
            summary, sent, is_restart = await until_available(read_summary), None, True
    finally:
        tails.leave(mailbox)
        stream.hub.leave(mailbox)


async def _frames(
    stream: Stream[LogFrame],
    database: Database,
    mailbox: LogMailbox,
    query: LogQuery,
    after: int | None,
    last: int | None,
) -> AsyncGenerator[LogFrame, None]:
    """The frames, until the stream must restart."""
    kind, sent, matches = FrameKind.CHANGE, after or 0, matcher(query)
    if after is None:
        kind, joined = FrameKind.SNAPSHOT, mailbox.until
        if last is not None:
            scan = await until_available(
                partial(_last_lines, database, mailbox.log, query, joined, last, mailbox.summary)
            )
            for frame in _parts(kind, scan, 0, joined, mailbox.summary):
                yield _mark(stream, frame, False)
            sent = joined
    while not mailbox.is_stale():
        if mailbox.overflowed:
            # The database has all of them; what comes after `until` goes into the mailbox again.
            mailbox.clear()
            mailbox.overflowed = False
        if sent < mailbox.base:
            until = mailbox.base
            part = await until_available(
                partial(_next_lines, database, mailbox.log, query, sent, until, mailbox.summary)
            )
            if mailbox.is_stale():
                return
            scan, end, newest = part
            for frame in _parts(kind, scan, sent, end, newest):
                yield _mark(stream, frame, frame.end == mailbox.until and kind is FrameKind.CHANGE)
            sent = end
        elif kind is FrameKind.SNAPSHOT:
            kind = FrameKind.CHANGE
            frame = LogFrame(FrameKind.SYNCED, [], [], sent, mailbox.summary)
            yield _mark(stream, frame, mailbox.is_empty)
        elif mailbox.until > mailbox.base:
            end, newest = mailbox.until, mailbox.summary
            lines, gaps = mailbox.take()
            new = Scan(query, sent, end + 1, len(lines))
            new.lines = [each for each in lines if each.number > sent]
            if matches is not None:
                new.lines = [each for each in new.lines if matches(each.stream, each.level or 0, each.text)]
            new.gaps = [each for each in gaps if each.last > sent]
            for frame in _parts(kind, new, sent, end, newest):
                yield _mark(stream, frame, frame.end == end)
            sent = end
        else:
            await stream.wait()


def _mark(stream: Stream[LogFrame], frame: LogFrame, is_complete: bool) -> LogFrame:
    """The frame, which is yielded next."""
    stream.cursor, stream.is_complete = str(frame.end), is_complete
    return frame


def _parts(kind: FrameKind, scan: Scan, after: int, end: int, summary: LogSummary) -> list[LogFrame]:
    """The lines that were found after a number as frames; the last one goes up to `end`. None if there is
    nothing to say."""
    omitted, gap = scan.gaps, summary.quota_gap
    if gap is not None and gap.first <= end and gap.last > after:
        omitted = sorted([*omitted, gap], key=lambda each: each.first)
    if not scan.lines:
        return [LogFrame(kind, [], omitted, end, summary)] if omitted else []
    frames, sent = [], after
    for begin, stop in parts_of([len(line.text) for line in scan.lines]):
        lines = scan.lines[begin:stop]
        until = end if stop == len(scan.lines) else lines[-1].number
        gaps = [each for each in omitted if each.last > sent and each.first <= until]
        frames.append(LogFrame(kind, lines, gaps, until, summary))
        sent = until
    return frames


async def _next_lines(
    database: Database, log: tuple[bytes, int], query: LogQuery, after: int, until: int, summary: LogSummary
) -> tuple[Scan, int, LogSummary]:
    """Some of the lines after a number that match, the number up to which these are all, and the newest
    summary."""
    scan = Scan(query, after, until + 1, SLICE)
    newest, is_end = await scan_log(database, log, scan, summary, _SEARCHED)
    return scan, until if is_end or scan.reached is None else scan.reached, newest


async def _last_lines(
    database: Database, log: tuple[bytes, int], query: LogQuery, until: int, last: int, summary: LogSummary
) -> Scan:
    """The last lines up to a number that match."""
    scan, is_end = Scan(query, 0, until + 1, last, backward=True), False
    while not is_end and not scan.is_full:
        _, is_end = await scan_log(database, log, scan, summary, _SEARCHED)
    scan.lines.reverse()
    scan.gaps.reverse()
    return scan
