"""Reads and writes of logs, for one caller."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from repo.actions.activity import Activity
from repo.actions.group_commit import GroupCommit, check_batch
from repo.domain.authorization import Access, Permission, includes
from repo.domain.errors import InvalidArgument
from repo.domain.identifiers import ActionIdentifier
from repo.domain.logs import (
    MAX_LINE,
    MAX_NUMBER,
    MAX_STREAM_NAME,
    AppendResult,
    LogPage,
    LogQuery,
    LogSummary,
    NewLogLine,
)
from repo.domain.phases import check_attempts, is_count
from repo.domain.slices import in_slices
from repo.logs.reader import read_summaries, read_summary, scan_log
from repo.logs.scanning import Scan
from repo.logs.writer import Append
from repo.sql.database import Database
from repo.sql.times import to_microseconds
from repo.sql.types import check_text

Appends = GroupCommit[Append, AppendResult]

MAX_SEARCHED = 32 * 1024 * 1024
"""Bytes of lines that a page searches."""
ALL_LINES = LogQuery()
_STREAM_NAME = re.compile(rf"[ -~]{{1,{MAX_STREAM_NAME}}}")


@dataclass
class LogCounts:
    """What this process appended since its start."""

    lines: int = 0
    bytes: int = 0


class Logs:
    """The logs that a caller may read and append to."""

    def __init__(
        self, database: Database, access: Access, appends: Appends, counts: LogCounts, activity: Activity
    ) -> None:
        self._database = database
        self._access = access
        self._appends = appends
        self._activity = activity
        self.counts = counts

    async def append(
        self,
        action_id: ActionIdentifier,
        lines: Sequence[NewLogLine],
        attempt: int = 1,
        stream: str = "stdout",
        offset: int | None = None,
    ) -> AppendResult:
        """Append lines to a stream of an attempt. `offset` is how many lines of it were sent before: those
        that are stored already are left out, those in between count as missing. Raises ActionNotFound."""
        check_batch(lines)
        self._access.check(Permission.WRITE, [action_id])
        check_attempts(attempt, "attempt")
        if not _STREAM_NAME.fullmatch(stream):
            raise InvalidArgument(f"stream must have 1 to {MAX_STREAM_NAME} printable ASCII characters")
        if offset is not None and not 0 <= offset <= MAX_NUMBER:
            raise InvalidArgument(f"offset must be between 0 and {MAX_NUMBER}, not {offset}")
        rows, cut = await _rows(lines)
        request = Append(action_id, attempt, stream, rows, cut, offset)
        result = await self._appends.write(request, len(lines))
        self._activity.note([action_id])
        self.counts.lines += result.appended
        self.counts.bytes += sum(row[3] for row in rows[len(rows) - result.appended :])
        return result

    async def page(
        self,
        action_id: ActionIdentifier,
        attempt: int,
        query: LogQuery = ALL_LINES,
        after: int | None = None,
        before: int | None = None,
        limit: int = 100,
        backward: bool = False,
    ) -> LogPage:
        """The first lines after a number that match, or with `backward` the last ones before a number, in
        order. A page searches MAX_SEARCHED bytes at most, and says how far it came. Raises
        ActionNotFound."""
        summary = await read_summary(self._database, action_id, _known(attempt), self._access.readable)
        low = max(0, after or 0)
        high = min(MAX_NUMBER + 1 if before is None else before, summary.line_count + 1)
        scan = Scan(query, low, high, limit, backward)
        is_end = True
        if low + 1 < high:
            log = action_id.key, attempt
            summary, is_end = await scan_log(self._database, log, scan, summary, MAX_SEARCHED)
        start, end = low + 1, max(low, high - 1)
        if not is_end and backward:
            start = high if scan.reached is None else scan.reached
        elif not is_end:
            end = low if scan.reached is None else scan.reached
        has_more = start > low + 1 if backward else end < high - 1
        if backward:
            scan.lines.reverse()
            scan.gaps.reverse()
        gap = summary.quota_gap
        return LogPage(
            lines=scan.lines,
            start=start,
            end=end,
            has_more=has_more,
            omitted=scan.gaps if gap is None else sorted([*scan.gaps, gap], key=lambda each: each.first),
            summary=summary,
        )

    async def summaries(
        self, attempts: Collection[tuple[ActionIdentifier, int]]
    ) -> dict[tuple[ActionIdentifier, int], LogSummary]:
        """The summaries of those of the attempts that have a log."""
        scopes = self._access.readable
        by_key = {
            (action_id.key, attempt): (action_id, attempt)
            for action_id, attempt in attempts
            if includes(scopes, action_id.project, action_id.domain) and is_count(attempt)
        }
        found = await read_summaries(self._database, list(by_key))
        return {by_key[key]: summary for key, summary in found.items()}


async def _rows(lines: Sequence[NewLogLine]) -> tuple[list[tuple[str, int, int, int]], int]:
    """The lines as they are stored, and how many of them were cut."""
    now, cut = to_microseconds(datetime.now(UTC)), 0
    rows = []
    async for line in in_slices(lines):
        text = line.text
        if len(text) > MAX_LINE:
            text = f"{text[:MAX_LINE]} … ({len(text) - MAX_LINE:,} more characters)"
            cut += 1
        # As terminals do; databases cannot store it.
        text = text.replace("\0", "\N{REPLACEMENT CHARACTER}")
        check_text(text)
        time = now if line.at is None else to_microseconds(line.at)
        rows.append((text, time, int(line.level or 0), len(text.encode()) + 1))
    return rows, cut


def _known(attempt: int) -> int:
    """The attempt, or one that has no log if it cannot be stored."""
    return attempt if is_count(attempt) else -1
