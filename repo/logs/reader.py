"""Reads chunks of a log, each statement together with the log's head."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, Integer, Select, and_, bindparam, func, select

from repo.actions.lists import in_scopes
from repo.domain.authorization import Scopes
from repo.domain.errors import ActionNotFound
from repo.domain.identifiers import ActionIdentifier
from repo.domain.logs import NO_LOG, LogGap, LogGapReason, LogStream, LogSummary
from repo.logs.chunks import level_bit
from repo.logs.scanning import ChunkRow, Scan
from repo.sql.database import Database
from repo.sql.filters import KeyFilter, rows_filter
from repo.tables import actions, log_chunks, log_heads

h = log_heads.c
k = log_chunks.c

LogKey = tuple[bytes, int]

SUMMARY = (h.line_count, h.byte_count, h.first_error, h.streams, h.omitted_first, h.omitted_last)
"""The columns of `summary_of`."""
_SUMMARIES = 200
"""Logs in a statement."""
_IN_THREAD = 16 * 1024
"""Bytes of lines from which on they are searched in a thread."""
_SIZES = (4, 32)
"""Chunks in the first statement of a page, and in each further one."""

_key = bindparam("action_key", type_=k.action_key.type)
_attempt = bindparam("attempt", type_=Integer)
_number = bindparam("number", type_=BigInteger)
_mask = bindparam("mask", type_=Integer)
_limit = bindparam("limit", type_=Integer)


@dataclass(frozen=True, slots=True)
class ChunkPart:
    """Consecutive chunks of a log."""

    summary: LogSummary
    """The head at the same moment."""
    rows: Sequence[ChunkRow]
    is_last: bool
    """Whether there are no more of them."""

    @property
    def size(self) -> int:
        """Bytes of their lines."""
        return sum(row[2] for row in self.rows)


def summary_of(row: Sequence[Any]) -> LogSummary:
    """The summary in a row of SUMMARY."""
    line_count, byte_count, first_error, streams, omitted_first, omitted_last = row
    gap = None
    if omitted_first is not None:
        gap = LogGap(omitted_first, omitted_last, LogGapReason.QUOTA)
    named = [LogStream(name, offset) for name, offset in streams.items()]
    return LogSummary(line_count, byte_count, first_error, named, gap)


async def read_summary(
    database: Database, action_id: ActionIdentifier, attempt: int, scopes: Scopes
) -> LogSummary:
    """The summary of an attempt's log; NO_LOG if there is none. Raises ActionNotFound."""

    def statement() -> Select[Any]:
        of_attempt = and_(h.action_key == actions.c.key, h.attempt == _attempt)
        found = select(actions.c.key, *SUMMARY).join_from(actions, log_heads, of_attempt, isouter=True)
        return found.where(actions.c.key == _key, *in_scopes(scopes))

    values = {"action_key": action_id.key, "attempt": attempt}
    rows = (await database.fetch(("log summary", scopes), statement, values)).decoded()
    if not rows:
        raise ActionNotFound(f"there is no action {action_id}")
    return NO_LOG if rows[0][1] is None else summary_of(rows[0][1:])


async def read_summaries(database: Database, logs: Sequence[LogKey]) -> dict[LogKey, LogSummary]:
    """The summaries of those of the logs that exist."""
    found: dict[LogKey, LogSummary] = {}
    for start in range(0, len(logs), _SUMMARIES):
        of_logs = rows_filter(database, (h.action_key, h.attempt), logs[start : start + _SUMMARIES])

        def statement(of_logs: KeyFilter = of_logs) -> Select[Any]:
            return of_logs.apply(select(h.action_key, h.attempt, *SUMMARY))

        rows = (await database.fetch(("log summaries", of_logs.key), statement, of_logs.values)).decoded()
        found |= {(row[0], row[1]): summary_of(row[2:]) for row in rows}
    return found


async def read_chunks(
    database: Database,
    key: LogKey,
    number: int,
    limit: int,
    *,
    backward: bool = False,
    levels: int | None = None,
) -> ChunkPart | None:
    """The chunks of a log from that with a number on, or up to it; only those with some of the `levels`, a
    mask. None if there are none."""

    def statement() -> Select[Any]:
        of_log = and_(k.action_key == _key, k.attempt == _attempt)
        of_head = and_(h.action_key == k.action_key, h.attempt == k.attempt)
        found = select(k.first, k.last, k.size, k.data, *SUMMARY).join_from(log_chunks, log_heads, of_head)
        if backward:
            found = found.where(of_log, k.first <= _number).order_by(k.first.desc())
        else:
            other = log_chunks.alias("other")
            same = and_(other.c.action_key == _key, other.c.attempt == _attempt, other.c.first <= _number)
            start = select(func.max(other.c.first)).where(same).scalar_subquery()
            found = found.where(of_log, k.first >= func.coalesce(start, 0)).order_by(k.first)
        if levels is not None:
            found = found.where(k.levels.op("&")(_mask) != 0)
        return found.limit(_limit)

    values: dict[str, Any] = {"action_key": key[0], "attempt": key[1], "number": number, "limit": limit}
    if levels is not None:
        values["mask"] = levels
    rows = (await database.fetch(("log chunks", backward, levels is None), statement, values)).decoded()
    if not rows:
        return None
    return ChunkPart(summary_of(rows[0][4:]), [row[:4] for row in rows], len(rows) < limit)


async def scan_part(scan: Scan, part: ChunkPart) -> None:
    """Search chunks, in a thread if there are many lines: the event loop goes on."""
    if part.size > _IN_THREAD:
        await asyncio.to_thread(scan.search, part.rows)
    else:
        scan.search(part.rows)


async def scan_log(
    database: Database, key: LogKey, scan: Scan, summary: LogSummary, max_bytes: int
) -> tuple[LogSummary, bool]:
    """Search a log until the scan is full, the log ends, or so many bytes were searched: the newest
    summary, and whether the end was reached."""
    masks = None
    if scan.query.levels is not None:
        masks = sum(level_bit(level) for level in scan.query.levels)
    searched, limit = 0, _SIZES[0]
    while not scan.is_full:
        reached = scan.reached
        if scan.backward:
            number = (scan.before if reached is None else reached) - 1
            is_end = number <= scan.after
        else:
            number = (scan.after if reached is None else reached) + 1
            is_end = number >= scan.before
        if is_end:
            return summary, True
        if searched >= max_bytes:
            return summary, False
        part = await read_chunks(database, key, number, limit, backward=scan.backward, levels=masks)
        if part is None:
            return summary, True
        summary = part.summary
        await scan_part(scan, part)
        if part.is_last and not scan.is_full:
            return summary, True
        searched += part.size
        limit = _SIZES[1]
    return summary, False
